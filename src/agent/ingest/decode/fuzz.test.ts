import assert from "node:assert/strict";
import { test } from "node:test";
import { target } from "../../../../test/fuzz/decoders.ts";

test("ten thousand damaged payloads: nothing throws, scanning and parsing agree", () => {
  const summary = target.run({ cases: 10_000, seed: 20261122 });
  assert.ok(summary.scanned > 1_000, `some are scanned: ${summary.scanned}`);
  assert.ok(summary.deadLettered > 1_000, `some are refused: ${summary.deadLettered}`);
});
