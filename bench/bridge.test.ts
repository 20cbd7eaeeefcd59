import assert from "node:assert/strict";
import { test } from "node:test";
import { requireTool } from "../test/support/require-tool.ts";
import { runBridge, tinyOptions } from "./bridge.ts";

test("the bridge benchmark runs on tiny inputs and names its figures", {
  timeout: 120_000,
}, async (t) => {
  if (!requireTool(t, "mosquitto")) return;
  const { near, far, alerts } = await runBridge(tinyOptions);
  for (const sender of [near, far.weir, far.one_by_one]) {
    assert.ok(sender.records_per_s > 0);
    assert.ok(sender.cpu_us_per_record > 0);
    assert.ok(sender.rss_peak_mb > 0);
  }
  assert.ok(near.wire_bytes_per_record > 400);
  assert.ok(near.deliveries >= 1);
  assert.ok(far.ratio > 1);
  assert.equal(alerts.count, tinyOptions.alerts);
  for (const { p50_ms, max_ms } of [alerts.local, alerts.localLow, alerts.bridge]) {
    assert.ok(p50_ms > 0 && p50_ms <= max_ms);
  }
});
