import assert from "node:assert/strict";
import { test } from "node:test";
import { KIND_ARRIVAL_TIME, KIND_SYMBOL } from "../../../core/batch.ts";
import { figuresOf } from "./block-figures.ts";
import { createRows, type Rows, readings, rollupColumns } from "../rows.ts";

function readingsOf(values: readonly number[], kinds: readonly number[] = []): Rows {
  const rows = createRows(readings, values.length);
  rows.rows = values.length;
  for (const [i, value] of values.entries()) {
    rows.time[i] = 1_000 + i;
    rows.kind[i] = kinds[i] ?? 0;
    rows.columns[0]![i] = value;
  }
  return rows;
}

const none = {
  numbers: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
  sum: 0,
};

test("symbols and NaN are rows but no numbers", () => {
  const kinds = [0, KIND_SYMBOL, KIND_ARRIVAL_TIME, KIND_SYMBOL | KIND_ARRIVAL_TIME];
  const rows = readingsOf([2, 99, -3, 98, Number.NaN], kinds);
  assert.deepEqual(figuresOf(readings, rows), {
    rows: 5,
    timeFirst: 1_000,
    timeLast: 1_004,
    numbers: 2,
    min: -3,
    max: 2,
    sum: -1,
  });
  assert.deepEqual(figuresOf(readings, readingsOf([Number.NaN, 1], [0, KIND_SYMBOL])), {
    rows: 2,
    timeFirst: 1_000,
    timeLast: 1_001,
    ...none,
  });
});

test("the sum is that of the exact numbers, rounded; infinities are what they are", () => {
  const sumOf = (values: readonly number[]): number => figuresOf(readings, readingsOf(values)).sum;
  assert.equal(sumOf([1e16, 1, 1, -1e16]), 2);
  assert.equal(sumOf(Array.from({ length: 1_000 }, () => 0.1)), 100);
  assert.equal(sumOf([1, Number.POSITIVE_INFINITY, 2]), Number.POSITIVE_INFINITY);
  assert.ok(Number.isNaN(sumOf([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])));
});

test("-0 is less than 0", () => {
  const { min, max } = figuresOf(readings, readingsOf([0, -0]));
  assert.ok(Object.is(min, -0) && Object.is(max, 0));
});

test("of buckets: what was counted, the least of the least, the sum of pairs", () => {
  const rows = createRows(10_000, 3);
  rows.rows = 3;
  const buckets = [
    { count: 12, numbers: 10, min: 3, max: 7, sum: 2 ** 53, sumError: 1 },
    { count: 5, numbers: 0, min: Infinity, max: -Infinity, sum: 0, sumError: 0 },
    { count: 2, numbers: 2, min: -1, max: 4, sum: 1, sumError: 0 },
  ];
  for (const [i, bucket] of buckets.entries()) {
    rows.time[i] = i * 10_000;
    for (const [name, value] of Object.entries(bucket)) {
      rows.columns[rollupColumns.findIndex((column) => column === name)]![i] = value;
    }
  }
  assert.deepEqual(figuresOf(10_000, rows), {
    rows: 3,
    timeFirst: 0,
    timeLast: 20_000,
    numbers: 12,
    min: -1,
    max: 7,
    sum: 2 ** 53 + 2,
  });
});
