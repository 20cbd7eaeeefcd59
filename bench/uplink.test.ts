import assert from "node:assert/strict";
import { test } from "node:test";
import { requireKafka } from "../test/support/kafka/require-kafka.ts";
import { runUplink, tinyOptions } from "./uplink.ts";

const versions = process.env["WEIR_TEST_KAFKA"] === undefined ? (["4"] as const) : [];

test("the uplink benchmark runs on tiny inputs and names its figures", {
  timeout: 120_000,
}, async (t) => {
  if (!requireKafka(t, versions)) return;
  const { throughput, alertLatency } = await runUplink(tinyOptions);
  for (const sender of [throughput.weir, throughput.producer]) {
    assert.ok(sender.records_per_s > 0);
    assert.ok(sender.cpu_us_per_record > 0);
    assert.ok(sender.records_per_cpu_s > 0);
    assert.ok(sender.transactions > 0);
  }
  assert.ok(throughput.weir.rss_peak_mb > 0);
  assert.ok(throughput.weir.wire_bytes_per_record > 0);
  assert.ok(throughput.weir.store_commits >= throughput.weir.transactions);
  assert.ok(throughput.cpu_ratio_vs_producer > 0);
  assert.equal(alertLatency.alerts, tinyOptions.latency.alerts);
  assert.ok(alertLatency.p50_ms > 0 && alertLatency.p50_ms <= alertLatency.max_ms);
  assert.ok(alertLatency.floor.p50_ms > 0);
  assert.ok(alertLatency.agent_rss_mb > 0);
});
