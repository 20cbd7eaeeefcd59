/**
 * The live sessions of every key, in columns: at most limits.sessionsPerKeyMax per key, each a slot.
 *
 *   slot = index * keysMax + key     the first sessions of all keys lie together, so that the
 *                                    slots nobody needs are memory nobody touches
 *   mask[key]                        bit `index` is set while that slot is in use
 *
 * Each index has a state table of its own, whose rows are the keys, so that tables can grow. This
 * file keeps and lists sessions; when they open, close and are corrected is its user's affair.
 */

import { assert } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import type { AggregateName } from "../spec.ts";
import { type Column, StateTable } from "../state-table.ts";
import { type Aggregates, columnsOf, createAggregates, emptySlot } from "./aggregate.ts";

const PER_KEY = limits.sessionsPerKeyMax;
assert(PER_KEY <= 32, "the sessions of a key fit the mask");

/** No slot is free. */
export const NONE = -1;

export class LiveSessions {
  readonly tables: readonly StateTable[];
  readonly #keysMax: number;
  readonly #masks: StateTable;
  readonly #sessions: readonly StateTable[];
  readonly #mask: Uint32Array;
  readonly aggregates: Aggregates;
  /** Event times of the earliest and the latest reading, by slot. */
  readonly start: Float64Array;
  readonly last: Float64Array;
  /** Readings in the latest revision emitted under this start, by slot. */
  readonly settled: Uint32Array;
  /** Revisions emitted under this start, by slot. */
  readonly revisions: Uint32Array;
  /** 1 while the watermark has not passed the session's end, by slot. */
  readonly open: Uint8Array;
  /** 1 while it is closed and waits for its correction, by slot. */
  readonly marked: Uint8Array;
  /** When that correction is due, gateway time, by slot; meaningful while it is marked. */
  readonly due: Float64Array;
  /** What `list` found: slots, ascending by start. */
  readonly listed: Int32Array = new Int32Array(PER_KEY);

  constructor(
    pipeline: string,
    options: { readonly keysMax: number; readonly aggregate: readonly AggregateName[] },
  ) {
    const { keysMax } = options;
    const slotsMax = keysMax * PER_KEY;
    this.#keysMax = keysMax;
    this.#mask = new Uint32Array(keysMax);
    const table = `${pipeline}/sketches`;
    this.aggregates = createAggregates(options.aggregate, { slotsMax, table });
    this.start = new Float64Array(slotsMax);
    this.last = new Float64Array(slotsMax);
    this.settled = new Uint32Array(slotsMax);
    this.revisions = new Uint32Array(slotsMax);
    this.open = new Uint8Array(slotsMax);
    this.marked = new Uint8Array(slotsMax);
    this.due = new Float64Array(slotsMax);
    const own = [
      this.start,
      this.last,
      this.settled,
      this.revisions,
      this.open,
      this.marked,
      this.due,
    ];
    const columns = [
      ...columnsOf(this.aggregates, 1),
      ...own.map((cells) => ({ cells, stride: 1 })),
    ];
    const shape = { version: 1, rowsMax: keysMax, rowsPerChunk: 256 };
    this.#masks = new StateTable({
      ...shape,
      name: `${pipeline}/session-masks`,
      columns: [{ cells: this.#mask, stride: 1 }],
    });
    this.#sessions = Array.from(
      { length: PER_KEY },
      (_, index) =>
        new StateTable({
          ...shape,
          name: `${pipeline}/sessions-${index}`,
          columns: columns.map((column) => partOf(column, index * keysMax, keysMax)),
        }),
    );
    const { sketches } = this.aggregates;
    this.tables = [
      this.#masks,
      ...this.#sessions,
      ...(sketches === undefined ? [] : [sketches.table]),
    ];
  }

  slotOf(key: number, index: number): number {
    return index * this.#keysMax + key;
  }
  indexOf(slot: number): number {
    return Math.floor(slot / this.#keysMax);
  }

  isUsed(slot: number): boolean {
    const index = this.indexOf(slot);
    return ((this.#mask[slot - index * this.#keysMax]! >>> index) & 1) === 1;
  }

  /** Fills `listed` with the slots of the key, ascending by start; gives their number. */
  list(key: number): number {
    const { listed, start } = this;
    let count = 0;
    for (let mask = this.#mask[key]!, slot = key; mask !== 0; mask >>>= 1, slot += this.#keysMax) {
      if ((mask & 1) === 0) continue;
      let place = count++;
      for (; place > 0 && start[listed[place - 1]!]! > start[slot]!; place--) {
        listed[place] = listed[place - 1]!;
      }
      listed[place] = slot;
    }
    return count;
  }

  /** Readings in the latest revisions of the key's sessions; undefined where one has grown since its own. */
  settledOf(key: number): number | undefined {
    const listedCount = this.list(key);
    let settled = 0;
    for (let i = 0; i < listedCount; i++) {
      const slot = this.listed[i]!;
      const hasGrown = this.open[slot] === 1 || this.marked[slot] === 1;
      if (hasGrown && this.revisions[slot]! > 0) return undefined;
      settled += this.settled[slot]!;
    }
    return settled;
  }

  /** A free slot of the key, now in use and empty, or NONE. */
  take(key: number): number {
    const free = ~this.#mask[key]!;
    if (free === 0) return NONE;
    const index = 31 - Math.clz32(free & -free);
    if (index >= PER_KEY) return NONE;
    this.#mask[key] = this.#mask[key]! | (1 << index);
    this.#masks.touch(key);
    const slot = this.slotOf(key, index);
    emptySlot(this.aggregates, slot);
    this.settled[slot] = 0;
    this.revisions[slot] = 0;
    this.open[slot] = 0;
    this.marked[slot] = 0;
    this.due[slot] = 0;
    this.touch(slot);
    return slot;
  }

  free(slot: number): void {
    const index = this.indexOf(slot);
    const key = slot - index * this.#keysMax;
    this.aggregates.sketches?.empty(slot);
    // Its cells mean nothing now, but what is written must not depend on when it is written.
    this.touch(slot);
    this.#mask[key] = this.#mask[key]! & ~(1 << index);
    this.#masks.touch(key);
  }

  /** Makes all cells of a key without sessions 0. */
  clear(key: number): void {
    assert(this.#mask[key] === 0, "a key with sessions is not cleared");
    for (const table of this.#sessions) table.clear(key);
  }

  touch(slot: number): void {
    const index = this.indexOf(slot);
    this.#sessions[index]!.touch(slot - index * this.#keysMax);
  }
}

function partOf({ cells, stride }: Column, from: number, rows: number): Column {
  return { cells: cells.subarray(from * stride, (from + rows) * stride), stride };
}
