import assert from "node:assert/strict";
import { test } from "node:test";
import { requireTool } from "../test/support/require-tool.ts";
import { runDoors, textOf, tinyOptions } from "./doors.ts";

test("the benchmark of the doors runs, on each transport", async (t) => {
  if (!requireTool(t, "openssl")) return;
  const figures = await runDoors(tinyOptions);
  assert.deepEqual(Object.keys(figures), ["tcp", "tls", "ws", "wss"]);
  for (const { cpu_ms_per_connection } of Object.values(figures)) {
    assert.ok(Number.isFinite(cpu_ms_per_connection));
  }
  assert.match(textOf(figures), /^wss .* per connection, .* ns per byte$/m);
});
