/**
 * Rolling up: readings to buckets of a resolution, buckets to coarser ones, and parts of one bucket
 * added up, column by column of `rollupColumns`.
 *
 *   count, numbers,   exact
 *   arrivalTimed
 *   min, max          exact; -0 is less than 0. Of no numbers: +Infinity and -Infinity, with which
 *                     any part is added up without asking
 *   sum + sumError    compensated pair (Neumaier 1974): the exact sum of n numbers to within about
 *                     n^2 * 2^-106 of the sum of their absolute values; 0 of no numbers
 *   squares           two passes with the correction for the rounded mean, merged by their pairs
 *                     (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance",
 *                     equations 1.7 and 1.5b), where the difference of the means is taken from exact
 *                     products: relative error 1e-12, however far the mean is from 0; exactly 0
 *                     where all numbers are equal
 *
 * So any cut into blocks, any order of adding up and any cascade of resolutions give the same row to
 * within these bounds. Where infinities are among the numbers, or sums pass the largest double, sum
 * is what IEEE 754 says of them (an infinity or NaN; sumError is then 0) and squares is NaN; which of
 * them a sum that passes the largest double becomes depends on the order. NaN in squares also says
 * that the squares, or products on the way to them, passed it (numbers beyond 1e145 or so).
 *
 * `settle` makes rows small for the disk, for a price that it states.
 */

import { assert } from "../../core/assert.ts";
import { KIND_ARRIVAL_TIME, KIND_SYMBOL } from "../../core/batch.ts";
import { errorOfProduct, errorOfSum, roundedTo24Bits } from "../../edge-ops/rounding-error.ts";
import {
  createRows,
  type ResolutionMs,
  type Rows,
  readings,
  rollupColumns,
  rowsMaxOf,
} from "./rows.ts";

const COUNT = rollupColumns.indexOf("count");
const NUMBERS = rollupColumns.indexOf("numbers");
const ARRIVAL_TIMED = rollupColumns.indexOf("arrivalTimed");
const MIN = rollupColumns.indexOf("min");
const MAX = rollupColumns.indexOf("max");
const SUM = rollupColumns.indexOf("sum");
const SUM_ERROR = rollupColumns.indexOf("sumError");
const SQUARES = rollupColumns.indexOf("squares");

/** A part on its way into its bucket. */
const part = createRows(1, 1);

export type RollUpRange = {
  /** Resolution of the source; `readings`, or one that divides `to`. */
  readonly from: ResolutionMs;
  /** Resolution of the target; buckets begin at its multiples, in UTC. */
  readonly to: ResolutionMs;
  /** The first row of the source that is rolled up; default 0. */
  readonly row?: number;
};

/**
 * Rolls up rows of one series from `range.row` on into buckets appended to `target`. The last bucket
 * of `target` goes on with the next rows, so blocks follow in ascending order of time. Returns the
 * row it stopped at: `source.rows`, or the first of a bucket for which `target` has no room. All
 * buckets of a full target are then whole:
 *
 *     for (let row = 0; ; ) {
 *       row = rollUp(source, target, { from, to, row });
 *       if (row === source.rows) break;
 *       emit(target);
 *       target.rows = 0;
 *     }
 */
export function rollUp(source: Rows, target: Rows, { from, to, row = 0 }: RollUpRange): number {
  assert(
    to > from && to % (from === readings ? 1 : from) === 0,
    "a resolution divides the coarser",
  );
  return from === readings
    ? rollUpReadings(source, target, to, row)
    : rollUpBuckets(source, target, to, row);
}

/** Start of the bucket that holds `time`; the right one also for doubles just below a boundary. */
export function bucketStartOf(time: number, resolution: ResolutionMs): number {
  return Math.floor(time / resolution) * resolution + 0;
}

function rollUpReadings(source: Rows, target: Rows, to: ResolutionMs, row: number): number {
  const { time, rows } = source;
  let first = row;
  while (first < rows) {
    const start = bucketStartOf(time[first]!, to);
    const bucket = openBucket(target, start);
    if (bucket === undefined) return first;
    let end = first + 1;
    while (end < rows && time[end]! < start + to) end++;
    summarise(source, first, end);
    addParts(target, bucket, part, 0);
    first = end;
  }
  return rows;
}

function rollUpBuckets(source: Rows, target: Rows, to: ResolutionMs, row: number): number {
  const { time, rows } = source;
  for (let from = row; from < rows; from++) {
    const bucket = openBucket(target, bucketStartOf(time[from]!, to));
    if (bucket === undefined) return from;
    addParts(target, bucket, source, from);
  }
  return rows;
}

/** Row of the bucket that begins at `start`: the last or a new one; undefined where none fits. */
function openBucket(target: Rows, start: number): number | undefined {
  const row = target.rows;
  if (row > 0) {
    const last = target.time[row - 1]!;
    assert(last <= start, "rows are rolled up in ascending order of time");
    if (last === start) return row - 1;
  }
  if (row === rowsMaxOf(target)) return undefined;
  target.time[row] = start;
  target.kind[row] = 0;
  target.sequence[row] = 0;
  emptyBucket(target, row);
  target.rows = row + 1;
  return row;
}

/** What parts are added to first. */
export function emptyBucket({ columns }: Rows, row: number): void {
  columns[COUNT]![row] = 0;
  columns[NUMBERS]![row] = 0;
  columns[ARRIVAL_TIMED]![row] = 0;
  columns[MIN]![row] = Number.POSITIVE_INFINITY;
  columns[MAX]![row] = Number.NEGATIVE_INFINITY;
  columns[SUM]![row] = 0;
  columns[SUM_ERROR]![row] = 0;
  columns[SQUARES]![row] = 0;
}

/** Readings [first, end) as one bucket, in `part`. */
function summarise(source: Rows, first: number, end: number): void {
  const { kind } = source;
  const value = source.columns[0]!;
  let numbers = 0;
  let arrivalTimed = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let sumError = 0;
  for (let row = first; row < end; row++) {
    if ((kind[row]! & KIND_ARRIVAL_TIME) !== 0) arrivalTimed++;
    const number = value[row]!;
    if (!isNumber(number, kind[row]!)) continue;
    numbers++;
    min = Math.min(min, number);
    max = Math.max(max, number);
    const moved = sum + number;
    sumError += errorOfSum(sum, number, moved);
    sum = moved;
  }
  const { columns } = part;
  columns[COUNT]![0] = end - first;
  columns[NUMBERS]![0] = numbers;
  columns[ARRIVAL_TIMED]![0] = arrivalTimed;
  columns[MIN]![0] = min;
  columns[MAX]![0] = max;
  columns[SUM]![0] = sum;
  columns[SUM_ERROR]![0] = Number.isFinite(sum) ? sumError : 0;
  columns[SQUARES]![0] = 0;
  if (numbers === 0 || isConstant(part, 0)) return;
  columns[SQUARES]![0] = finiteSquares(squaresInPart(source, first, end));
}

/** The second pass over readings [first, end), whose numbers and sum are in `part`. */
function squaresInPart(source: Rows, first: number, end: number): number {
  const { kind } = source;
  const value = source.columns[0]!;
  const numbers = part.columns[NUMBERS]![0]!;
  const mean = (part.columns[SUM]![0]! + part.columns[SUM_ERROR]![0]!) / numbers;
  let squares = 0;
  let distances = 0;
  for (let row = first; row < end; row++) {
    const number = value[row]!;
    if (!isNumber(number, kind[row]!)) continue;
    const distance = number - mean;
    squares += distance * distance;
    distances += distance;
  }
  return squares - (distances * distances) / numbers;
}

/** Neither a symbol nor NaN. */
function isNumber(value: number, kind: number): boolean {
  return (kind & KIND_SYMBOL) === 0 && value === value;
}

/** All numbers of the bucket are the same one, so that squares are 0, also where settled sums differ. */
function isConstant({ columns }: Rows, row: number): boolean {
  return columns[MIN]![row] === columns[MAX]![row] && Number.isFinite(columns[SUM]![row]);
}

function finiteSquares(squares: number): number {
  return Number.isFinite(squares) ? Math.max(squares, 0) : Number.NaN;
}

/** Adds bucket `from` of `source` to bucket `to` of `target`: two parts of the same readings' time. */
export function addParts(target: Rows, to: number, source: Rows, from: number): void {
  const a = target.columns;
  const b = source.columns;
  a[COUNT]![to]! += b[COUNT]![from]!;
  a[ARRIVAL_TIMED]![to]! += b[ARRIVAL_TIMED]![from]!;
  const added = b[NUMBERS]![from]!;
  if (added === 0) return;
  const before = a[NUMBERS]![to]!;
  a[NUMBERS]![to] = before + added;
  if (before === 0) {
    for (let column = MIN; column <= SQUARES; column++) a[column]![to] = b[column]![from]!;
    return;
  }
  a[MIN]![to] = Math.min(a[MIN]![to]!, b[MIN]![from]!);
  a[MAX]![to] = Math.max(a[MAX]![to]!, b[MAX]![from]!);
  // Of the sums as they were before they are added.
  const apart = squaresApart(target, to, source, from);
  const sum = a[SUM]![to]!;
  const other = b[SUM]![from]!;
  const moved = sum + other;
  a[SUM_ERROR]![to] = Number.isFinite(moved)
    ? a[SUM_ERROR]![to]! + b[SUM_ERROR]![from]! + errorOfSum(sum, other, moved)
    : 0;
  a[SUM]![to] = moved;
  a[SQUARES]![to] = isConstant(target, to)
    ? 0
    : finiteSquares(a[SQUARES]![to]! + b[SQUARES]![from]! + apart);
}

/**
 * What the squares of two parts of m and n numbers lack, because their means differ:
 * (n * sumA - m * sumB)^2 / (m * n * (m + n)). The difference cancels where the means are close to
 * each other and far from 0, hence the products with their errors.
 */
function squaresApart(target: Rows, to: number, source: Rows, from: number): number {
  const m = target.columns[NUMBERS]![to]! - source.columns[NUMBERS]![from]!;
  const n = source.columns[NUMBERS]![from]!;
  const sumA = target.columns[SUM]![to]!;
  const sumB = source.columns[SUM]![from]!;
  const a = n * sumA;
  const b = m * sumB;
  const lowA = errorOfProduct(n, sumA, a) + n * target.columns[SUM_ERROR]![to]!;
  const lowB = errorOfProduct(m, sumB, b) + m * source.columns[SUM_ERROR]![from]!;
  const high = a - b;
  const meansApart = (high + (errorOfSum(a, -b, high) + lowA - lowB)) / m / n;
  return meansApart * meansApart * ((m * n) / (m + n));
}

/**
 * Makes whole buckets small on disk, in place: the pair becomes a sum of few digits and a rest of
 * few bits, and squares keep 24 bits. Counts, minima and maxima stay. Relative errors, of each
 * settling; where settled parts are added up and settled again they add up too:
 *
 *   sum + sumError    2^-61: settled 100 times over still within an ulp of the sum
 *   sum alone         2^-50: it is the double nearest to the pair, or a decimal beside it
 *   squares           2^-24, while the mean is below 2^36 deviations: what the rounded sums of parts
 *                     then change in it is less
 */
export function settle({ columns, rows }: Rows): void {
  const sum = columns[SUM]!;
  const sumError = columns[SUM_ERROR]!;
  const squares = columns[SQUARES]!;
  for (let row = 0; row < rows; row++) {
    squares[row] = roundedTo24Bits(squares[row]!);
    const high = sum[row]!;
    const low = sumError[row]!;
    const nearest = high + low;
    if (!Number.isFinite(nearest)) continue;
    const settled = decimalBeside(nearest);
    // Differences of neighbours are exact. Added to the anchor, the rest keeps 8 bits below the sum.
    const rest = nearest - settled + errorOfSum(high, low, nearest);
    const anchor = settled * REST_SCALE;
    sum[row] = settled;
    sumError[row] = rest + anchor - anchor;
  }
}

const REST_SCALE = 2 ** -8;
const DECIMALS_MAX = 15;
/** With more digits than this a decimal would be found beside any double. */
const DECIMAL_MAX = 2 ** 45;

/**
 * The decimal of fewest digits within 2^-51, else `sum` itself. Decimal readings are a little beside
 * the decimals in binary, and so is their sum: on real pump data another double is nearest to one sum
 * in eight, and every such row is an exception to the decimal encoding of its block (2.42 bytes per
 * sum in place of 2.28). It is found unless the sum is less than half the sum of absolute values.
 */
function decimalBeside(sum: number): number {
  const apartMax = Math.abs(sum) * 2 ** -51;
  for (let decimals = 0, scale = 1; decimals <= DECIMALS_MAX; decimals++, scale *= 10) {
    const scaled = sum * scale;
    if (Math.abs(scaled) > DECIMAL_MAX) break;
    const decimal = Math.round(scaled) / scale;
    if (Math.abs(decimal - sum) <= apartMax) return decimal;
  }
  return sum;
}

/** Mean of a bucket's numbers; undefined where it has none. */
export function meanOf({ columns }: Rows, row: number): number | undefined {
  const numbers = columns[NUMBERS]![row]!;
  if (numbers === 0) return undefined;
  return (columns[SUM]![row]! + columns[SUM_ERROR]![row]!) / numbers;
}

/** Variance of a bucket's numbers as a population; undefined where it has none. */
export function varianceOf({ columns }: Rows, row: number): number | undefined {
  const numbers = columns[NUMBERS]![row]!;
  return numbers === 0 ? undefined : columns[SQUARES]![row]! / numbers;
}
