import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { AggregateName } from "../spec.ts";
import { addReading, columnsOf, createAggregates, fieldsOf, mergeSlot } from "./aggregate.ts";

const ALL: readonly AggregateName[] = [
  "count",
  "sum",
  "mean",
  "min",
  "max",
  "variance",
  "first",
  "last",
];

type Timed = { readonly time: number; readonly value: number };

function aggregateOf(readings: readonly Timed[]) {
  const aggregates = createAggregates(ALL, { slotsMax: 2, table: "sketches" });
  for (const { value, time } of readings) addReading(aggregates, 1, value, time, 0);
  return aggregates;
}

const fixedPoint = (value: number): bigint => {
  // Values of the sum tests are multiples of 2^-40 below 2^60: exact in this scale.
  const high = Math.trunc(value);
  return (BigInt(high) << 40n) + BigInt((value - high) * 2 ** 40);
};

const arbValue = fc.oneof(
  fc.integer({ min: -1e6, max: 1e6 }),
  fc.integer({ min: -(2 ** 50), max: 2 ** 50 }).map((n) => n / 2 ** 40),
  fc.constantFrom(2 ** 55, -(2 ** 55), 1e15, 0.5),
);

test("the compensated sum is the exact sum where its pair can hold it, in any order of merging", () => {
  fc.assert(
    fc.property(
      fc.array(arbValue, { minLength: 1, maxLength: 200 }),
      fc.nat(200),
      (values, cut) => {
        const timed = values.map((value, time) => ({ time, value }));
        const whole = aggregateOf(timed);
        const merged = aggregateOf(timed.slice(0, cut));
        mergeSlot(merged, 1, aggregateOf(timed.slice(cut)), 1);
        const exact = values.reduce((sum, value) => sum + fixedPoint(value), 0n);
        for (const aggregates of [whole, merged]) {
          const { sum, sumError } = fieldsOf(aggregates, 1);
          assert.equal(fixedPoint(sum!) + fixedPoint(sumError!), exact);
        }
      },
    ),
  );
});

test("the mean is the exact sum divided, rounded twice", () => {
  const fields = fieldsOf(aggregateOf([1e16, 1, -1e16, 1].map((value) => ({ time: 0, value }))), 1);
  assert.equal(fields.sum, 2);
  assert.equal(fields.mean, 0.5);
});

// Welford's update and Chan's merge have a relative error of a few n * 2^-53 * condition; values
// here have |mean| / deviation below 1e4, for which 1e-8 leaves room.
test("variance agrees with two passes to 1e-8 relative, however it was merged", () => {
  const arbOffset = fc.constantFrom(0, 10, 1_000);
  const arbReadings = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), {
    minLength: 2,
    maxLength: 100,
  });
  fc.assert(
    fc.property(arbReadings, arbOffset, fc.nat(100), (noise, offset, cut) => {
      const values = noise.map((value, i) => offset + value + (i % 2));
      const timed = values.map((value, time) => ({ time, value }));
      const merged = aggregateOf(timed.slice(0, cut));
      mergeSlot(merged, 1, aggregateOf(timed.slice(cut)), 1);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      const variance = squares / values.length;
      for (const aggregates of [aggregateOf(timed), merged]) {
        const found = fieldsOf(aggregates, 1).variance!;
        assert.ok(Math.abs(found - variance) <= 1e-8 * Math.max(variance, 1e-4), `${found}`);
      }
    }),
  );
});

test("first and last go by event time; among equals the first and the last that arrived", () => {
  const times = fc.array(fc.nat(3), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(times, fc.nat(12), (list, cut) => {
      const timed = list.map((time, value) => ({ time, value }));
      const first = timed.find(({ time }) => time === Math.min(...list))!;
      const last = timed.findLast(({ time }) => time === Math.max(...list))!;
      const merged = aggregateOf(timed.slice(0, cut));
      mergeSlot(merged, 1, aggregateOf(timed.slice(cut)), 1);
      for (const aggregates of [aggregateOf(timed), merged]) {
        const fields = fieldsOf(aggregates, 1);
        assert.deepEqual([fields.first, fields.firstTime], [first.value, first.time]);
        assert.deepEqual([fields.last, fields.lastTime], [last.value, last.time]);
      }
    }),
  );
});

test("only what is asked for has columns and fields", () => {
  const aggregates = createAggregates(["mean"], { slotsMax: 4, table: "sketches" });
  addReading(aggregates, 3, 2, 0, 1);
  addReading(aggregates, 3, 4, 0, 0);
  assert.deepEqual(fieldsOf(aggregates, 3), { mean: 3 });
  assert.deepEqual(fieldsOf(aggregates, 0), {});
  assert.equal(aggregates.arrivalTimed[3], 1);
  assert.equal(columnsOf(aggregates, 1).length, 4);
});

test("a sum beyond the largest double is infinite and has no low part", () => {
  const fields = fieldsOf(aggregateOf([1.7e308, 1.7e308].map((value) => ({ time: 0, value }))), 1);
  assert.equal(fields.sum, Number.POSITIVE_INFINITY);
  assert.equal(fields.sumError, 0);
});
