/**
 * Rows: what blocks of a table are made of and read into, in columns, in ascending order of time;
 * rows of the same time stand in the order in which they were accepted. Every row has a stamp (time,
 * kind, sequence), which the series of one device mostly share, and its columns:
 *
 *   readings         the value
 *   a resolution     `rollupColumns`, one row per bucket; the stamp is the bucket's start, kind 0
 */

import { assert } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";

/** When, and how it is known: one per row. Buffers are the owner's; rows [0, rows) are in use. */
export type Stamps = {
  rows: number;
  /** Event time, or the start of a bucket, Millis; finite, ascending. */
  readonly time: Float64Array;
  /** KIND_* bits of each row. */
  readonly kind: Uint8Array;
  /** Device sequence number where kind has KIND_SEQUENCE, else 0. */
  readonly sequence: Float64Array;
};

export type Rows = Stamps & {
  /** Of equal capacity; as many as the section of the table has. */
  readonly columns: readonly Float64Array[];
};

/** Half-open, in milliseconds of event time. */
export type TimeRange = { readonly from: number; readonly to: number };

export const allTime: TimeRange = {
  from: Number.NEGATIVE_INFINITY,
  to: Number.POSITIVE_INFINITY,
};

export function isWithin({ from, to }: TimeRange, time: number): boolean {
  return time >= from && time < to;
}

/** Milliseconds per row of a section; 0 stands for the readings themselves. */
export type ResolutionMs = number;

export const readings: ResolutionMs = 0;

/** Columns of a section of readings. */
export const readingColumns = ["value"] as const;

/**
 * Columns of a bucket. `count` is all readings in it; `numbers` are those that are neither symbols
 * nor NaN, and all that follows is about them. The sum is `sum + sumError`; `squares` is the sum of
 * squared distances from the mean. A bucket may stand in several tables: its parts are added up.
 */
export const rollupColumns = [
  "count",
  "numbers",
  "arrivalTimed",
  "min",
  "max",
  "sum",
  "sumError",
  "squares",
] as const;

export function columnCountOf(resolution: ResolutionMs): number {
  return resolution === readings ? readingColumns.length : rollupColumns.length;
}

/** Empty rows with room for `rowsMax` of a section; default: one block. */
export function createRows(
  resolution: ResolutionMs,
  rowsMax: number = limits.tableBlockRowsMax,
): Rows {
  assert(rowsMax > 0, "rows have room");
  return {
    rows: 0,
    time: new Float64Array(rowsMax),
    kind: new Uint8Array(rowsMax),
    sequence: new Float64Array(rowsMax),
    columns: Array.from({ length: columnCountOf(resolution) }, () => new Float64Array(rowsMax)),
  };
}

export function rowsMaxOf(rows: Rows): number {
  return rows.time.length;
}

/** Rows [from, to). */
type RowRange = { readonly from: number; readonly to: number };

/** Appends rows [from, to) of `source`, a section of the same kind; there must be room for them. */
export function appendRows(target: Rows, source: Rows, range: RowRange): void {
  const { from, to } = range;
  const at = target.rows;
  const count = to - from;
  assert(from >= 0 && count >= 0 && to <= source.rows, "rows are appended from those in use");
  assert(at + count <= rowsMaxOf(target), "rows are appended where there is room");
  assert(target.columns.length === source.columns.length, "rows of one kind of section");
  copyCells(target.time, at, source.time, range);
  copyBytes(target.kind, at, source.kind, range);
  copyCells(target.sequence, at, source.sequence, range);
  for (let column = 0; column < source.columns.length; column++) {
    copyCells(target.columns[column]!, at, source.columns[column]!, range);
  }
  target.rows = at + count;
}

/** Shorter runs are copied by a loop: a view of each would cost more, and be garbage. */
const RUN_OF_A_VIEW = 64;

// Two functions, because V8 makes a fast one only of what always sees the same kind of array.

function copyCells(target: Float64Array, at: number, source: Float64Array, of: RowRange): void {
  const { from, to } = of;
  if (to - from >= RUN_OF_A_VIEW) target.set(source.subarray(from, to), at);
  else for (let row = from; row < to; row++) target[at + row - from] = source[row]!;
}

function copyBytes(target: Uint8Array, at: number, source: Uint8Array, of: RowRange): void {
  const { from, to } = of;
  if (to - from >= RUN_OF_A_VIEW) target.set(source.subarray(from, to), at);
  else for (let row = from; row < to; row++) target[at + row - from] = source[row]!;
}

/** The rows in the range, as views of the same memory; the rows themselves where all are. O(log rows). */
export function clippedRows(rows: Rows, { from, to }: TimeRange): Rows {
  const first = firstFrom(rows, from);
  const end = firstFrom(rows, to);
  if (first === 0 && end === rows.rows) return rows;
  return {
    rows: Math.max(0, end - first),
    time: rows.time.subarray(first, end),
    kind: rows.kind.subarray(first, end),
    sequence: rows.sequence.subarray(first, end),
    columns: rows.columns.map((column) => column.subarray(first, end)),
  };
}

/** The first row that is not before `time`. */
function firstFrom(rows: Stamps, time: number): number {
  let low = 0;
  let high = rows.rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows.time[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
