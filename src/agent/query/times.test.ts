import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { aligned, bucketsIn, stepFor, timeOf } from "./times.ts";

const now = 1_764_324_000_123;
const MINUTE = 60_000;
const DAY = 86_400_000;
const tiers = [10_000, MINUTE, 10 * MINUTE, 60 * MINUTE, DAY];

test("a time is now, before now, milliseconds, or ISO 8601 in UTC", () => {
  assert.equal(timeOf("now", now), now);
  assert.equal(timeOf("-7d", now), now - 7 * DAY);
  assert.equal(timeOf("-1.5h", now), now - 90 * MINUTE);
  assert.equal(timeOf("1764324000000", now), 1_764_324_000_000);
  assert.equal(timeOf("-5.25", now), -5.25);
  const day = Date.UTC(2026, 10, 28);
  assert.equal(timeOf("2026-11-28", now), day);
  assert.equal(timeOf("2026-11-28T10:00", now), day + 600 * MINUTE);
  assert.equal(timeOf("2026-11-28T10:00:00.5+02:00", now), day + 480 * MINUTE + 500);
  for (const text of ["", "7d", "yesterday", "2026-13-01", "-7w", "1e9", "99999999999999999"]) {
    assert.equal(timeOf(text, now), undefined, text);
  }
});

test("a step is chosen by the points, and so that a tier divides it", () => {
  const over = (days: number, points: number, of = tiers): number =>
    stepFor({ from: now - days * DAY, to: now }, { points, tiers: of });
  assert.equal(over(7, 500), 30 * MINUTE);
  assert.equal(over(1, 300), 5 * MINUTE);
  assert.equal(over(365, 400), DAY);
  assert.equal(over(1, 210, [7 * MINUTE]), 7 * MINUTE, "a tier is a step, too");
  assert.equal(over(1, 100, [15 * MINUTE]), 15 * MINUTE);
  assert.equal(over(1, 80, [15 * MINUTE]), 30 * MINUTE, "not 20 min, of which 15 is no part");
});

test("whatever the range and the points, there are no more buckets", () => {
  const time = fc.double({ min: -8.64e15, max: 8.64e15, noNaN: true });
  const widths = fc.double({ min: 1, max: 8.64e15, noNaN: true });
  fc.assert(
    fc.property(time, widths, fc.integer({ min: 2, max: 10_000 }), (from, width, points) => {
      const range = { from, to: from + width };
      const step = stepFor(range, { points, tiers });
      assert.ok(bucketsIn(aligned(range, step), step) <= points);
    }),
  );
});
