import assert from "node:assert/strict";
import { test } from "node:test";
import { requireTool } from "../test/support/require-tool.ts";
import { runExternal, textOf, tinyOptions } from "./external.ts";

test("the external benchmark runs on tiny inputs and names its figures", {
  timeout: 120_000,
}, async (t) => {
  if (!requireTool(t, "mosquitto")) return;
  const figures = await runExternal(tinyOptions);
  for (const [name, value] of Object.entries(figures)) assert.ok(value > 0, name);
  assert.match(textOf(figures), /weir \(durable\)/);
});
