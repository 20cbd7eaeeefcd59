/**
 * What a directory says of a block without its rows: how many, from when to when, and of the numbers
 * in it (rows that are neither symbols nor NaN, or what buckets have counted) the count, the extremes
 * and the sum.
 */

import { KIND_SYMBOL } from "../../../core/batch.ts";
import { errorOfSum } from "../../../edge-ops/rounding-error.ts";
import { type ResolutionMs, type Rows, readings, rollupColumns } from "../rows.ts";

export type BlockFigures = {
  readonly rows: number;
  /** Times of the first and the last row. */
  readonly timeFirst: number;
  readonly timeLast: number;
  readonly numbers: number;
  /** -0 is less than 0. Of no numbers: +Infinity and -Infinity. */
  readonly min: number;
  readonly max: number;
  /** Compensated (Neumaier 1974), then rounded once; 0 where there is none. */
  readonly sum: number;
};

const NUMBERS = rollupColumns.indexOf("numbers");
const MIN = rollupColumns.indexOf("min");
const MAX = rollupColumns.indexOf("max");
const SUM = rollupColumns.indexOf("sum");
const SUM_ERROR = rollupColumns.indexOf("sumError");

/** Of all rows, which are at least one. */
export function figuresOf(resolution: ResolutionMs, rows: Rows): BlockFigures {
  const timeFirst = rows.time[0]!;
  const timeLast = rows.time[rows.rows - 1]!;
  const inNumbers = resolution === readings ? ofReadings(rows) : ofBuckets(rows);
  return { rows: rows.rows, timeFirst, timeLast, ...inNumbers };
}

type NumberFigures = Pick<BlockFigures, "numbers" | "min" | "max" | "sum">;

function ofReadings({ rows, kind, columns }: Rows): NumberFigures {
  const values = columns[0]!;
  let numbers = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let error = 0;
  for (let i = 0; i < rows; i++) {
    const value = values[i]!;
    if ((kind[i]! & KIND_SYMBOL) !== 0 || Number.isNaN(value)) continue;
    numbers += 1;
    min = Math.min(min, value);
    max = Math.max(max, value);
    const next = sum + value;
    error += errorOfSum(sum, value, next);
    sum = next;
  }
  return { numbers, min, max, sum: Number.isFinite(sum) ? sum + error : sum };
}

function ofBuckets({ rows, columns }: Rows): NumberFigures {
  const counts = columns[NUMBERS]!;
  const mins = columns[MIN]!;
  const maxs = columns[MAX]!;
  const sums = columns[SUM]!;
  const errors = columns[SUM_ERROR]!;
  let numbers = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let error = 0;
  for (let i = 0; i < rows; i++) {
    if (counts[i] === 0) continue;
    numbers += counts[i]!;
    min = Math.min(min, mins[i]!);
    max = Math.max(max, maxs[i]!);
    const next = sum + sums[i]!;
    error += errors[i]! + errorOfSum(sum, sums[i]!, next);
    sum = next;
  }
  return { numbers, min, max, sum: Number.isFinite(sum) ? sum + error : sum };
}
