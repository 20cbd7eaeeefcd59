import assert from "node:assert/strict";
import { test } from "node:test";
import { runCompaction, tinyOptions } from "./compaction.ts";

test("the compaction benchmark acknowledges readings while tables are merged", async () => {
  const { compaction } = await runCompaction(tinyOptions);
  for (const { without, during, merge_s } of [compaction.default_latency, compaction.low_latency]) {
    assert.ok(without.p99 >= without.p50 && during.p99 >= during.p50);
    assert.ok(merge_s > 0);
  }
});
