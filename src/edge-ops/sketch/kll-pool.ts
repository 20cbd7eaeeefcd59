/**
 * KLL sketches of many slots in columns, so that they can be written and read back as operator state. A
 * slot's items lie in a chain of blocks from a pool that all slots share: ten readings take one block, a
 * sketch of millions twenty.
 *
 *   slot    head, tail   first and last block of its chain, plus one; 0: none
 *           levels       in use; LOST where the pool had no room
 *           size, sizes  items, in all and of each level
 *   block   next         0: free; END: the last of its chain; else the next one plus one
 *           items        as in a Kll: the top level first, level 0 at the end, where one is appended
 *
 * A block is always the lowest free one: which it is follows from the state alone, not from how it came
 * about. A freed block is zeroed, since what was erased must not stay. Where the pool is used up, the
 * sketch that needed a block is lost, whole, until its slot is emptied; so is one of 2^32 readings.
 */

import { assert } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import { type Column, StateTable } from "../state-table.ts";
import { Kll, kllCapacity } from "./kll.ts";

/** Slots count up to here. */
const COUNT_MAX = 0xffff_ffff;
/** Of COUNT_MAX readings: the 25th level up is begun when K items stand for 2^24 each, and half are left. */
const LEVELS_MAX = 26;
const BLOCK_ITEMS = 32;
/** Blocks of the largest sketch. */
const CHAIN_MAX = Math.ceil(kllCapacity(LEVELS_MAX) / BLOCK_ITEMS);
const END = 0xffff_ffff;
const LOST = 0xff;
const NONE = -1;
const ALL = 0xffff_ffff;

/** Where a sketch is changed. */
const scratch = new Kll();
const added = new Kll();

export class KllPool {
  readonly #head: Uint32Array;
  readonly #tail: Uint32Array;
  readonly #levels: Uint8Array;
  readonly #size: Uint16Array;
  readonly #sizes: Uint16Array;
  readonly #next: Uint32Array;
  readonly #items: Float64Array;
  /** The blocks. */
  readonly #table: StateTable;
  /** A bit of each block, set while it is not free; made of `next` when it is first asked. */
  #used: Uint32Array | undefined;
  /** No word of `used` before this one has a free block. */
  #lowestWord = 0;

  /** `name` of the table of its blocks. */
  constructor(name: string, slotsMax: number) {
    const blocksMax = Math.min(slotsMax * CHAIN_MAX, limits.quantileBlocksMax);
    this.#head = new Uint32Array(slotsMax);
    this.#tail = new Uint32Array(slotsMax);
    this.#levels = new Uint8Array(slotsMax);
    this.#size = new Uint16Array(slotsMax);
    this.#sizes = new Uint16Array(slotsMax * LEVELS_MAX);
    this.#next = new Uint32Array(blocksMax);
    this.#items = new Float64Array(blocksMax * BLOCK_ITEMS);
    this.#table = new StateTable({
      name,
      version: 1,
      rowsMax: blocksMax,
      rowsPerChunk: 16,
      columns: [
        { cells: this.#next, stride: 1 },
        { cells: this.#items, stride: BLOCK_ITEMS },
      ],
    });
  }

  get table(): StateTable {
    return this.#table;
  }

  /** The columns of its slots, for a StateTable whose rows are `stride` slots each. */
  columns(stride: number): Column[] {
    const ofSlots = [this.#head, this.#tail, this.#levels, this.#size];
    return [
      ...ofSlots.map((cells) => ({ cells, stride })),
      { cells: this.#sizes, stride: stride * LEVELS_MAX },
    ];
  }

  /** Adds a reading to a slot that has `before` of them. No allocation but for a level that is full. */
  add(slot: number, value: number, before: number): void {
    const levels = this.#levels[slot]!;
    if (levels === LOST) return;
    if (before === COUNT_MAX) {
      this.#lose(slot);
      return;
    }
    if (levels === 0) this.#levels[slot] = 1;
    else if (this.#size[slot]! >= kllCapacity(levels)) {
      this.#load(slot, before, scratch);
      scratch.compact();
      this.#store(slot, scratch);
    }
    const size = this.#size[slot]!;
    const place = size % BLOCK_ITEMS;
    if (place === 0 && !this.#grow(slot)) return;
    const block = this.#tail[slot]! - 1;
    this.#items[block * BLOCK_ITEMS + place] = value;
    this.#table.touch(block);
    this.#size[slot] = size + 1;
    this.#sizes[slot * LEVELS_MAX]! += 1;
  }

  /** Adds slot `from` of another pool; each with as many readings as it has. */
  merge(
    slot: number,
    before: number,
    other: KllPool,
    { from, count }: { readonly from: number; readonly count: number },
  ): void {
    if (this.#levels[slot] === LOST) return;
    if (other.#levels[from] === LOST || before + count > COUNT_MAX) {
      this.#lose(slot);
      return;
    }
    this.#load(slot, before, scratch);
    other.#load(from, count, added);
    scratch.merge(added);
    this.#store(slot, scratch);
  }

  /**
   * The sketch of a slot with `count` readings, at least one, between `min` and `max`; undefined where it
   * is lost, or was emptied while its slot kept its readings. Valid until the next call of any pool.
   */
  sketchOf(slot: number, { count, min, max }: Pick<Kll, "count" | "min" | "max">): Kll | undefined {
    if (this.#levels[slot] === LOST || this.#levels[slot] === 0) return undefined;
    this.#load(slot, count, scratch);
    scratch.min = min;
    scratch.max = max;
    return scratch;
  }

  /** Whether the pool had no room for the slot's sketch. */
  isLost(slot: number): boolean {
    return this.#levels[slot] === LOST;
  }

  /** The slot's sketch has no readings; its blocks are free, and zero. */
  empty(slot: number): void {
    if (this.#levels[slot] === 0 && this.#head[slot] === 0) return;
    this.#free(this.#head[slot]!);
    this.#head[slot] = 0;
    this.#tail[slot] = 0;
    this.#levels[slot] = 0;
    this.#size[slot] = 0;
    this.#sizes.fill(0, slot * LEVELS_MAX, (slot + 1) * LEVELS_MAX);
  }

  #lose(slot: number): void {
    this.empty(slot);
    this.#levels[slot] = LOST;
  }

  /** One more block for the slot; false, and the sketch lost, where none is free. */
  #grow(slot: number): boolean {
    const next = this.#next;
    const block = this.#take();
    if (block === NONE) {
      this.#lose(slot);
      return false;
    }
    next[block] = END;
    this.#table.touch(block);
    const tail = this.#tail[slot]!;
    if (tail === 0) this.#head[slot] = block + 1;
    else {
      next[tail - 1] = block + 1;
      this.#table.touch(tail - 1);
    }
    this.#tail[slot] = block + 1;
    return true;
  }

  /** The lowest free block, now used; or NONE. */
  #take(): number {
    const used = (this.#used ??= usedOf(this.#next));
    let word = this.#lowestWord;
    while (word < used.length && used[word] === ALL) word++;
    this.#lowestWord = word;
    if (word === used.length) return NONE;
    const free = ~used[word]!;
    const bit = free & -free;
    used[word]! |= bit;
    return word * 32 + 31 - Math.clz32(bit);
  }

  #free(head: number): void {
    const used = (this.#used ??= usedOf(this.#next));
    for (let link = head; link !== 0 && link !== END; ) {
      const block = link - 1;
      link = this.#next[block]!;
      this.#table.clear(block);
      const word = block >>> 5;
      used[word]! &= ~(1 << (block & 31));
      this.#lowestWord = Math.min(this.#lowestWord, word);
    }
  }

  /** Without its smallest and greatest reading. */
  #load(slot: number, count: number, sketch: Kll): void {
    sketch.clear();
    const size = this.#size[slot]!;
    let link = this.#head[slot]!;
    for (let at = 0; at < size; at += BLOCK_ITEMS) {
      const from = (link - 1) * BLOCK_ITEMS;
      const items = Math.min(BLOCK_ITEMS, size - at);
      for (let i = 0; i < items; i++) sketch.items[at + i] = this.#items[from + i]!;
      link = this.#next[link - 1]!;
    }
    for (let level = 0; level < LEVELS_MAX; level++) {
      sketch.sizes[level] = this.#sizes[slot * LEVELS_MAX + level]!;
    }
    sketch.count = count;
    sketch.levels = this.#levels[slot]!;
    sketch.size = size;
  }

  #store(slot: number, { levels, sizes, items, size }: Kll): void {
    assert(levels <= LEVELS_MAX, "more levels are for more readings than a slot counts");
    this.empty(slot);
    for (let at = 0; at < size; at += BLOCK_ITEMS) {
      if (!this.#grow(slot)) return;
      const block = this.#tail[slot]! - 1;
      this.#items.set(items.subarray(at, Math.min(at + BLOCK_ITEMS, size)), block * BLOCK_ITEMS);
    }
    this.#levels[slot] = levels;
    this.#size[slot] = size;
    for (let level = 0; level < levels; level++) {
      this.#sizes[slot * LEVELS_MAX + level] = sizes[level]!;
    }
  }
}

function usedOf(next: Uint32Array): Uint32Array {
  const used = new Uint32Array(Math.ceil(next.length / 32));
  for (let block = 0; block < next.length; block++) {
    if (next[block] !== 0) used[block >>> 5]! |= 1 << (block & 31);
  }
  // Those beyond the last block are never free.
  for (let block = next.length; block < used.length * 32; block++) {
    used[block >>> 5]! |= 1 << (block & 31);
  }
  return used;
}
