import assert from "node:assert/strict";
import { test } from "node:test";
import type { DiskFile } from "../../src/core/doors.ts";
import { FaultDisk } from "./fault-disk.ts";
import { seededRandom } from "./seeded-random.ts";

async function written(disk: FaultDisk, bytes: Uint8Array): Promise<DiskFile> {
  const door = disk.mount();
  await door.makeDirectory("/d");
  const file = await door.open("/d/f", { create: true });
  await file.write(bytes, 0);
  return file;
}

const full = new Uint8Array(4 * 512).fill(7);

test("what was synced survives every crash", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new FaultDisk(seededRandom(seed));
    const file = await written(disk, full);
    await file.sync();
    await disk.mount().syncDirectory("/d");
    disk.crash();
    assert.deepEqual(disk.peek("/d/f"), full);
  }
});

test("of what was not synced, a crash keeps some sectors in some seeds", async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    const disk = new FaultDisk(seededRandom(seed));
    const file = await written(disk, new Uint8Array(4 * 512));
    await file.sync();
    await disk.mount().syncDirectory("/d");
    await file.write(full, 0);
    disk.crash();
    const sectors = [0, 512, 1024, 1536].map((at) => disk.peek("/d/f")[at]);
    seen.add(sectors.join(""));
  }
  assert(seen.size > 8 && seen.has("7777") && seen.has("0000"));
});

test("after a failed sync a second one proves nothing", async () => {
  let lost = 0;
  for (let seed = 0; seed < 20; seed++) {
    const disk = new FaultDisk(seededRandom(seed));
    const file = await written(disk, full);
    await disk.mount().syncDirectory("/d");
    disk.fate = ({ name }) => (name === "sync" ? "EIO" : undefined);
    await assert.rejects(file.sync(), { code: "EIO" });
    disk.fate = () => undefined;
    await file.sync();
    disk.crash();
    if (disk.peek("/d/f").some((byte) => byte !== 7)) lost += 1;
  }
  assert(lost > 10);
});

test("a file and a name that were not synced may be gone", async () => {
  const left = new Set<number>();
  for (let seed = 0; seed < 10; seed++) {
    const disk = new FaultDisk(seededRandom(seed));
    await written(disk, full);
    disk.crash();
    left.add(disk.paths().length);
  }
  assert.deepEqual(
    [...left].toSorted((a, b) => a - b),
    [0, 1],
  );
});

test("a door and its files are dead after a crash", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const file = await written(disk, full);
  disk.kill();
  await assert.rejects(door.list("/d"), { code: "EIO" });
  await assert.rejects(file.write(full, 0), { code: "EBADF" });
  assert.deepEqual(disk.peek("/d/f"), full);
});

test("a full disk refuses what does not fit, and only that", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const file = await written(disk, full);
  disk.bytesMax = 5 * 512;
  await assert.rejects(file.write(full, 2 * 512), { code: "ENOSPC" });
  await file.write(full, 512);
  assert.equal(await disk.mount().freeBytes("/d"), 0);
});
