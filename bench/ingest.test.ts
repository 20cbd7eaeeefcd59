import assert from "node:assert/strict";
import { test } from "node:test";
import { runIngest } from "./ingest.ts";

test("the ingest benchmark runs on tiny inputs and names its figures", {
  timeout: 120_000,
}, async () => {
  const figures = await runIngest({ rounds: 1, warmupMs: 300, measureMs: 700 });
  for (const shape of [figures.dense, figures.sparse]) {
    assert.ok(shape.msgs_per_s > 0);
    assert.ok(shape.cpu_us_per_msg > 0);
    assert.ok(shape.ratio_vs_aedes > 0);
    assert.ok(shape.puback_p99_ms > 0);
    assert.ok(shape.rss_mb > 0);
    assert.ok(shape.mqtt5.msgs_per_s > 0);
    assert.deepEqual(Object.keys(shape.sync_plus), ["10ms", "100ms"]);
  }
  assert.ok(figures.idle_rss_mb > 0);
});
