import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { daysOfDate, millisOfNumber, millisOfText } from "./time.ts";

function text(time: string, zonelessIsUtc = false): number {
  const bytes = Buffer.from(`"${time}"`);
  return millisOfText(bytes, 1, bytes.length - 1, zonelessIsUtc);
}

test("seconds, milliseconds, microseconds and nanoseconds of one instant are the same time", () => {
  for (const time of [1_700_000_000, 1.7e12, 1.7e15, 1.7e18]) {
    assert.equal(millisOfNumber(time), 1.7e12);
  }
});

test("a fraction of a second is the instant written", () => {
  assert.equal(millisOfNumber(1788945292.88), 1788945292880);
  assert.equal(millisOfNumber(1788945292.123456), 1788945292123.456);
});

test("seconds with a fraction and text of one instant are the same time", () => {
  // Close to 1970 a double holds parts of a microsecond.
  const micros = fc.oneof(fc.integer({ min: 0, max: 4e15 }), fc.integer({ min: 0, max: 1e12 }));
  fc.assert(
    fc.property(micros, (us) => {
      const date = new Date(Math.floor(us / 1000)).toISOString().slice(0, -1);
      const written = `${date}${String(us % 1000).padStart(3, "0")}Z`;
      assert.equal(text(written), millisOfNumber(us / 1e6));
    }),
    { numRuns: 1_000 },
  );
  assert.equal(text("9999-12-31T23:59:59.999Z"), Date.UTC(9999, 11, 31, 23, 59, 59, 999));
});

test("what is no instant is NaN", () => {
  for (const time of [Number.NaN, Number.POSITIVE_INFINITY, -1e300, 8.65e21]) {
    assert.ok(Number.isNaN(millisOfNumber(time)), String(time));
  }
  assert.ok(Object.is(millisOfNumber(-0), 0));
});

test("days are those of the calendar", () => {
  fc.assert(
    fc.property(
      fc.date({ noInvalidDate: true, min: new Date(-6e13), max: new Date(2.5e14) }),
      (d) => {
        const days = daysOfDate(d.getUTCFullYear(), d.getUTCMonth() + 1, d.getUTCDate());
        assert.equal(days, Math.floor(d.getTime() / 86_400_000));
      },
    ),
  );
});

test("RFC 3339 times are what Date.parse says", () => {
  const date = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(2.5e14) });
  fc.assert(fc.property(date, (d) => assert.equal(text(d.toISOString()), d.getTime())));
  for (const time of ["2022-11-15T19:06:38+00:00", "2024-02-29T23:59:59.999-11:30"]) {
    assert.equal(text(time), Date.parse(time));
  }
});

test("the usual departures from RFC 3339 are understood", () => {
  const expected = Date.parse("2024-05-01T12:30:00Z");
  for (const time of [
    "2024-05-01 12:30:00Z",
    "2024-05-01T14:30+02",
    "2024-05-01t14:30:00+0200",
    "2024-05-01T12:30:00,000z",
  ]) {
    assert.equal(text(time), expected, time);
  }
  assert.equal(text("2016-12-31T23:59:60Z"), Date.parse("2017-01-01T00:00:00Z"));
});

test("a time without a zone is a time only where the zone is configured", () => {
  assert.ok(Number.isNaN(text("2017-02-16T10:13:52")));
  assert.equal(text("2017-02-16T10:13:52", true), Date.parse("2017-02-16T10:13:52Z"));
});

test("what is no date or time is NaN", () => {
  for (const time of [
    "",
    "2024",
    "2024-05-01",
    "2023-02-29T00:00:00Z",
    "2024-13-01T00:00:00Z",
    "2024-00-01T00:00:00Z",
    "2024-05-01T24:00:00Z",
    "2024-05-01T12:60:00Z",
    "2024-05-01T12:30:61Z",
    "2024-05-01T12:30:00.Z",
    "2024-05-01T12:30:00Zulu",
    "2024-05-01T12:30:00+2",
    "2024-05-01T12:30:00+24:00",
    "0T00:10:11",
    "1700000000",
  ]) {
    assert.ok(Number.isNaN(text(time, true)), time);
  }
});
