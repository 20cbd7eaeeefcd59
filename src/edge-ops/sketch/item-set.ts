/**
 * A bounded set of hashed items: open addressing with linear probing, no removal but of all.
 *
 *   slot  low half | high half, made odd       0 in the high half: free
 *
 * Two items with equal halves are one item here; among n items that happens by chance with
 * probability n^2 / 2^64.
 */

import { assert } from "../../core/assert.ts";
import { cellTable, type StateTable } from "../state-table.ts";

export type ItemSet = {
  readonly table: StateTable;
  /** Slot s is [2s, 2s + 2). Twice as many slots as items, a power of two. */
  readonly slots: Uint32Array;
  /** One cell: items in the set. */
  readonly count: Uint32Array;
  readonly itemsMax: number;
};

/** `name` is that of the state table. */
export function createItemSet(name: string, itemsMax: number): ItemSet {
  assert(itemsMax >= 1 && itemsMax <= 2 ** 24, "a set of items has a sensible bound");
  let slotCount = 2;
  while (slotCount < itemsMax * 2) slotCount *= 2;
  const slots = new Uint32Array(slotCount * 2);
  const count = new Uint32Array(1);
  return { table: cellTable(name, slots, count), slots, count, itemsMax };
}

export type Added = "new" | "known" | "full";

/** Takes an item by its hash halves, unless the set is full. */
export function addItem(
  { table, slots, count, itemsMax }: ItemSet,
  low: number,
  high: number,
): Added {
  const mark = (high | 1) >>> 0;
  const mask = slots.length / 2 - 1;
  let slot = low & mask;
  while (slots[slot * 2 + 1] !== 0) {
    if (slots[slot * 2] === low && slots[slot * 2 + 1] === mark) return "known";
    slot = (slot + 1) & mask;
  }
  if (count[0]! >= itemsMax) return "full";
  slots[slot * 2] = low;
  slots[slot * 2 + 1] = mark;
  count[0]! += 1;
  table.touch(0);
  return "new";
}

export function clearItems({ table, slots, count }: ItemSet): void {
  if (count[0] === 0) return;
  slots.fill(0);
  count[0] = 0;
  table.touch(0);
}
