import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rfc3339 } from "./rfc3339.ts";

const textOf = (timeMs: number): string | undefined => {
  const text = rfc3339(timeMs);
  return text === undefined ? undefined : Buffer.from(text).toString("latin1");
};
const oracle = (timeMs: number): string => new Date(timeMs).toISOString();

const first = Date.UTC(2000, 0, 1) - 2_000 * 365.2425 * 86_400_000; // 0000-01-01
const end = Date.UTC(10_000, 0, 1);

test("every day of 400 years, and where each year turns, is the day that Date says", () => {
  const agree = (timeMs: number): void => assert.equal(textOf(timeMs), oracle(timeMs));
  const dayMs = 86_400_000;
  for (let day = 0; day < 146_097; day++) agree(Date.UTC(1900, 0, 1) + day * dayMs);
  for (let year = 100; year < 10_000; year++) {
    const [newYear, march] = [Date.UTC(year, 0, 1), Date.UTC(year, 2, 1)];
    for (const timeMs of [newYear - 1, newYear, march - 1, march]) agree(timeMs);
  }
});

test("every time of day is the one that Date says", () => {
  fc.assert(
    fc.property(fc.integer({ min: first, max: end - 1 }), (timeMs) => {
      assert.equal(textOf(timeMs), oracle(timeMs));
    }),
  );
});

test("a fraction of a millisecond is cut off towards the past", () => {
  assert.equal(textOf(999.75), "1970-01-01T00:00:00.999Z");
  assert.equal(textOf(-0.25), "1969-12-31T23:59:59.999Z");
});

test("a year without four digits has no text", () => {
  assert.equal(textOf(first), "0000-01-01T00:00:00.000Z");
  assert.equal(textOf(first - 0.25), undefined);
  assert.equal(textOf(end - 0.25), "9999-12-31T23:59:59.999Z");
  assert.equal(textOf(end), undefined);
  assert.equal(textOf(Number.NaN), undefined);
  assert.equal(textOf(Number.NEGATIVE_INFINITY), undefined);
});
