/**
 * Which blocks of a series are read together: those whose stamps, and whose values, follow one another in
 * the file, as far as a named limit goes.
 *
 *   stamps | s0 | s1 | s2 | ...          one read
 *   values        | v0 | v1 | v2 | ...   one read; or one in all, where the values follow the stamps
 */

import { assert } from "../../../core/assert.ts";
import { limits } from "../../../core/limits.ts";
import type { BlockEntry } from "./table-directory.ts";

/** Bytes [from, to) of a file. */
export type Range = { readonly from: number; readonly to: number };

export type BlockRun = {
  readonly entries: readonly BlockEntry[];
  readonly stamps: Range;
  readonly values: Range;
};

/** The longest run that begins with the entry at `place`. */
export function runFrom(entries: readonly BlockEntry[], place: number): BlockRun {
  const first = entries[place];
  assert(first !== undefined, "a run begins with an entry");
  const stamps = { from: first.stampsAt, to: first.stampsAt + first.stampsBytes };
  const values = { from: first.valuesAt, to: first.valuesAt + first.valuesBytes };
  let end = place + 1;
  for (; end < entries.length; end++) {
    const { stampsAt, stampsBytes, valuesAt, valuesBytes } = entries[end]!;
    if (stampsAt !== stamps.to || valuesAt !== values.to) break;
    const bytes = stamps.to + stampsBytes - stamps.from + (values.to + valuesBytes - values.from);
    if (bytes > limits.tableReadBytesMax) break;
    stamps.to += stampsBytes;
    values.to += valuesBytes;
  }
  return { entries: entries.slice(place, end), stamps, values };
}
