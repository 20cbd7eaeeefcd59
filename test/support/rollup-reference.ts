/**
 * What a roll-up must say, computed apart from it: readings as objects, a Map of buckets, and exact
 * integers instead of doubles.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { KIND_ARRIVAL_TIME, KIND_SYMBOL } from "../../src/core/batch.ts";
import { createRows, type Rows, readings, rollupColumns } from "../../src/store/tables/rows.ts";
import { scaledOf, scaledOne, sizeOf } from "./exact-number.ts";

export type Reading = { readonly time: number; readonly value: number; readonly kind: number };

export type BucketColumn = (typeof rollupColumns)[number];

export function cellOf(rows: Rows, row: number, column: BucketColumn): number {
  return rows.columns[rollupColumns.indexOf(column)]![row]!;
}

export function bucketOf(rows: Rows, row: number): Record<string, number> {
  return Object.fromEntries(rollupColumns.map((column) => [column, cellOf(rows, row, column)]));
}

export function rowsOf(list: readonly Reading[]): Rows {
  const rows = createRows(readings, Math.max(1, list.length));
  for (const { time, value, kind } of list) {
    rows.time[rows.rows] = time;
    rows.kind[rows.rows] = kind;
    rows.columns[0]![rows.rows] = value;
    rows.rows++;
  }
  return rows;
}

const arbNumber = fc.oneof(
  fc.integer({ min: -10_000, max: 10_000 }).map((n) => n / 100),
  fc.integer({ min: 0, max: 50 }).map((n) => 233 + n / 1_000),
  fc.double({ min: -1, max: 1, noNaN: true }).map((noise) => 1e6 + noise),
  fc.double({ min: -1e140, max: 1e140, noNaN: true }),
  fc.constantFrom(0, -0, 1, 2 ** 60, -(2 ** 60), 1e-160),
);

const arbKind = fc.constantFrom(0, 0, 0, KIND_ARRIVAL_TIME, KIND_SYMBOL, 4 | KIND_ARRIVAL_TIME);

/** Readings around 1970 or 2025, a few hours of them, with fractions of milliseconds. */
export const arbReadings: fc.Arbitrary<readonly Reading[]> = fc
  .record({
    begin: fc.constantFrom(-7_200_000, 1_764_000_000_000),
    values: fc.constantFrom(
      arbNumber,
      fc.double({ min: -1, max: 1, noNaN: true }).map((noise) => -1e9 + noise),
      fc.constantFrom(0.1, 0.1, 0.1, Number.NaN),
    ),
  })
  .chain(({ begin, values }) =>
    fc.array(
      fc.record({
        time: fc
          .oneof(
            fc.integer({ min: 0, max: 120_000 }),
            fc.integer({ min: 0, max: 57_600_000 }),
            fc.integer({ min: 0, max: 12 }).map((edge) => edge * 40_000),
          )
          .map((n) => begin + n / 4),
        value: fc.oneof({ weight: 20, arbitrary: values }, fc.constant(Number.NaN)),
        kind: arbKind,
      }),
      { maxLength: 120 },
    ),
  )
  .map((list) => list.toSorted((a, b) => a.time - b.time));

export type Tolerances = {
  /** Of sum + sumError, as a part of the sum of absolute values. */
  readonly sum: number;
  /** Of squares, relative. */
  readonly squares: number;
};

/** Fails unless `rows` are the buckets of `list`, which has no infinities. */
export function assertRolledUp(
  rows: Rows,
  list: readonly Reading[],
  options: { readonly resolution: number; readonly tolerances: Tolerances },
): void {
  const { resolution, tolerances } = options;
  const buckets = new Map<number, Reading[]>();
  for (const reading of list) {
    const start = Math.floor(reading.time / resolution) * resolution + 0;
    buckets.set(start, [...(buckets.get(start) ?? []), reading]);
  }
  assert.deepEqual([...rows.time.subarray(0, rows.rows)], [...buckets.keys()]);
  for (let row = 0; row < rows.rows; row++) {
    assertBucket(rows, row, buckets.get(rows.time[row]!)!, tolerances);
  }
}

function assertBucket(rows: Rows, row: number, list: readonly Reading[], to: Tolerances): void {
  const cell = (column: BucketColumn): number => cellOf(rows, row, column);
  const numbers = list
    .filter(({ value, kind }) => !Number.isNaN(value) && (kind & KIND_SYMBOL) === 0)
    .map(({ value }) => value);
  assert.equal(cell("count"), list.length);
  assert.equal(cell("numbers"), numbers.length);
  const arrivalTimed = list.filter(({ kind }) => (kind & KIND_ARRIVAL_TIME) !== 0).length;
  assert.equal(cell("arrivalTimed"), arrivalTimed);
  assert.ok(Object.is(cell("min"), Math.min(...numbers)), "min");
  assert.ok(Object.is(cell("max"), Math.max(...numbers)), "max");

  const exact = numbers.map(scaledOf);
  const sum = exact.reduce((total, value) => total + value, 0n);
  const size = exact.reduce((total, value) => total + sizeOf(value), 0n);
  const pair = scaledOf(cell("sum")) + scaledOf(cell("sumError"));
  assertWithin(pair - sum, size, to.sum, "sum + sumError");

  // n * squares = n * (sum of x^2) - (sum of x)^2, in the scale of products.
  const n = BigInt(numbers.length);
  const squares = n * exact.reduce((total, value) => total + value * value, 0n) - sum * sum;
  const said = scaledOf(cell("squares")) * n * scaledOne;
  // Squares below the smallest doubles of full precision are not held to a relative error.
  if (squares === 0n) assert.equal(cell("squares"), 0);
  else if (squares > scaledOf(2 ** -900) * scaledOne) {
    assertWithin(said - squares, squares, to.squares, "squares");
  }
}

function assertWithin(error: bigint, size: bigint, tolerance: number, what: string): void {
  const apart = sizeOf(error) * scaledOne;
  assert.ok(apart <= size * scaledOf(tolerance), `${what} is further apart than ${tolerance}`);
}
