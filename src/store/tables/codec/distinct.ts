/**
 * The different doubles of a block, if they are few: by their bits, in a hash table with open
 * addressing that gives up as soon as there are too many.
 */

import { hashOfPair } from "../../../core/hash.ts";
import { limits } from "../../../core/limits.ts";
import { wordsOf } from "./double-words.ts";

export const DISTINCT_MAX = 256;
const SLOTS = 1024;

const rowsMax = limits.tableBlockRowsMax;

export type Distinct = {
  count: number;
  /** The different doubles in ascending order. */
  readonly values: Float64Array;
  /** Of each row: its entry, in the order in which entries appeared. */
  readonly entries: Uint8Array;
  /** Of each entry: its place in `values`. */
  readonly placeOf: Uint8Array;
};

/** What `findDistinct` found last. */
export const distinct: Distinct = {
  count: 0,
  values: new Float64Array(DISTINCT_MAX),
  entries: new Uint8Array(rowsMax),
  placeOf: new Uint8Array(DISTINCT_MAX),
};

const found = new Float64Array(DISTINCT_MAX);
const foundWords = wordsOf(found);
const valueWords = wordsOf(distinct.values);
/** Entry plus one, by hash. */
const slots = new Uint16Array(SLOTS);

/** How many different doubles rows [0, rows) have, with `distinct`; undefined: too many. */
export function findDistinct(words: Uint32Array, rows: number): number | undefined {
  slots.fill(0);
  let count = 0;
  for (let i = 0; i < rows; i++) {
    const low = words[2 * i]!;
    const high = words[2 * i + 1]!;
    const slot = slotOf(low, high);
    let entry = slots[slot]! - 1;
    if (entry < 0) {
      if (count === DISTINCT_MAX) return undefined;
      entry = count++;
      slots[slot] = count;
      foundWords[2 * entry] = low;
      foundWords[2 * entry + 1] = high;
    }
    distinct.entries[i] = entry;
  }
  distinct.count = count;
  return sortFound(count) ? count : undefined;
}

/** Where the double stands or would stand. */
function slotOf(low: number, high: number): number {
  let slot = hashOfPair(low, high) & (SLOTS - 1);
  for (;;) {
    const entry = slots[slot]! - 1;
    if (entry < 0) return slot;
    if (foundWords[2 * entry] === low && foundWords[2 * entry + 1] === high) return slot;
    slot = (slot + 1) & (SLOTS - 1);
  }
}

/** False where sorting changed the bits of a NaN, which is allowed to it. */
function sortFound(count: number): boolean {
  distinct.values.set(found.subarray(0, count));
  distinct.values.subarray(0, count).sort();
  for (let place = 0; place < count; place++) {
    const slot = slotOf(valueWords[2 * place]!, valueWords[2 * place + 1]!);
    if (slots[slot] === 0) return false;
    distinct.placeOf[slots[slot]! - 1] = place;
  }
  return true;
}
