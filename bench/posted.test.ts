import assert from "node:assert/strict";
import { test } from "node:test";
import { runPosted, textOf, tinyOptions } from "./posted.ts";

test("the benchmark of posted bodies runs", async () => {
  const figures = await runPosted(tinyOptions);
  assert.deepEqual(Object.keys(figures), ["lines_1", "lines_10"]);
  for (const { cpu_us_per_message } of Object.values(figures)) {
    assert.ok(Number.isFinite(cpu_us_per_message));
  }
  assert.match(textOf(figures), /^lines_10 .* messages per CPU-second/m);
});
