import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { numberedFrame } from "../../../test/support/frames.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { Fault } from "../../core/faults.ts";
import { openLog } from "../../store/log/log.ts";
import { readingDisk, systemDisk } from "./disk.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "weir-disk-"));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("files are written at their offsets, read to their end, cut and renamed", async () => {
  await inFolder(async (folder) => {
    const deep = join(folder, "a/b");
    await systemDisk.makeDirectory(deep);
    await systemDisk.makeDirectory(deep);
    const file = await systemDisk.open(join(deep, "x"), { create: true });
    await file.write(Buffer.from("world"), 6);
    await file.write(Buffer.from("hello "), 0);
    await file.sync();
    const target = new Uint8Array(20);
    assert.equal(await file.read(target, 6), 5);
    assert.equal(Buffer.from(target.subarray(0, 5)).toString(), "world");
    await file.truncate(5);
    assert.equal(await file.size(), 5);
    await systemDisk.rename(join(deep, "x"), join(deep, "y"));
    await systemDisk.syncDirectory(deep);
    await file.close();
    assert.deepEqual(await systemDisk.list(deep), ["y"]);
    assert.equal(readFileSync(join(deep, "y"), "utf8"), "hello");
    assert((await systemDisk.freeBytes(deep)) > 0);
    await systemDisk.remove(join(deep, "y"));
    assert.deepEqual(await systemDisk.list(deep), []);
  });
});

test("a failing call rejects with the system's code", async () => {
  await inFolder(async (folder) => {
    const missing = join(folder, "missing");
    const isMissing = { code: "ENOENT" };
    await assert.rejects(systemDisk.open(missing, { create: false }), isMissing);
    await assert.rejects(systemDisk.list(missing), isMissing);
    await assert.rejects(systemDisk.rename(missing, folder), isMissing);
    await assert.rejects(systemDisk.remove(missing), isMissing);
    await assert.rejects(systemDisk.syncDirectory(missing), isMissing);
    const file = await systemDisk.open(missing, { create: true });
    await file.close();
    await assert.rejects(file.sync(), { code: "EBADF" });
  });
});

test("who only reads refuses a pipe, a folder and a device, waits for none and keeps none open", async () => {
  await inFolder(async (folder) => {
    const pipe = join(folder, "pipe");
    assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
    const open = readdirSync("/proc/self/fd").length;
    for (const path of [folder, "/dev/zero", pipe]) {
      await assert.rejects(readingDisk.open(path, { create: false }), (error) => {
        assert.ok(error instanceof Fault && error.code === "DISK_FAILED", path);
        return error.message.startsWith(`${path} is no regular file`);
      });
    }
    assert.equal(readdirSync("/proc/self/fd").length, open);
  });
});

test("the log keeps its frames on a real disk", async () => {
  await inFolder(async (folder) => {
    const options = {
      directory: join(folder, "log"),
      segmentBytes: 64 * 1024,
      bytesMax: 4 * 64 * 1024,
      random: seededRandom(1),
    };
    const { log } = await openLog(systemDisk, options);
    for (let tag = 0; tag < 40; tag++) {
      await log.append(numberedFrame(tag, 500));
      if (tag % 10 === 9) await log.release(log.end);
    }
    const kept: number[] = [];
    await log.read(log.start, ({ clock }) => void kept.push(clock));
    await log.close();
    const { log: again, damage } = await openLog(systemDisk, options);
    const read: number[] = [];
    await again.read(again.start, ({ clock }) => void read.push(clock));
    assert.deepEqual(read, kept);
    assert.deepEqual(damage.places, []);
    assert.equal(again.end, 40 * 501);
    await again.close();
  });
});
