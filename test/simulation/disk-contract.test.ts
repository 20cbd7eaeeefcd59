/**
 * The simulated disk keeps the contract of the Disk door as the real one does, and where no claim
 * was thought of both are asked side by side. Where they differ the simulated one is wrong.
 */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { systemDisk } from "../../src/agent/doors/disk.ts";
import type { Disk, DiskFile } from "../../src/core/doors.ts";
import { diskContract, smallDiskBytes, unsyncedLife } from "../support/disk-contract.ts";
import type { DiskUnderTest } from "../support/disk-contract-rig.ts";
import { FaultDisk } from "../support/fault-disk.ts";
import { requireTool } from "../support/require-tool.ts";
import { seededRandom } from "../support/seeded-random.ts";

const root = resolve(import.meta.dirname, "../..");

diskContract("simulated disk", {
  open: async () => await onSimulated(new FaultDisk(seededRandom(1))),
  openSmall: async () => {
    const disk = new FaultDisk(seededRandom(1));
    disk.bytesMax = smallDiskBytes;
    return await onSimulated(disk);
  },
  openAfterKill: async () => {
    const disk = new FaultDisk(seededRandom(1));
    const { directory } = await onSimulated(disk);
    await unsyncedLife({ disk: disk.mount(), directory });
    disk.kill();
    return { disk: disk.mount(), directory };
  },
});

diskContract("real disk", {
  open: async (t) => ({ disk: systemDisk, directory: temporary(t) }),
  openSmall: async (t) => {
    if (!requireTool(t, "mount") || !requireTool(t, "umount")) return undefined;
    const directory = temporary(t, unmount);
    const options = ["-t", "tmpfs", "-o", `size=${smallDiskBytes}`, "weir-test", directory];
    const { status, stderr } = spawnSync("mount", options, { encoding: "utf8" });
    if (status !== 0) {
      // A right and no tool: where it is withheld nobody can bring it, so it is never required.
      t.skip(`needs the right to mount a small disk (root): ${stderr.split("\n")[0]}`);
      return undefined;
    }
    return { disk: systemDisk, directory };
  },
  openAfterKill: async (t) => {
    const directory = temporary(t);
    await killedAfterLife(t, directory);
    return { disk: systemDisk, directory };
  },
});

async function onSimulated(simulated: FaultDisk): Promise<DiskUnderTest> {
  const disk = simulated.mount();
  const directory = "/some/where";
  await disk.makeDirectory(directory);
  return { disk, directory };
}

/** A folder for one test; `release` is called before it is removed. */
function temporary(t: TestContext, release: (directory: string) => void = () => {}): string {
  const directory = mkdtempSync(join(tmpdir(), "weir-disk-contract-"));
  t.after(() => {
    release(directory);
    rmSync(directory, { recursive: true });
  });
  return directory;
}

/** Lazily, for a claim that failed may have left files open. Fails in silence without a mount. */
function unmount(directory: string): void {
  spawnSync("umount", ["--lazy", directory]);
}

/** Runs `unsyncedLife` in a process of its own and kills it (kill -9) with its files open. */
async function killedAfterLife(t: TestContext, directory: string): Promise<void> {
  const script = `
    import { systemDisk } from ${JSON.stringify(join(root, "src/agent/doors/disk.ts"))};
    import { unsyncedLife } from ${JSON.stringify(join(root, "test/support/disk-contract.ts"))};
    await unsyncedLife({ disk: systemDisk, directory: ${JSON.stringify(directory)} });
    console.log("lived");
    setInterval(() => {}, 1_000);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const gone = once(child, "close");
  // Ends without a word where the child fails: then the claim finds nothing.
  await Promise.race([once(child.stdout, "data"), gone]);
  child.kill("SIGKILL");
  await gone;
}

// ---- side by side ----

const place = fc.constantFrom(0, 1, 2);
/** Files may be anywhere but at `keep`. */
const path = fc.constantFrom("f", "g", "d", "d/f", "d/e", "d/e/f", "keep/f", "keep/g");
/** Never a directory: a simulated one cannot be renamed. */
const filePath = fc.constantFrom("f", "g", "d/f", "d/e/f", "keep/f", "keep/g");
const directoryPath = fc.constantFrom("d", "d/e", "keep");
/** Never a file: a real one would be synced. */
const syncedPath = fc.constantFrom("", "keep", "missing", "f/e/deep");
const count = fc.oneof(
  fc.nat({ max: 20 }),
  fc.nat({ max: 3_000 }),
  fc.constantFrom(0, 511, 512, 513, 1024),
);

const kind = <const Kind extends string>(name: Kind): fc.Arbitrary<Kind> => fc.constant(name);

const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: kind("open"), place, path, create: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("close"), place }) },
  { weight: 3, arbitrary: fc.record({ kind: kind("read"), place, offset: count, length: count }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: kind("write"),
      place,
      offset: count,
      length: count,
      byte: fc.integer({ min: 1, max: 255 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind("truncate"), place, size: count }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("size"), place }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("sync"), place }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("makeDirectory"), path: directoryPath }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("list"), path: fc.oneof(path, directoryPath) }) },
  { weight: 3, arbitrary: fc.record({ kind: kind("rename"), from: filePath, to: path }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("remove"), path }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("syncDirectory"), path: syncedPath }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("freeBytes"), path }) },
);

type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never;

/** Carries operations out on one disk, with up to three files open. */
class Player {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #files: (DiskFile | undefined)[] = [];

  constructor({ disk, directory }: DiskUnderTest) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** What comes back, or the code of the error. */
  async answer(of: Operation): Promise<unknown> {
    try {
      return await this.#perform(of);
    } catch (error) {
      if (error instanceof Error && "code" in error) return error.code;
      throw error;
    }
  }

  async closeAll(): Promise<void> {
    for (const at of this.#files.keys()) await this.#close(at);
  }

  /** Names and bytes of all files below a directory; a directory ends in a slash. */
  async tree(directory = ""): Promise<readonly (readonly [string, string])[]> {
    const found: (readonly [string, string])[] = [];
    for (const name of (await this.#disk.list(this.#path(directory))).toSorted()) {
      const at = `${directory}/${name}`;
      const isDirectory = await this.#disk.list(this.#path(at)).then(
        () => true,
        () => false,
      );
      if (isDirectory) found.push([`${at}/`, ""], ...(await this.tree(at)));
      else found.push([at, await this.#bytes(at)]);
    }
    return found;
  }

  async #perform(of: Operation): Promise<unknown> {
    const disk = this.#disk;
    const file = "place" in of ? this.#files[of.place] : undefined;
    switch (of.kind) {
      case "open":
        await this.#close(of.place);
        this.#files[of.place] = await disk.open(this.#path(of.path), { create: of.create });
        return "opened";
      case "close":
        return await this.#close(of.place);
      case "read": {
        const target = new Uint8Array(of.length).fill(46);
        return [await file?.read(target, of.offset), hex(target)];
      }
      case "write":
        return await file?.write(new Uint8Array(of.length).fill(of.byte), of.offset);
      case "truncate":
        return await file?.truncate(of.size);
      case "size":
        return await file?.size();
      case "sync":
        return await file?.sync();
      case "makeDirectory":
        return await disk.makeDirectory(this.#path(of.path));
      case "list":
        return (await disk.list(this.#path(of.path))).toSorted();
      case "rename":
        return await disk.rename(this.#path(of.from), this.#path(of.to));
      case "remove":
        return await disk.remove(this.#path(of.path));
      case "syncDirectory":
        return await disk.syncDirectory(this.#path(of.path));
      case "freeBytes":
        return (await disk.freeBytes(this.#path(of.path))) > 0;
    }
  }

  /** A closed file is forgotten: its number may become that of the next. */
  async #close(at: number): Promise<void> {
    const file = this.#files[at];
    this.#files[at] = undefined;
    await file?.close();
  }

  async #bytes(at: string): Promise<string> {
    const file = await this.#disk.open(this.#path(at), { create: false });
    const bytes = new Uint8Array(await file.size());
    await file.read(bytes, 0);
    await file.close();
    return hex(bytes);
  }

  #path(at: string): string {
    return at === "" ? this.#directory : join(this.#directory, at);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

const operations = fc.array(operation, { maxLength: 100, size: "max" });

test("whatever is done to both disks, they answer alike and hold the same in the end", async (t) => {
  const above = temporary(t);
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(operations, async (performed) => {
      const directory = join(above, String(runs++));
      await systemDisk.makeDirectory(directory);
      const real = new Player({ disk: systemDisk, directory });
      const simulated = new Player(await onSimulated(new FaultDisk(seededRandom(1))));
      for (const of of performed) {
        assert.deepEqual(await simulated.answer(of), await real.answer(of), of.kind);
      }
      assert.deepEqual(await simulated.tree(), await real.tree());
      await real.closeAll();
      assert.deepEqual(await simulated.tree(), await real.tree());
    }),
    { numRuns: 200 },
  );
});

/** Bytes that were durable and cut off, where the file then grows without a write. */
const cutAndGrown: Operation[] = [
  { kind: "open", place: 0, path: "f", create: true },
  { kind: "write", place: 0, offset: 0, length: 2_000, byte: 1 },
  { kind: "sync", place: 0 },
  { kind: "truncate", place: 0, size: 10 },
  { kind: "truncate", place: 0, size: 2_000 },
];

test("what was done, then synced, is what a power cut leaves", async () => {
  await fc.assert(
    fc.asyncProperty(operations, fc.nat(), async (performed, seed) => {
      const disk = new FaultDisk(seededRandom(seed));
      const player = new Player(await onSimulated(disk));
      for (const of of performed) await player.answer(of);
      const files = await syncedFiles(disk);
      disk.crash();
      assert.deepEqual(filesOf(disk), files);
    }),
    { numRuns: 200, examples: [[cutAndGrown, 0]] },
  );
});

test("what a power cut left of a file grows by zeros", async () => {
  await fc.assert(
    fc.asyncProperty(operations, fc.nat(), async (performed, seed) => {
      const disk = new FaultDisk(seededRandom(seed));
      const player = new Player(await onSimulated(disk));
      for (const of of performed) await player.answer(of);
      disk.crash();
      for (const path of disk.paths()) {
        const { length } = disk.peek(path);
        const file = await disk.mount().open(path, { create: false });
        await file.truncate(length + 3_000);
        assert.ok(
          disk
            .peek(path)
            .subarray(length)
            .every((byte) => byte === 0),
        );
      }
    }),
    { numRuns: 200 },
  );
});

/** Syncs all there is and gives it. */
async function syncedFiles(disk: FaultDisk): Promise<ReadonlyMap<string, Uint8Array>> {
  const door = disk.mount();
  for (const path of disk.paths()) {
    const file = await door.open(path, { create: false });
    await file.sync();
    await file.close();
  }
  for (const directory of disk.directories()) await door.syncDirectory(directory);
  await door.syncDirectory("/some/where");
  return filesOf(disk);
}

function filesOf(disk: FaultDisk): ReadonlyMap<string, Uint8Array> {
  return new Map(disk.paths().map((path) => [path, disk.peek(path)]));
}
