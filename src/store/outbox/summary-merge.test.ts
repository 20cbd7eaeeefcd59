import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { scaledOf, scaledOne, sizeOf } from "../../../test/support/exact-number.ts";
import type { Summary, SummaryFields } from "../../core/record.ts";
import { sketchFieldsOf } from "../../edge-ops/sketch/kll-fields.ts";
import { decodeKll } from "../../edge-ops/sketch/kll-format.ts";
import { Kll } from "../../edge-ops/sketch/kll.ts";
import { millis } from "../../core/units.ts";
import { mergeSummaries } from "./summary-merge.ts";

const sizeMs = 1_000;
const interval = { start: millis(0), end: millis(60_000) };

function summaryOf(index: number, count: number, fields: SummaryFields): Summary {
  const start = index * sizeMs;
  return {
    kind: "summary",
    pipeline: "temp",
    key: [["device", "p1"]],
    start: millis(start),
    end: millis(start + sizeMs),
    revision: index % 3,
    count,
    fields,
    arrivalTimed: 1,
  };
}

/** One window of these values, rounded as little as doubles can be. */
function windowOf(index: number, values: readonly number[]): Summary {
  const exact = values.reduce((all, value) => all + scaledOf(value), 0n);
  const sum = values.reduce((all, value) => all + value, 0);
  return summaryOf(index, values.length, {
    sum,
    sumError: Number(exact - scaledOf(sum)) / Number(scaledOne),
    mean: sum / values.length,
    min: Math.min(...values),
    max: Math.max(...values),
    variance: varianceOf(values),
    first: values[0]!,
    firstTime: millis(index * sizeMs),
    last: values.at(-1)!,
    lastTime: millis(index * sizeMs + values.length - 1),
  });
}

/** By exact integers: (n * sum of squares - square of the sum) / n^2. */
function varianceOf(values: readonly number[]): number {
  const scaled = values.map((value) => BigInt(Math.round(value * 2 ** 20)));
  const n = BigInt(values.length);
  const sum = scaled.reduce((a, b) => a + b, 0n);
  const squares = scaled.reduce((a, b) => a + b * b, 0n);
  return Number(n * squares - sum * sum) / (2 ** 40 * values.length ** 2);
}

/** Multiples of 2^-20, near a mean that may be far from 0. */
const windows = fc
  .tuple(fc.integer({ min: -(2 ** 26), max: 2 ** 26 }), fc.integer({ min: 1, max: 2 ** 24 }))
  .chain(([mean, spread]) => {
    const value = fc.integer({ min: -spread, max: spread }).map((x) => mean + x / 2 ** 20);
    return fc.array(fc.array(value, { minLength: 1, maxLength: 9 }), {
      minLength: 1,
      maxLength: 12,
    });
  });

test("merged windows are as one window of all their readings, in one step or in several", () => {
  fc.assert(
    fc.property(windows, fc.nat(), (parts, cut) => {
      const all = parts.map((values, index) => windowOf(index, values));
      const at = 1 + (cut % all.length);
      const head = mergeSummaries(all.slice(0, at), interval);
      const inSteps = mergeSummaries([head, ...all.slice(at)], interval);
      for (const merged of [mergeSummaries(all, interval), inSteps]) {
        const values = parts.flat();
        const wanted = windowOf(0, values);
        assert.equal(merged.count, values.length);
        assert.equal(merged.merged, parts.length);
        assert.equal(merged.arrivalTimed, parts.length);
        assert.equal(merged.revision, 0);
        const { sum = 0, sumError = 0, mean = 0, variance = 0, ...exact } = merged.fields;
        const { min, max, first, firstTime } = wanted.fields;
        const { last, lastTime } = all.at(-1)!.fields;
        assert.deepEqual(exact, { min, max, first, firstTime, last, lastTime });
        const total = values.reduce((rest, value) => rest + scaledOf(value), 0n);
        const absolute = values.reduce((rest, value) => rest + sizeOf(scaledOf(value)), 0n);
        const off = sizeOf(scaledOf(sum) + scaledOf(sumError) - total);
        assert.ok(off * 2n ** 100n <= absolute * 1_000n, `the sum is off by ${off}`);
        assert.ok(Math.abs(mean - wanted.fields.mean!) <= 1e-15 * Math.abs(mean) + 1e-300);
        const trueVariance = varianceOf(values);
        assert.ok(
          Math.abs(variance - trueVariance) <= 1e-12 * trueVariance,
          `${variance} is not ${trueVariance}`,
        );
      }
    }),
  );
});

test("what one of the windows lacks, the whole lacks; a variance needs a sum or a mean", () => {
  const a = summaryOf(0, 2, { sum: 3, min: 1, max: 2, variance: 0.25 });
  const b = summaryOf(1, 1, { sum: 9, max: 9, variance: 0 });
  const { fields } = mergeSummaries([a, b], interval);
  assert.deepEqual(Object.keys(fields), ["sum", "sumError", "max", "variance"]);
  assert.ok(Math.abs(fields.variance! - 38 / 3) < 1e-12);
  const bare = [a, b].map(({ fields: { variance }, ...rest }) => ({
    ...rest,
    fields: { variance },
  }));
  assert.deepEqual(mergeSummaries(bare as Summary[], interval).fields, {});
});

test("without sums the variance is that of the means and counts", () => {
  const a = summaryOf(0, 2, { mean: 1.5, variance: 0.25 });
  const b = summaryOf(1, 1, { mean: 9, variance: 0 });
  const { fields } = mergeSummaries([a, b], interval);
  assert.deepEqual(fields, { mean: 4, variance: 38 / 3 });
});

test("merged sketches are as one sketch of all; broken ones, and percentiles without any, are left out", () => {
  const sketched = (index: number, values: readonly number[]): Summary => {
    const sketch = new Kll();
    for (const value of values) sketch.add(value);
    const fields = sketchFieldsOf(sketch, (name) => name !== "p90");
    return summaryOf(index, values.length, fields);
  };
  const values = Array.from({ length: 6_000 }, (_, i) => ((i * 7_919) % 6_007) / 7);
  const parts = Array.from({ length: 100 }, (_, i) =>
    sketched(i, values.slice(60 * i, 60 * (i + 1))),
  );
  const { count, fields } = mergeSummaries(parts, interval);
  assert.deepEqual(Object.keys(fields), ["p50", "p95", "p99", "quantiles"]);
  const sketch = new Kll();
  assert.ok(decodeKll(fields.quantiles!, sketch));
  assert.deepEqual([sketch.count, count], [6_000, 6_000]);
  assert.deepEqual([sketch.min, sketch.max], [Math.min(...values), Math.max(...values)]);
  for (const [value, rank] of [
    [fields.p50!, 0.5],
    [fields.p95!, 0.95],
    [fields.p99!, 0.99],
  ] as const) {
    const share = values.filter((each) => each <= value).length / values.length;
    assert.ok(Math.abs(share - rank) <= 0.0133, `${share} is not ${rank}`);
  }
  const few = [sketched(0, [3, 1]), sketched(1, [2])];
  assert.deepEqual(mergeSummaries(few, interval).fields, sketched(0, [3, 1, 2]).fields);
  const bare = few.map((part) => ({ ...part, fields: { p50: part.fields.p50! } }));
  assert.deepEqual(mergeSummaries(bare, interval).fields, {});
  const broken = { ...few[0]!, fields: { ...few[0]!.fields, quantiles: Uint8Array.of(5, 1, 15) } };
  assert.deepEqual(mergeSummaries([broken, few[1]!], interval).fields, {});
  const ofAnother = { ...few[0]!, count: 500 };
  assert.deepEqual(mergeSummaries([ofAnother, few[1]!], interval).fields, {});
});

test("numbers without a sum of their own do not stop it", () => {
  const a = summaryOf(0, 1, {
    sum: Infinity,
    sumError: 0,
    min: Infinity,
    max: Infinity,
    variance: 0,
  });
  const b = summaryOf(1, 1, { sum: -Infinity, sumError: 0, min: -Infinity, max: -Infinity });
  const { fields, count } = mergeSummaries([a, b], interval);
  assert.deepEqual([count, fields.sum, fields.min], [2, NaN, -Infinity]);
});

test("windows without readings add none", () => {
  const empty = summaryOf(0, 0, {});
  const b = summaryOf(1, 2, { sum: 3 });
  assert.deepEqual(mergeSummaries([empty, b], interval).fields, { sum: 3 });
  assert.equal(mergeSummaries([empty], interval).count, 0);
});
