import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { joinedSpans } from "./coarser-spans.ts";

const span = (
  from: number,
  to: number,
  finest = 60,
): { from: number; to: number; finest: number } => ({
  from,
  to,
  finest,
});

test("few spans stay as they are, in order, and the same one is there once", () => {
  assert.deepEqual(joinedSpans([span(5, 6), span(1, 2), span(5, 6)], 3), [span(1, 2), span(5, 6)]);
});

test("of too many the nearest are joined, with the coarser resolution", () => {
  const spans = [span(0, 10), span(100, 110), span(112, 120, 3_600), span(300, 310)];
  assert.deepEqual(joinedSpans(spans, 3), [span(0, 10), span(100, 120, 3_600), span(300, 310)]);
});

test("whatever the spans, no more than allowed cover all of them, as coarse as they are", () => {
  const any = fc.record({
    from: fc.nat(1_000),
    length: fc.integer({ min: 1, max: 100 }),
    finest: fc.constantFrom(60, 900, 3_600),
  });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 40 }), fc.integer({ min: 1, max: 8 }), (drawn, max) => {
      const spans = drawn.map(({ from, length, finest }) => span(from, from + length, finest));
      const joined = joinedSpans(spans, max);
      assert.ok(joined.length <= max);
      for (const one of spans) {
        const isCovered = joined.some(
          ({ from, to, finest }) => from <= one.from && to >= one.to && finest >= one.finest,
        );
        assert.ok(isCovered, JSON.stringify({ one, joined }));
      }
    }),
  );
});
