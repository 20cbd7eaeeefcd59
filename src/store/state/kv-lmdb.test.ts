import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import type { Kv, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { openKvLmdb } from "./kv-lmdb.ts";
import { KvMemory } from "./kv-memory.ts";

const MiB = 1024 * 1024;

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "weir-kv-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function bytes(length: number, fill: number): Uint8Array {
  return new Uint8Array(length).fill(fill);
}

test("disk and memory hold the same after any commits, and a reopened store too", async (t) => {
  const path = join(folder(t), "state.mdb");
  let disk = openKvLmdb({ path, bytesMax: 64 * MiB });
  const memory = new KvMemory();
  const key = fc.stringMatching(/^[a-c/]{1,3}$/);
  const value = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined });
  const size = fc.constantFrom(0, 1, 4_000, 70_000);
  const write = fc.record({ key, value, size });
  await fc.assert(
    fc.asyncProperty(fc.array(write, { maxLength: 8 }), async (drawn) => {
      const writes = (): KvWrite[] =>
        drawn.map((draw) => ({
          key: draw.key,
          value: draw.value && Uint8Array.from([...draw.value, ...bytes(draw.size, 7)]),
        }));
      await Promise.all([disk.commit(writes()), memory.commit(writes())]);
      assert.deepEqual(contentOf(disk), contentOf(memory));
      const range = { from: "a/", to: "c", limit: 3 };
      assert.deepEqual(disk.range(range), memory.range(range));
      assert.deepEqual(disk.get("b"), memory.get("b"));
    }),
    { numRuns: 60 },
  );
  await disk.close();
  disk = openKvLmdb({ path, bytesMax: 64 * MiB });
  assert.deepEqual(contentOf(disk), contentOf(memory));
  await disk.close();
});

test("a bound that is none opens, and the store takes what it is given", async (t) => {
  const path = join(folder(t), "state.mdb");
  const kv = openKvLmdb({ path, bytesMax: Number.MAX_SAFE_INTEGER });
  await kv.commit([{ key: "a", value: bytes(MiB, 1) }]);
  assert.equal(kv.get("a")?.length, MiB);
  await kv.close();
});

function contentOf(kv: Kv): unknown {
  return kv.range({ from: "!", to: "~" });
}

test("what get and range give is the caller's", async (t) => {
  const kv = openKvLmdb({ path: join(folder(t), "state.mdb"), bytesMax: MiB });
  await kv.commit([{ key: "a", value: bytes(50_000, 1) }]);
  const first = kv.get("a")!;
  const [second] = kv.range({ from: "a", to: "b" });
  first.fill(9);
  await kv.commit([{ key: "a", value: bytes(50_000, 2) }]);
  assert.deepEqual(second!.value, bytes(50_000, 1));
  assert.deepEqual(kv.get("a"), bytes(50_000, 2));
  assert.equal(kv.get("none"), undefined);
  await kv.close();
});

test("a full store refuses with a sentence, keeps what it has, and takes again once emptied", async (t) => {
  const path = join(folder(t), "state.mdb");
  const kv = openKvLmdb({ path, bytesMax: 4 * MiB });
  let count = 0;
  let refused: Fault | undefined;
  while (refused === undefined && count < 100) {
    const writes = [
      { key: `a${count}`, value: bytes(100_000, count) },
      { key: "last", value: bytes(8, count) },
    ];
    await kv.commit(writes).then(
      () => (count += 1),
      (error: unknown) => {
        assert.ok(error instanceof Fault);
        refused = error;
      },
    );
  }
  assert.equal(refused?.code, "STORE_FAILED");
  assert.match(refused.message, /is full/);
  assert.ok(count > 30 && count < 42, `${count} values of 100 kB fitted into 4 MiB`);
  assert.deepEqual(kv.get("last"), bytes(8, count - 1), "the refused commit left nothing");

  const removals = Array.from({ length: count }, (_, i) => ({ key: `a${i}`, value: undefined }));
  await kv.commit([...removals, { key: "cursor", value: bytes(100, 1) }]);
  await kv.commit([{ key: "b", value: bytes(1_000_000, 1) }]);
  assert.ok(statSync(path).size < 6 * MiB);
  await kv.close();
});

test("the file stays near its bound under a long run of writes and removals", async (t) => {
  const path = join(folder(t), "state.mdb");
  const bytesMax = 4 * MiB;
  const kv = openKvLmdb({ path, bytesMax });
  let oldest = 0;
  for (let i = 0; i < 600; i++) {
    const value = new Uint8Array(1_000 + ((i * 7919) % 150_000));
    try {
      await kv.commit([{ key: String(i).padStart(8, "0"), value }]);
    } catch (error) {
      assert.ok(error instanceof Fault);
      const removals: KvWrite[] = [];
      while (removals.length < 8 && oldest < i) {
        removals.push({ key: String(oldest++).padStart(8, "0"), value: undefined });
      }
      await kv.commit(removals);
    }
  }
  const { size } = statSync(path);
  assert.ok(size < 1.5 * bytesMax, `${size} bytes on disk for ${bytesMax} in use`);
  await kv.close();
});

/** What a child tells that tries to commit more than its disk takes, then less. */
async function commitBeyondTheDisk(path: string, options: string): Promise<unknown> {
  const script = `
    import { openKvLmdb } from ${JSON.stringify(join(import.meta.dirname, "kv-lmdb.ts"))};
    const kv = openKvLmdb({ path: ${JSON.stringify(path)}, bytesMax: 2 ** 30, ${options} });
    await kv.commit([{ key: "a", value: new Uint8Array(1000).fill(1) }]);
    const tried = (writes) => kv.commit(writes).then(() => "taken", (error) => error.code);
    const large = await tried([
      { key: "a", value: new Uint8Array(1000).fill(2) },
      { key: "b", value: new Uint8Array(4_000_000) },
    ]);
    const whole = kv.get("a")[0] === 1 && kv.get("b") === undefined;
    const small = await tried([{ key: "c", value: new Uint8Array(10) }]);
    await kv.close();
    console.log(JSON.stringify({ large, whole, small }));
  `;
  // The shell's limit on file sizes stands in for a disk that ends.
  return JSON.parse(await run(["-c", `ulimit -f 1000; exec "$0" "$@"`], script)) as unknown;
}

test("a disk without space refuses a commit whole, and takes the next that fits", async (t) => {
  const path = join(folder(t), "state.mdb");
  const result = await commitBeyondTheDisk(path, "freeBytes: () => Promise.resolve(500_000)");
  assert.deepEqual(result, { large: "DISK_FULL", whole: true, small: "taken" });
});

test("after a failed write the store takes no more until it is reopened", async (t) => {
  const path = join(folder(t), "state.mdb");
  const result = await commitBeyondTheDisk(path, "");
  assert.deepEqual(result, { large: "STORE_FAILED", whole: true, small: "STORE_FAILED" });
  const kv = openKvLmdb({ path, bytesMax: MiB });
  assert.deepEqual(kv.get("a"), bytes(1_000, 1));
  await kv.commit([{ key: "c", value: bytes(10, 3) }]);
  await kv.close();
});

test("a disk that takes no writes is not written to, and the store takes no more until it is reopened", async (t) => {
  const path = join(folder(t), "state.mdb");
  let isReadOnly = false;
  const checkWritable = (): void => {
    if (isReadOnly) throw Object.assign(new Error("EROFS: read-only"), { code: "EROFS" });
  };
  const kv = openKvLmdb({ path, bytesMax: MiB, checkWritable });
  await kv.commit([{ key: "a", value: bytes(10, 1) }]);
  const { mtimeMs } = statSync(path);
  isReadOnly = true;
  const told = { code: "STORE_FAILED", message: /could not be written \(EROFS/ };
  await assert.rejects(kv.commit([{ key: "a", value: bytes(10, 2) }]), told);
  isReadOnly = false;
  await assert.rejects(kv.commit([{ key: "a", value: bytes(10, 3) }]), told);
  assert.deepEqual(kv.get("a"), bytes(10, 1));
  assert.equal(statSync(path).mtimeMs, mtimeMs, "LMDB was not asked");
  await kv.close();
});

test("a disk that was full is asked before LMDB tries again, but what makes room is always tried", async (t) => {
  const path = join(folder(t), "state.mdb");
  const script = `
    import { openKvLmdb } from ${JSON.stringify(join(import.meta.dirname, "kv-lmdb.ts"))};
    let free = 1_000;
    const freeBytes = () => Promise.resolve(free);
    const kv = openKvLmdb({ path: ${JSON.stringify(path)}, bytesMax: 2 ** 30, freeBytes });
    const tried = (...writes) => kv.commit(writes).then(() => "taken", (error) => error.code);
    const value = new Uint8Array(1_000);
    const said = [await tried({ key: "a", value }), await tried({ key: "b", value })];
    said.push(await tried({ key: "c", value: new Uint8Array(4_000_000) }));
    said.push(await tried({ key: "d", value }), await tried({ key: "a", value: undefined }));
    said.push(await tried({ key: "c", value: new Uint8Array(4_000_000) }));
    free = 500_000;
    said.push(await tried({ key: "d", value }));
    await kv.close();
    console.log(JSON.stringify(said));
  `;
  const said: unknown = JSON.parse(await run(["-c", `ulimit -f 1000; exec "$0" "$@"`], script));
  const [taken, full] = ["taken", "DISK_FULL"];
  assert.deepEqual(said, [taken, taken, full, full, taken, full, taken]);
});

function run(shellArgs: readonly string[], script: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = [...shellArgs, process.execPath, "--input-type=module", "-e", script];
    const child = spawn("/bin/sh", args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.on("data", (part) => (output += String(part)));
    child.stderr.on("data", (part) => (errors += String(part)));
    child.on("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`exit ${code}: ${errors}`));
    });
  });
}

test("a commit that resolved survives kill -9, whole", async (t) => {
  const path = join(folder(t), "state.mdb");
  const script = `
    import { openKvLmdb } from ${JSON.stringify(join(import.meta.dirname, "kv-lmdb.ts"))};
    import { writeSync } from "node:fs";
    const kv = openKvLmdb({ path: ${JSON.stringify(path)}, bytesMax: 2 ** 28 });
    const start = kv.get("n")?.[0] ?? 0;
    for (let n = start + 1; ; n++) {
      const value = () => new Uint8Array(20_000 + n).fill(n);
      await kv.commit([{ key: "n", value: new Uint8Array([n]) }, ...[1, 2, 3, 4].map((i) => ({ key: "v" + i, value: value() }))]);
      writeSync(1, n + "\\n");
    }
  `;
  let resolved = 0;
  for (let round = 0; round < 4; round++) {
    resolved = Math.max(resolved, await killedAfter(script, 3 + 4 * round));
    const kv = openKvLmdb({ path, bytesMax: 2 ** 28 });
    const n = kv.get("n")![0]!;
    assert.ok(n >= resolved, `commit ${resolved} resolved, the store has ${n}`);
    for (const i of [1, 2, 3, 4]) assert.deepEqual(kv.get(`v${i}`), bytes(20_000 + n, n));
    await kv.close();
  }
});

/** Kills the script after it printed so many lines; resolves to the last number it printed. */
function killedAfter(script: string, lines: number): Promise<number> {
  return new Promise((resolve) => {
    const args = ["--input-type=module", "-e", script];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (part) => {
      output += String(part);
      if (output.split("\n").length > lines) child.kill("SIGKILL");
    });
    child.on("close", () => resolve(Number(output.trim().split("\n").at(-1))));
  });
}

test("a store that cannot be opened says which", async (t) => {
  const path = join(folder(t), "none", "deep");
  assert.throws(
    () => openKvLmdb({ path: `/dev/null/${path}`, bytesMax: MiB }),
    (error) => error instanceof Fault && error.code === "STORE_FAILED",
  );
  const kv = new KvMemory();
  await assert.rejects(kv.commit([{ key: "ä", value: undefined }]), /printable ASCII/);
});

test("the twin in memory reads late and overwrites what it was given", async () => {
  const kv = new KvMemory();
  const early = bytes(4, 1);
  const committed = kv.commit([{ key: "a", value: early }]);
  early[0] = 9;
  assert.equal(kv.get("a"), undefined);
  await committed;
  assert.deepEqual(kv.get("a"), Uint8Array.from([9, 1, 1, 1]), "it saw the change made too early");
  assert.notDeepEqual(early, Uint8Array.from([9, 1, 1, 1]), "and took the buffer away");
});
