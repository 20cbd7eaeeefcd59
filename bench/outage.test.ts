/** A day away in the place of a week: what must hold then holds here. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runOutage, tinyOptions } from "./outage.ts";

test("after an outage: fresh within 2 s, at 90 % of the bandwidth and never above, memory flat", {
  timeout: 300_000,
}, async () => {
  const figures = await runOutage(tinyOptions);
  const { days, keys, freshKeys } = tinyOptions;
  assert.equal(figures.summaries, days * 1_440 * keys + 5 * freshKeys);
  assert.ok(figures.first_fresh_ms <= 2_000, `${figures.first_fresh_ms} ms`);
  assert.ok(figures.alert_ms <= figures.first_fresh_ms);
  assert.ok(figures.share_min >= 0.9, `${figures.share_min} of the bandwidth`);
  assert.ok(figures.share_max <= 1, `${figures.share_max} of the bandwidth`);
  assert.ok(figures.samples >= 8, `${figures.samples} samples`);
  // What grew by each record that left, even 50 bytes, would be above it.
  const { heap_mb: heap } = figures;
  assert.ok(heap.last_quarter <= heap.first_quarter + 1, JSON.stringify(heap));
  assert.ok(heap.max <= heap.begin + 5, JSON.stringify(heap));
});
