import assert from "node:assert/strict";
import { test } from "node:test";
import { runFairness, tinyOptions } from "./fairness.ts";

test("the fairness benchmark runs on tiny inputs and names its figures", {
  timeout: 120_000,
}, async () => {
  const figures = await runFairness(tinyOptions);
  for (const name of [
    "fairness_p99_ratio",
    "fairness_rate_ratio",
    "connection_flood_p99_ratio",
  ] as const) {
    assert.ok((figures[name] ?? 0) > 0, name);
  }
  for (const comparison of Object.values(figures.details)) {
    assert.ok(comparison.alone.p99 > 0 && comparison.beside.p99 > 0);
  }
  // Far below what a flood does without turns and shares, far above what a busy machine does.
  assert.ok((figures.fairness_rate_ratio ?? 0) > 0.5, "normal clients keep their rate");
});
