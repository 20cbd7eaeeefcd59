import assert from "node:assert/strict";
import { test } from "node:test";
import { lacking } from "../test/support/require-tool.ts";
import { runDevice, tinyOptions } from "./device.ts";

test("bytes on the device are counted, and more of them than went into files", async (t) => {
  const result = await runDevice(tinyOptions);
  if (result.kind === "skipped") {
    lacking(t, result.reason);
    return;
  }
  const { device_bytes_per_reading, device } = result.figures;
  assert.deepEqual(Object.keys(device_bytes_per_reading), ["5"]);
  const { all, log, lmdb, tables, files, appends } = device.hours["5"]!;
  assert.ok(Math.abs(log + lmdb + tables - all) < 0.1);
  assert.ok(files.frames > 0 && log >= files.frames);
  assert.ok(lmdb > 0);
  assert.equal(appends, 60 / 5);
});
