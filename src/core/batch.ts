/**
 * A Batch: readings in columns, one row per reading, in arrival order. It is filled by the decoders,
 * copied column by column into the log, and read by the operators. Bounded in rows; no object per
 * reading anywhere between.
 *
 * Time is milliseconds since 1970 in a Float64Array. A value is the number itself, or, where the
 * kind has SYMBOL, the id of a symbol (a string or boolean reading).
 */

import { assert } from "./assert.ts";

/** Bits of the `kind` column. */
export const KIND_SYMBOL = 1;
/** The device gave no time: `time` is when we received the reading. */
export const KIND_ARRIVAL_TIME = 2;
/** `sequence` holds the device's own sequence number. */
export const KIND_SEQUENCE = 4;
const KIND_BITS = KIND_SYMBOL | KIND_ARRIVAL_TIME | KIND_SEQUENCE;
/** Before the frame was written the very reading was found among those that are stored: a resend. */
export const KIND_STORED = 8;

/** Columns of equal capacity; rows [0, rows) are in use. */
export type Batch = {
  rows: number;
  /** SeriesId of each row. */
  readonly series: Uint32Array;
  /** Event time of each row, Millis; finite. */
  readonly time: Float64Array;
  /** Value of each row, in the unit of its series; a SymbolId where kind has KIND_SYMBOL. */
  readonly value: Float64Array;
  /** KIND_* bits of each row. */
  readonly kind: Uint8Array;
  /** Device sequence number of each row; meaningful only where kind has KIND_SEQUENCE, else 0. */
  readonly sequence: Float64Array;
};

export function createBatch(rowsMax: number): Batch {
  assert(rowsMax > 0, "a batch has room for a row");
  return {
    rows: 0,
    series: new Uint32Array(rowsMax),
    time: new Float64Array(rowsMax),
    value: new Float64Array(rowsMax),
    kind: new Uint8Array(rowsMax),
    sequence: new Float64Array(rowsMax),
  };
}

export function rowsMaxOf(batch: Batch): number {
  return batch.series.length;
}

/** Rows [from, to) as a batch of its own that shares the memory of `batch`. */
export function sliceOfBatch(batch: Batch, range: { from: number; to: number }): Batch {
  assert(range.from <= range.to && range.to <= batch.rows, "a slice lies within its batch");
  return {
    rows: range.to - range.from,
    series: batch.series.subarray(range.from, range.to),
    time: batch.time.subarray(range.from, range.to),
    value: batch.value.subarray(range.from, range.to),
    kind: batch.kind.subarray(range.from, range.to),
    sequence: batch.sequence.subarray(range.from, range.to),
  };
}

/** Whether a byte read from disk is the `kind` of a reading; one in a frame may have KIND_STORED, too. */
export function isKind(bits: number): boolean {
  return (bits & ~KIND_BITS) === 0;
}
