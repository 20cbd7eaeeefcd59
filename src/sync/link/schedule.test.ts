import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { localTime } from "./local-time.ts";
import { isInWindows, type LocalWindow } from "./schedule.ts";

const everyDay = [0, 1, 2, 3, 4, 5, 6];
const night: LocalWindow = { from: 22 * 60, to: 6 * 60, days: everyDay };

function isOpen(windows: readonly LocalWindow[], at: string, timezone = "UTC"): boolean {
  return isInWindows(windows, localTime(Date.parse(at), timezone));
}

test("without windows a link is always open", () => {
  assert.ok(isOpen([], "2026-11-28T12:00:00Z"));
});

test("a window has its first minute and not its last", () => {
  const noon = { from: 12 * 60, to: 13 * 60, days: everyDay };
  assert.deepEqual(
    ["11:59:59", "12:00:00", "12:59:59", "13:00:00"].map((at) =>
      isOpen([noon], `2026-11-28T${at}Z`),
    ),
    [false, true, true, false],
  );
});

test("a window over midnight belongs to the day on which it begins", () => {
  // 2026-11-27 is a Friday.
  const friday = { ...night, days: [4] };
  assert.ok(!isOpen([friday], "2026-11-27T05:00:00Z"));
  assert.ok(isOpen([friday], "2026-11-27T22:00:00Z"));
  assert.ok(isOpen([friday], "2026-11-28T05:59:00Z"));
  assert.ok(!isOpen([friday], "2026-11-28T06:00:00Z"));
  assert.ok(!isOpen([friday], "2026-11-28T23:00:00Z"));
});

test("the same twice is the whole day, and 24:00 its end", () => {
  const saturday = { from: 0, to: 0, days: [5] };
  assert.ok(
    isOpen([saturday], "2026-11-28T00:00:00Z") && isOpen([saturday], "2026-11-28T23:59:00Z"),
  );
  const late = { from: 23 * 60, to: 24 * 60, days: [5] };
  assert.ok(isOpen([late], "2026-11-28T23:59:00Z") && !isOpen([late], "2026-11-29T00:00:00Z"));
});

test("the wall clock decides where it is put forward and back", () => {
  // Berlin: 2026-03-29 02:00 becomes 03:00; 2026-10-25 03:00 becomes 02:00.
  const window = { from: 2 * 60 + 30, to: 3 * 60 + 30, days: everyDay };
  const openMinutes = (from: string): number => {
    const start = Date.parse(from);
    const minutes = Array.from({ length: 24 * 60 }, (_, minute) => start + minute * 60_000);
    return minutes.filter((ms) => isInWindows([window], localTime(ms, "Europe/Berlin"))).length;
  };
  assert.equal(openMinutes("2026-03-28T12:00:00Z"), 30, "02:30 to 03:00 is not on the clock");
  assert.equal(openMinutes("2026-10-24T12:00:00Z"), 90, "02:30 to 03:00 is there twice");
  assert.equal(openMinutes("2026-11-24T12:00:00Z"), 60);
});

test("at any time a window over midnight is open where its complement is not", () => {
  const minute = fc.integer({ min: 0, max: 1_439 });
  fc.assert(
    fc.property(minute, minute, fc.integer({ min: 0, max: 2 ** 41 }), (from, to, ms) => {
      fc.pre(from !== to);
      const at = localTime(ms, "America/St_Johns");
      const window = { from, to, days: everyDay };
      const others = { from: to, to: from, days: everyDay };
      assert.notEqual(isInWindows([window], at), isInWindows([others], at));
    }),
    { numRuns: 300 },
  );
});
