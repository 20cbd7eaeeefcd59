import assert from "node:assert/strict";
import { test } from "node:test";
import { property } from "fast-check";
import fc from "fast-check";
import { createSeriesFilter, mayHoldSeries } from "./series-filter.ts";

test("a series that is there is never missed", () => {
  fc.assert(
    property(fc.array(fc.nat({ max: 2 ** 32 - 1 }), { maxLength: 200 }), (ids) => {
      const filter = createSeriesFilter(Uint32Array.from(ids));
      for (const id of ids) assert.ok(mayHoldSeries(filter, id), `series ${id}`);
    }),
  );
});

test("of dense ids that are not there, at most 1.5 in 100 are taken for present", () => {
  for (const count of [100, 1_000, 100_000]) {
    // Every second id, as where a gateway's devices are spread over tables.
    const ids = Uint32Array.from({ length: count }, (_, i) => i * 2);
    const filter = createSeriesFilter(ids);
    assert.equal(filter.length, Math.ceil((count * 10) / 8));
    let wrong = 0;
    for (let i = 0; i < 100_000; i++) if (mayHoldSeries(filter, i * 2 + 1)) wrong++;
    // In theory 0.82 %; of 100 series the filter is small, so chance has more to say.
    assert.ok(wrong < 1_500, `${wrong} of 100,000 with ${count} series`);
  }
});

test("a filter of nothing holds nothing", () => {
  const filter = createSeriesFilter(new Uint32Array(0));
  for (let id = 0; id < 1_000; id++) assert.ok(!mayHoldSeries(filter, id));
});
