import assert from "node:assert/strict";
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { MemoryCeiling } from "../memory/memory-plan.ts";
import { anonymousBytes, collectGarbage, groupCeiling } from "./memory.ts";

/** What these files of a machine with 8 GiB make of it; paths without the folder they are in. */
function ceilingOf(files: Readonly<Record<string, string>>): MemoryCeiling | undefined {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-memory-"));
  for (const [path, text] of Object.entries(files)) {
    const at = join(folder.path, path);
    mkdirSync(dirname(at), { recursive: true });
    writeFileSync(at, `${text}\n`);
  }
  const of = { proc: join(folder.path, "proc"), groups: join(folder.path, "groups") };
  const found = groupCeiling({ ...of, totalBytes: 8 * 2 ** 30 });
  return found && { ...found, from: found.from.slice(folder.path.length) };
}

test("version 2: the lowest of the group and those above it counts", () => {
  const files = {
    "proc/self/cgroup": "0::/system.slice/weir.service",
    "groups/system.slice/weir.service/memory.max": "max",
    "groups/system.slice/weir.service/memory.high": "max",
    "groups/system.slice/memory.max": "134217728",
  };
  const above = { bytes: 134_217_728, from: "/groups/system.slice/memory.max" };
  assert.deepEqual(ceilingOf(files), above);
  const high = "/groups/system.slice/weir.service/memory.high";
  assert.deepEqual(ceilingOf({ ...files, [high]: "100663296" }), {
    bytes: 100_663_296,
    from: high,
  });
});

test("version 1: the controller's own hierarchy, among others", () => {
  const files = {
    "proc/self/cgroup": "9:name=systemd:/x\n4:cpu,memory:/docker/ab12\n0::/",
    "groups/memory/docker/ab12/memory.limit_in_bytes": "100663296",
    "groups/memory/memory.limit_in_bytes": "9223372036854771712",
  };
  const from = "/groups/memory/docker/ab12/memory.limit_in_bytes";
  assert.deepEqual(ceilingOf(files), { bytes: 100_663_296, from });
});

test("in a container the group's own folder is the root of them", () => {
  const of = (path: string, file: string): MemoryCeiling | undefined =>
    ceilingOf({ "proc/self/cgroup": path, [file]: "67108864" });
  const second = "/groups/memory.max";
  assert.deepEqual(of("0::/", second), { bytes: 67_108_864, from: second });
  const first = "/groups/memory/memory.limit_in_bytes";
  assert.deepEqual(of("4:memory:/docker/ab12", first), { bytes: 67_108_864, from: first });
});

test("what is no less than the machine has is no ceiling, nor is none", () => {
  const cgroup = { "proc/self/cgroup": "0::/a" };
  assert.equal(ceilingOf({ ...cgroup, "groups/a/memory.max": "max" }), undefined);
  assert.equal(ceilingOf({ ...cgroup, "groups/a/memory.max": String(8 * 2 ** 30) }), undefined);
  assert.equal(ceilingOf({ ...cgroup, "groups/a/memory.max": "" }), undefined);
  assert.equal(ceilingOf(cgroup), undefined);
  assert.equal(ceilingOf({}), undefined);
});

test("anonymous memory grows with what is touched", { skip: process.platform !== "linux" }, () => {
  const before = anonymousBytes() ?? 0;
  const touched = new Uint8Array(64 * 2 ** 20).fill(1);
  const after = anonymousBytes() ?? 0;
  assert.ok(after - before > 48 * 2 ** 20, `${before} before, ${after} after`);
  assert.equal(touched[touched.length - 1], 1);
  assert.equal(anonymousBytes("/nowhere"), undefined);
});

test("garbage is collected when it is asked for, and no program finds the collector", async () => {
  const gone = new WeakRef({});
  await new Promise(setImmediate); // a weak reference lives to the end of its turn
  collectGarbage();
  assert.equal(gone.deref(), undefined);
  assert.equal("gc" in globalThis, false);
});
