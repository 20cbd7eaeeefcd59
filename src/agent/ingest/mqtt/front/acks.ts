/**
 * Acknowledgements that wait for the disk. Two generations, each two columns in arrival order:
 *
 *   open     slot: 3 1 3 7 ...   id: 12 4 13 1 ...     of the open batch
 *   sealed   slot: ...           id: ...               of the batch on its way to the disk
 *
 * `release` sorts the sealed generation by slot (a counting sort, so arrival order stays within a
 * slot) into one slab and hands each connection its part: one write per connection per commit.
 *
 * Invariants: an acknowledgement is released at most once, and only after `seal` and `release` in
 * this order. A slot means one connection for as long as it has entries here.
 */

import { assert } from "../../../../core/assert.ts";

/** PUBACK, two bytes follow; the packet id is in big-endian order behind it. */
const PUBACK_WORD = 0x0240;

type Generation = { slots: Uint32Array; ids: Uint16Array; count: number };

const CAPACITY_MIN = 1_024;

type AckVisitor = (slot: number, pubacks: Uint8Array, count: number) => void;

export class Acks {
  readonly #countMax: number;
  #open: Generation = createGeneration(CAPACITY_MIN);
  #sealed: Generation = createGeneration(CAPACITY_MIN);
  /** Scratch of `release`, per slot: how many, then where the next one goes. */
  readonly #counts: Uint32Array;
  readonly #touched: Uint32Array;

  constructor(options: { readonly slotsMax: number; readonly countMax: number }) {
    this.#countMax = options.countMax;
    this.#counts = new Uint32Array(options.slotsMax);
    this.#touched = new Uint32Array(options.slotsMax);
  }

  /** Whether the open generation takes one more. */
  get hasRoom(): boolean {
    return this.#open.count < this.#countMax;
  }

  get count(): number {
    return this.#open.count + this.#sealed.count;
  }

  /** Remembers a message of the open batch. The caller asked `hasRoom`. */
  add(slot: number, packetId: number): void {
    let open = this.#open;
    if (open.count === open.ids.length) open = this.#grow();
    open.slots[open.count] = slot;
    open.ids[open.count] = packetId;
    open.count += 1;
  }

  /** The open generation is complete. */
  seal(): void {
    assert(this.#sealed.count === 0, "at most one generation of acknowledgements is sealed");
    const sealed = this.#sealed;
    this.#sealed = this.#open;
    this.#open = sealed;
  }

  /**
   * The sealed generation is durable: gives each slot in it its PUBACKs as bytes, in arrival order.
   * The parts share one buffer, which belongs to the receivers.
   */
  release(visit: AckVisitor): void {
    const { slots, ids, count } = this.#sealed;
    if (count === 0) return;
    const touchedCount = this.#countBySlot(slots, count);
    const words = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const at = this.#counts[slots[i]!]!++;
      const id = ids[i]!;
      words[at] = PUBACK_WORD | ((id & 0xff00) << 8) | (id << 24);
    }
    this.#sealed.count = 0;
    const slab = Buffer.from(words.buffer);
    let from = 0;
    for (let t = 0; t < touchedCount; t++) {
      const slot = this.#touched[t]!;
      const to = this.#counts[slot]!;
      this.#counts[slot] = 0;
      visit(slot, slab.subarray(from * 4, to * 4), to - from);
      from = to;
    }
  }

  /** Both generations are lost: gives how many each slot had. */
  drop(visit: (slot: number, count: number) => void): void {
    for (const generation of [this.#sealed, this.#open]) {
      for (let i = 0; i < generation.count; i++) visit(generation.slots[i]!, 1);
      generation.count = 0;
    }
  }

  /** Fills `#touched` in order of first arrival and `#counts` with where each slot's part begins. */
  #countBySlot(slots: Uint32Array, count: number): number {
    let touchedCount = 0;
    for (let i = 0; i < count; i++) {
      const slot = slots[i]!;
      if (this.#counts[slot]!++ === 0) this.#touched[touchedCount++] = slot;
    }
    let from = 0;
    for (let t = 0; t < touchedCount; t++) {
      const slot = this.#touched[t]!;
      const mine = this.#counts[slot]!;
      this.#counts[slot] = from;
      from += mine;
    }
    return touchedCount;
  }

  #grow(): Generation {
    const old = this.#open;
    const grown = createGeneration(old.ids.length * 2);
    grown.slots.set(old.slots);
    grown.ids.set(old.ids);
    grown.count = old.count;
    this.#open = grown;
    return grown;
  }
}

function createGeneration(capacity: number): Generation {
  return { slots: new Uint32Array(capacity), ids: new Uint16Array(capacity), count: 0 };
}
