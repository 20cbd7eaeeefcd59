import assert from "node:assert/strict";
import { test } from "node:test";
import { runPacked, tinyOptions } from "./packed.ts";

test("the packed file is measured: size, start, memory", { timeout: 300_000 }, async (t) => {
  if (process.platform !== "linux") return t.skip("packed files are Linux programs");
  const { size_mb, start_ms, idle_mb, loaded_mb } = await runPacked(tinyOptions);
  const size = size_mb[process.arch];
  assert.ok(size !== undefined && size.zstd > 20 && size.zstd < size.raw && size.raw <= 125);
  assert.ok(start_ms.cpu > 0 && start_ms.cpu <= start_ms.wall * 4, JSON.stringify(start_ms));
  for (const memory of [idle_mb, ...Object.values(loaded_mb)]) {
    assert.ok(memory.anonymous > 5 && memory.anonymous < memory.rss, JSON.stringify(memory));
  }
});
