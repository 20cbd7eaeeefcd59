import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { millis } from "../../core/units.ts";
import { encodeGap, encodeSummary } from "./record-codec.ts";
import {
  countIn,
  decodeSplit,
  difference,
  encodeSplit,
  endOfRecord,
  isIn,
  mustFollow,
  partFrom,
  type Range,
  type Split,
  trimmed,
  unsplit,
  withRange,
} from "./split.ts";

/** Ranges of numbers below 60, made by `withRange` in any order, and the set of these numbers. */
const someRanges = fc
  .array(fc.record({ low: fc.nat({ max: 55 }), size: fc.integer({ min: 1, max: 5 }) }), {
    maxLength: 12,
  })
  .map((parts) => {
    let ranges: readonly Range[] = [];
    const numbers = new Set<number>();
    for (const { low, size } of parts) {
      const own = Array.from({ length: size }, (_, n) => low + n);
      if (own.some((number) => numbers.has(number))) continue;
      ranges = withRange(ranges, { low, high: low + size });
      for (const number of own) numbers.add(number);
    }
    return { ranges, numbers };
  });

const all = Array.from({ length: 64 }, (_, number) => number);

test("ranges are a set of numbers: which are in, how many, and what comes next", () => {
  fc.assert(
    fc.property(someRanges, fc.nat({ max: 60 }), ({ ranges, numbers }, from) => {
      for (const number of all) assert.equal(isIn(ranges, number), numbers.has(number));
      for (const [index, { low, high }] of ranges.entries()) {
        assert.ok(low < high && low > (ranges[index - 1]?.high ?? -1), "apart, and ascending");
      }
      const within = all.filter((number) => number >= from && number < 50 && numbers.has(number));
      assert.equal(countIn(ranges, { low: from, high: Math.max(from, 50) }), within.length);
      for (const isInside of [true, false]) {
        const { low, high } = partFrom(ranges, from, isInside);
        const first = all.find((number) => number >= from && numbers.has(number) === isInside);
        assert.equal(low, first ?? Infinity);
        const end = all.find((number) => number >= low && numbers.has(number) !== isInside);
        assert.equal(high, end ?? Infinity);
      }
    }),
  );
});

test("a difference has the numbers of the one that the other has not", () => {
  fc.assert(
    fc.property(someRanges, someRanges, (one, other) => {
      const rest = difference(one.ranges, other.ranges);
      for (const number of all) {
        assert.equal(isIn(rest, number), one.numbers.has(number) && !other.numbers.has(number));
      }
    }),
  );
});

test("a split comes back from its bytes, and what is none is refused", () => {
  fc.assert(
    fc.property(someRanges, fc.option(fc.integer()), ({ ranges }, through) => {
      const split = { ranges, through: through ?? unsplit.through };
      assert.deepEqual(decodeSplit(encodeSplit(split), "a split"), split);
    }),
  );
  for (const text of ['{"v":1,"behind":[[5,5]]}', '{"v":1,"behind":[[5,7],[7,9]]}', '{"v":2}']) {
    assert.throws(() => decodeSplit(Buffer.from(text), "a split"), { code: "STORE_FAILED" });
  }
});

test("what both lanes are beyond is forgotten, and nothing must follow what is sent", () => {
  const split: Split = {
    ranges: [
      { low: 10, high: 20 },
      { low: 30, high: 40 },
    ],
    through: 99,
  };
  assert.equal(trimmed(split, { summaries: 50, backfill: 12 }), split);
  assert.deepEqual(trimmed(split, { summaries: 50, backfill: 30 }), {
    ranges: [{ low: 30, high: 40 }],
    through: 99,
  });
  const sent = trimmed(split, { summaries: 25, backfill: 40 });
  assert.deepEqual(sent, { ranges: [{ low: 30, high: 40 }], through: unsplit.through });
  assert.deepEqual(trimmed(sent, { summaries: 41, backfill: 40 }), unsplit);
});

function summary(start: number, end: number, revision: number): Uint8Array {
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline: "temp",
    key: [["device", "p1"]],
    start: millis(start),
    end: millis(end),
    revision,
    count: 1,
    fields: {},
    arrivalTimed: 0,
  });
}

test("a correction follows the window it corrects, and a session that grew the one it was", () => {
  const split = { ranges: [], through: 100 };
  assert.equal(endOfRecord(summary(90, 100, 0)), 100);
  assert.equal(mustFollow(split, summary(90, 100, 0)), true);
  assert.equal(mustFollow(split, summary(90, 100, 1)), true);
  assert.equal(mustFollow(split, summary(100, 110, 0)), false);
  assert.equal(mustFollow(split, summary(100, 110, 1)), false);
  assert.equal(mustFollow(split, summary(80, 130, 1)), true, "its end is not its identity");
  assert.equal(mustFollow(split, summary(80, 130, 0)), false, "there is nothing before it");
  const gap = { kind: "gap", pipeline: "temp", lane: "summaries", last: 3 } as const;
  const ofGap = encodeGap("gw1", {
    ...gap,
    start: millis(0),
    end: millis(100),
    records: 1,
    readings: 1,
  });
  assert.equal(mustFollow(split, ofGap), true);
  assert.equal(mustFollow(unsplit, ofGap), false);
});
