import assert from "node:assert/strict";
import { test } from "node:test";
import { runCompaction, tinyOptions } from "./compaction.ts";

test("the compaction benchmark acknowledges readings while tables are merged", async () => {
  const { puback_p99_compaction_ratio, compaction } = await runCompaction(tinyOptions);
  assert.ok(puback_p99_compaction_ratio > 0);
  for (const { without, during, merge_s } of [compaction.default_latency, compaction.low_latency]) {
    assert.ok(without.p99 > 0 && during.p99 > 0);
    assert.ok(merge_s > tinyOptions.phaseMs / 1_000);
  }
});
