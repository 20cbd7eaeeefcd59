import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../../test/support/fault-disk.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import type { Disk } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { type NotedBackup, noteBackup, readBackupList, whereaboutsOf } from "./backup-list.ts";
import { ifThere, writeWhole } from "./whole-files.ts";

const path = "/data/backups.ndjson";

async function emptyDisk(): Promise<{ readonly faults: FaultDisk; readonly disk: Disk }> {
  const faults = new FaultDisk(seededRandom(1));
  const disk = faults.mount();
  await disk.makeDirectory("/data");
  await disk.syncDirectory("/data");
  return { faults, disk };
}

function numbered(n: number): NotedBackup {
  return { created: 1000 + n, target: `/mnt/usb/${n}`, weir: "0.1.0" };
}

async function put(disk: Disk, at: string, text: string): Promise<void> {
  await ifThere(() => disk.remove(at));
  await writeWhole(disk, at, new TextEncoder().encode(text));
}

test("a directory that nothing was backed up of has an empty list", async () => {
  const { disk } = await emptyDisk();
  assert.deepEqual(await readBackupList(disk, path), { backups: [], forgotten: 0, damaged: 0 });
});

test("backups are listed oldest first, one that is made again at the same place twice", async () => {
  const { disk } = await emptyDisk();
  const made = [numbered(1), numbered(2), { ...numbered(1), created: 5000 }];
  for (const one of made) await noteBackup(disk, path, one);
  assert.deepEqual(await readBackupList(disk, path), { backups: made, forgotten: 0, damaged: 0 });
});

test("the list is bounded: the oldest become a count, and the count grows", async () => {
  const { disk } = await emptyDisk();
  const made = Array.from({ length: limits.backupsListedMax + 3 }, (_, n) => numbered(n));
  for (const one of made) await noteBackup(disk, path, one);
  const list = await readBackupList(disk, path);
  assert.deepEqual(list, { backups: made.slice(3), forgotten: 3, damaged: 0 });
});

test("a torn last line is left out and counted, and the next backup is listed behind the whole ones", async () => {
  const { disk } = await emptyDisk();
  await put(disk, path, `${JSON.stringify(numbered(1))}\n{"created":12,"targ`);
  assert.deepEqual(await readBackupList(disk, path), {
    backups: [numbered(1)],
    forgotten: 0,
    damaged: 1,
  });
  await noteBackup(disk, path, numbered(2));
  assert.deepEqual(await readBackupList(disk, path), {
    backups: [numbered(1), numbered(2)],
    forgotten: 1,
    damaged: 0,
  });
});

test("a power cut at any call of the disk leaves the list with the backup or without it", async () => {
  for (let cut = 0; ; cut++) {
    const faults = new FaultDisk(seededRandom(cut));
    const disk = faults.mount();
    await disk.makeDirectory("/data");
    await noteBackup(disk, path, numbered(1));
    const from = faults.calls;
    faults.fate = ({ index }) => (index === from + cut ? "crash" : undefined);
    const isDone = await noteBackup(disk, path, numbered(2)).then(
      () => true,
      () => false,
    );
    faults.fate = () => undefined;
    faults.crash();
    const { backups, damaged } = await readBackupList(faults.mount(), path);
    assert.equal(damaged, 0);
    assert.deepEqual(backups[0], numbered(1));
    assert.ok(!isDone || backups.length === 2, `cut at call ${cut}`);
    if (isDone) return;
  }
});

test("a list that cannot be written is as it was", async () => {
  const { faults, disk } = await emptyDisk();
  await noteBackup(disk, path, numbered(1));
  faults.fate = ({ name }) => (name === "write" || name === "rename" ? "EROFS" : undefined);
  await assert.rejects(noteBackup(disk, path, numbered(2)), { code: "EROFS" });
  faults.fate = () => undefined;
  assert.deepEqual((await readBackupList(disk, path)).backups, [numbered(1)]);
});

test("what is at the place of a backup now: it, another one, nothing, or what nobody can read", async () => {
  const { faults, disk } = await emptyDisk();
  const noted = { created: 7, target: "/usb", weir: "0.1.0" };
  assert.equal(await whereaboutsOf(disk, noted), "absent");
  await disk.makeDirectory("/usb");
  assert.equal(await whereaboutsOf(disk, noted), "absent");
  await put(disk, "/usb/backup.json", '{"format":1,"weir":"0.1.0","created":7,"files":[]}');
  assert.equal(await whereaboutsOf(disk, noted), "there");
  assert.equal(await whereaboutsOf(disk, { ...noted, created: 6 }), "another");
  faults.fate = ({ name }) => (name === "read" ? "EIO" : undefined);
  assert.equal(await whereaboutsOf(disk, noted), "unreadable");
  faults.fate = () => undefined;
  await put(disk, "/usb/backup.json", '{"format":1,');
  assert.equal(await whereaboutsOf(disk, noted), "unreadable");
});
