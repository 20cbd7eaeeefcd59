import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { scaledOf, sizeOf } from "../../../test/support/exact-number.ts";
import {
  arbReadings,
  assertRolledUp,
  bucketOf,
  cellOf,
  type Reading,
  rowsOf,
} from "../../../test/support/rollup-reference.ts";
import { KIND_ARRIVAL_TIME, KIND_SYMBOL } from "../../core/batch.ts";
import { addParts, bucketStartOf, meanOf, rollUp, settle, varianceOf } from "./rollup.ts";
import { appendRows, createRows, type Rows, readings, rollupColumns } from "./rows.ts";

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;

/**
 * As the header of rollup.ts says: 120 numbers, n^2 * 2^-106; and squares. Each settling adds its own.
 */
const unsettled = { sum: 2 ** -92, squares: 1e-12 };

const valued = (...values: readonly number[]): Reading[] =>
  values.map((value, time) => ({ time, value, kind: 0 }));

function rolledUp(list: readonly Reading[], to: number): Rows {
  const rows = createRows(to, Math.max(1, list.length));
  const source = rowsOf(list);
  assert.equal(rollUp(source, rows, { from: readings, to }), source.rows);
  return rows;
}

/** Rolls blocks up as a flush does, through a target of `room` rows that is emptied when full. */
function streamed(
  blocks: readonly Rows[],
  options: { from: number; to: number; room: number },
): Rows {
  const { from, to, room } = options;
  const emitted = createRows(to, 1_000);
  const target = createRows(to, room);
  const emit = (): void => {
    appendRows(emitted, target, { from: 0, to: target.rows });
    target.rows = 0;
  };
  for (const block of blocks) {
    for (let row = 0; ; ) {
      row = rollUp(block, target, { from, to, row });
      if (row === block.rows) break;
      assert.equal(target.rows, room, "it stops only where the target is full");
      emit();
    }
  }
  emit();
  return emitted;
}

/** `rows` in blocks of the given sizes, which are used in turn. */
function cut(rows: Rows, sizes: readonly number[]): Rows[] {
  const blocks: Rows[] = [];
  for (let from = 0, turn = 0; from < rows.rows; turn++) {
    const to = Math.min(rows.rows, from + sizes[turn % sizes.length]!);
    const block: Rows = {
      ...createRows(readings, to - from),
      columns: rows.columns.map(() => new Float64Array(to - from)),
    };
    appendRows(block, rows, { from, to });
    blocks.push(block);
    from = to;
  }
  return blocks;
}

const arbSizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });

test("readings roll up to what exact arithmetic says of them, however they were cut into blocks", () => {
  fc.assert(
    fc.property(
      arbReadings,
      arbSizes,
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(10 * SECOND, MINUTE, HOUR, 24 * HOUR),
      (list, sizes, room, resolution) => {
        const rows = streamed(cut(rowsOf(list), sizes), { from: readings, to: resolution, room });
        assertRolledUp(rows, list, { resolution, tolerances: unsettled });
      },
    ),
    { numRuns: 300 },
  );
});

test("any cascade of resolutions rolls up to what exact arithmetic says of the readings", () => {
  fc.assert(
    fc.property(
      arbReadings,
      arbSizes,
      fc.integer({ min: 1, max: 5 }),
      fc.subarray([10 * SECOND, MINUTE, 10 * MINUTE], { minLength: 1 }),
      (list, sizes, room, between) => {
        let rows = rowsOf(list);
        let from = readings;
        for (const to of [...between, HOUR]) {
          rows = streamed(cut(rows, sizes), { from, to, room });
          from = to;
          assertRolledUp(rows, list, { resolution: to, tolerances: unsettled });
        }
      },
    ),
    { numRuns: 200 },
  );
});

test("parts of a bucket add up in any order and any tree to what exact arithmetic says", () => {
  const arbDeal = fc.array(fc.nat(7), { minLength: 120, maxLength: 120 });
  const arbPicks = fc.array(fc.nat(), { minLength: 14, maxLength: 14 });
  fc.assert(
    fc.property(arbReadings, arbDeal, arbPicks, (list, deal, picks) => {
      fc.pre(list.length > 0);
      const day = 24 * HOUR;
      const start = bucketStartOf(list[0]!.time, day);
      const oneDay = list.filter(({ time }) => time < start + day);
      const dealt = Array.from({ length: 8 }, (_, table) =>
        oneDay.filter((_reading, i) => deal[i] === table),
      );
      const parts = dealt.filter((part) => part.length > 0).map((part) => rolledUp(part, day));
      for (let turn = 0; parts.length > 1; turn++) {
        const [part] = parts.splice(picks[turn * 2]! % parts.length, 1);
        addParts(parts[picks[turn * 2 + 1]! % parts.length]!, 0, part!, 0);
      }
      assertRolledUp(parts[0]!, oneDay, { resolution: day, tolerances: unsettled });
    }),
    { numRuns: 300 },
  );
});

test("settled on every level of a cascade, sums keep 2^-61 and squares 2^-24 of each level", () => {
  const arbPositive = fc.array(
    fc.record({
      time: fc.integer({ min: 0, max: 7_200_000 }),
      value: fc.integer({ min: 1, max: 500_000 }).map((n) => 233 + n / 10_000),
      kind: fc.constant(0),
    }),
    { minLength: 2, maxLength: 200 },
  );
  fc.assert(
    fc.property(arbPositive, (unsorted) => {
      const list = unsorted.toSorted((a, b) => a.time - b.time);
      let rows = rowsOf(list);
      let from = readings;
      let level = 0;
      for (const to of [10 * SECOND, MINUTE, HOUR]) {
        rows = streamed([rows], { from, to, room: 100 });
        settle(rows);
        from = to;
        level++;
        // The means of 2^-61 are as good as 2^-61 * (mean / deviation)^2 in the squares: far below.
        const tolerances = { sum: level * 2 ** -61, squares: level * 2 ** -24 * 1.0001 };
        assertRolledUp(rows, list, { resolution: to, tolerances });
      }
    }),
  );
});

test("a settled pair is the pair to 2^-61, its sum within 2^-50 of it", () => {
  const arbPair = fc.record({
    sum: fc.oneof(
      fc.double({ min: -1e300, max: 1e300, noNaN: true }),
      fc.integer().map((n) => n / 1_000),
    ),
    part: fc.double({ min: -1, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(arbPair, ({ sum, part }) => {
      fc.pre(Math.abs(sum) > 1e-280);
      const rows = rolledUp(valued(1, 2), MINUTE);
      const sumError = sum * part * 2 ** -40;
      rows.columns[rollupColumns.indexOf("sum")]![0] = sum;
      rows.columns[rollupColumns.indexOf("sumError")]![0] = sumError;
      settle(rows);
      const exact = scaledOf(sum) + scaledOf(sumError);
      const settled = scaledOf(cellOf(rows, 0, "sum"));
      const pair = settled + scaledOf(cellOf(rows, 0, "sumError"));
      assert.ok(sizeOf(pair - exact) << 61n <= sizeOf(exact), "the pair");
      assert.ok(sizeOf(settled - exact) << 50n <= sizeOf(exact), "its sum");
      settle(rows);
      const again = scaledOf(cellOf(rows, 0, "sum")) + scaledOf(cellOf(rows, 0, "sumError"));
      assert.equal(again, pair, "a settled pair keeps its value when it is settled again");
    }),
    { numRuns: 1_000 },
  );
});

test("the settled sum of decimals is a decimal", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { minLength: 1, maxLength: 100 }),
      fc.constantFrom(1, 10, 100, 10_000),
      (integers, scale) => {
        const rows = rolledUp(valued(...integers.map((n) => n / scale)), MINUTE);
        settle(rows);
        const total = integers.reduce((sum, n) => sum + n, 0);
        // Where decimals cancel, what they are beside the decimal is not small against their sum.
        const size = integers.reduce((sum, n) => sum + Math.abs(n), 0);
        fc.pre(size <= 2 * Math.abs(total));
        assert.equal(cellOf(rows, 0, "sum"), total / scale);
      },
    ),
  );
});

test("buckets begin at multiples of the resolution, before 1970 too", () => {
  assert.equal(bucketStartOf(-1, 10 * SECOND), -10 * SECOND);
  assert.equal(bucketStartOf(-10 * SECOND, 10 * SECOND), -10 * SECOND);
  assert.ok(Object.is(bucketStartOf(-0, 10 * SECOND), 0));
  // Nearer to 0 the quotient is no longer a number but 0; no clock says such times.
  const arbTime = fc
    .double({ min: -4e12, max: 4e12, noNaN: true })
    .map((time) => (Math.abs(time) < 1e-290 ? 0 : time));
  const arbResolution = fc.constantFrom(10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 24 * HOUR);
  fc.assert(
    fc.property(
      arbTime,
      fc.integer({ min: -20_000, max: 20_000 }),
      arbResolution,
      (time, k, to) => {
        // The doubles just beside a boundary too, where a rounded quotient could go to the wrong side.
        const edge = k * to;
        const ulp = 2 ** (Math.floor(Math.log2(Math.abs(edge) + 1)) - 52);
        for (const at of [time, edge, edge - ulp, edge - ulp / 2, edge + ulp]) {
          const start = bucketStartOf(at, to);
          assert.ok(start <= at && at < start + to && start % to === 0, `${at} in ${start}`);
        }
      },
    ),
  );
});

test("symbols and NaN count as readings, not as numbers; a bucket without numbers adds nothing", () => {
  const list: Reading[] = [
    { time: 0, value: 7, kind: KIND_SYMBOL },
    { time: 1, value: Number.NaN, kind: KIND_ARRIVAL_TIME },
  ];
  const rows = rolledUp(list, MINUTE);
  const empty = {
    count: 2,
    numbers: 0,
    arrivalTimed: 1,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    sum: 0,
    sumError: 0,
    squares: 0,
  };
  assert.deepEqual(bucketOf(rows, 0), empty);
  assert.equal(meanOf(rows, 0), undefined);
  assert.equal(varianceOf(rows, 0), undefined);
  settle(rows);
  assert.deepEqual(bucketOf(rows, 0), empty);
  const some = rolledUp(valued(1, 2), MINUTE);
  const before = bucketOf(some, 0);
  addParts(some, 0, rows, 0);
  assert.deepEqual(bucketOf(some, 0), { ...before, count: 4, arrivalTimed: 1 });
  addParts(rows, 0, some, 0);
  assert.deepEqual(bucketOf(rows, 0), { ...before, count: 6, arrivalTimed: 2 });
});

test("infinities make the sum what IEEE 754 says and squares NaN, in whatever order they add up", () => {
  const { POSITIVE_INFINITY: up, NEGATIVE_INFINITY: down, NaN: none } = Number;
  const cases: { values: number[]; sum: number; min: number; max: number }[] = [
    { values: [1, up, 2], sum: up, min: 1, max: up },
    { values: [down, 5, 5], sum: down, min: down, max: 5 },
    { values: [up, 1, down], sum: none, min: down, max: up },
    { values: [up], sum: up, min: up, max: up },
    { values: [1e308, 1e308], sum: up, min: 1e308, max: 1e308 },
  ];
  for (const { values, sum, min, max } of cases) {
    const whole = rolledUp(valued(...values), MINUTE);
    const parts = values.map((value) => rolledUp(valued(value), MINUTE));
    const added = parts.reduce((to, from) => (addParts(to, 0, from, 0), to));
    const numbers = values.length;
    const wanted = { count: numbers, numbers, arrivalTimed: 0, min, max, sum };
    for (const rows of [whole, added]) {
      settle(rows);
      assert.deepEqual(bucketOf(rows, 0), { ...wanted, sumError: 0, squares: none });
      addParts(rows, 0, rolledUp(valued(1), MINUTE), 0);
      assert.ok(Number.isNaN(cellOf(rows, 0, "squares")), "NaN stays");
    }
  }
});

test("squares that pass the largest double are NaN, and the rest is as always", () => {
  const rows = rolledUp(valued(1e200, -1e200), MINUTE);
  assert.ok(Number.isNaN(cellOf(rows, 0, "squares")));
  assert.equal(cellOf(rows, 0, "sum"), 0);
  assert.equal(meanOf(rows, 0), 0);
  assert.ok(Number.isNaN(varianceOf(rows, 0)));
});

test("the squares of a constant are 0, however often its rounded sums were added up", () => {
  const fine = createRows(10 * SECOND, 30);
  for (let bucket = 0; bucket < 30; bucket++) {
    const time = bucket * 10 * SECOND;
    const list = Array.from({ length: 700 + bucket }, () => ({ time, value: 1 / 3, kind: 0 }));
    rollUp(rowsOf(list), fine, { from: readings, to: 10 * SECOND });
  }
  settle(fine);
  const coarse = createRows(MINUTE, 5);
  rollUp(fine, coarse, { from: 10 * SECOND, to: MINUTE });
  settle(coarse);
  for (const rows of [fine, coarse]) {
    for (let row = 0; row < rows.rows; row++) assert.equal(cellOf(rows, row, "squares"), 0);
  }
});

test("of zeros the negative one is the minimum, in either order", () => {
  for (const values of [
    [0, -0],
    [-0, 0],
  ]) {
    const whole = rolledUp(valued(...values), MINUTE);
    const parts = values.map((value) => rolledUp(valued(value), MINUTE));
    addParts(parts[0]!, 0, parts[1]!, 0);
    for (const rows of [whole, parts[0]!]) {
      assert.ok(Object.is(cellOf(rows, 0, "min"), -0));
      assert.ok(Object.is(cellOf(rows, 0, "max"), 0));
    }
  }
});

test("mean and variance are those of the numbers, as a population", () => {
  const rows = rolledUp(valued(2, 4, 4, 4, 5, 5, 7, 9), MINUTE);
  assert.equal(meanOf(rows, 0), 5);
  assert.equal(varianceOf(rows, 0), 4);
  assert.equal(meanOf(rolledUp(valued(1e16, 1, -1e16, 1), MINUTE), 0), 0.5);
});

test("a full target stops a roll-up at the first row of the next bucket, and it goes on from there", () => {
  const at = (time: number): Reading => ({ time, value: time, kind: 0 });
  const source = rowsOf([at(0), at(1), at(10_000), at(20_000), at(20_001)]);
  const target = createRows(10 * SECOND, 2);
  const range = { from: readings, to: 10 * SECOND };
  assert.equal(rollUp(source, target, range), 3);
  assert.equal(target.rows, 2);
  target.rows = 0;
  assert.equal(rollUp(source, target, { ...range, row: 3 }), 5);
  assert.deepEqual([target.time[0], cellOf(target, 0, "count")], [20_000, 2]);
});

test("rolling up asserts ascending time and resolutions that divide each other", () => {
  const target = rolledUp([{ time: MINUTE, value: 1, kind: 0 }], MINUTE);
  const earlier = rowsOf(valued(1));
  assert.throws(() => rollUp(earlier, target, { from: readings, to: MINUTE }), /ascending/);
  assert.throws(() => rollUp(earlier, target, { from: 7_000, to: MINUTE }), /divides/);
  assert.throws(() => rollUp(earlier, target, { from: MINUTE, to: MINUTE }), /divides/);
});
