import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FaultDisk } from "../../../../test/support/fault-disk.ts";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import {
  openedTable,
  type PlainTable,
  seriesIn,
  tableOf,
  tablePlans,
  writeTable,
} from "../../../../test/support/tables.ts";
import { isEnvironmental } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { type SeriesId, seriesId } from "../../../core/units.ts";
import { createRows, type Rows, readings } from "../rows.ts";
import { openTable, type Table } from "./table-reader.ts";
import { type BlockEntry, openTableWriter } from "./table-writer.ts";

const path = "/t.tbl";

async function entriesOf(table: Table, series: SeriesId): Promise<readonly BlockEntry[]> {
  const found = await table.entries(readings, series);
  assert(found.kind === "entries");
  return found.entries;
}

/** A block of readings each second, values that no encoding makes small. */
function noisyRows(block: number): Rows {
  const random = seededRandom(block + 1);
  const rows = createRows(readings);
  rows.rows = limits.tableBlockRowsMax;
  for (let i = 0; i < rows.rows; i++) {
    rows.time[i] = 1_700_000_000_000 + (block * rows.rows + i) * 1_000;
    rows.columns[0]![i] = random.uint32() + random.uint32() / 2 ** 21;
  }
  return rows;
}

test("a table copied block by block is the same file as one that was added", async () => {
  await fc.assert(
    fc.asyncProperty(tablePlans, async (plan) => {
      const disk = new FaultDisk(seededRandom(1));
      const door = disk.mount();
      const plain = tableOf(plan);
      await writeTable(door, path, plain);
      await copyTable(await openedTable(door, path), plain, "/copy.tbl");
      assert.deepEqual(disk.peek("/copy.tbl"), disk.peek(path));

      async function copyTable(from: Table, like: PlainTable, to: string): Promise<void> {
        const writer = await openTableWriter(door, { path: to });
        for (const { resolution, devices } of like) {
          writer.beginSection(resolution);
          for (const device of devices) {
            writer.beginDevice();
            for (const { id } of device) {
              const found = await from.entries(resolution, id);
              assert(found.kind === "entries");
              for (const entry of found.entries) {
                const block = await from.readEncoded(entry);
                assert(block.kind === "block");
                writer.addEncoded(id, { ...block, ...entry, figures: entry });
                // What was given is the caller's again.
                block.stamps.fill(0);
                block.values.fill(0);
              }
            }
          }
        }
        await writer.finish();
      }
    }),
    { numRuns: 50 },
  );
});

test("stamps that series of a device share stand once, those of other devices apart", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const writer = await openTableWriter(door, { path });
  writer.beginSection(readings);
  for (const device of [0, 1]) {
    writer.beginDevice();
    for (let i = 0; i < 4; i++) writer.add(seriesId(device * 4 + i), noisyRows(0));
  }
  await writer.finish();
  const table = await openedTable(door, path);
  const stampsAt = new Set<number>();
  for (let i = 0; i < 8; i++) {
    for (const entry of await entriesOf(table, seriesId(i))) stampsAt.add(entry.stampsAt);
  }
  assert.equal(stampsAt.size, 2);
});

test("stamps with the same checksum and length, but other bytes, are not shared", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const writer = await openTableWriter(door, { path });
  writer.beginSection(readings);
  writer.beginDevice();
  const figures = { rows: 1, timeFirst: 0, timeLast: 0, numbers: 1, min: 0, max: 0, sum: 0 };
  const same = { figures, stampsChecksum: 7, values: Uint8Array.of(1), valuesChecksum: 7 };
  writer.addEncoded(seriesId(1), { ...same, stamps: Uint8Array.of(1, 2, 3, 4) });
  writer.addEncoded(seriesId(2), { ...same, stamps: Uint8Array.of(1, 2, 3, 5) });
  writer.addEncoded(seriesId(3), { ...same, stamps: Uint8Array.of(1, 2, 3, 4) });
  await writer.finish();
  const table = await openedTable(door, path);
  const at: number[] = [];
  for (const id of [1, 2, 3]) at.push((await entriesOf(table, seriesId(id)))[0]!.stampsAt);
  assert.deepEqual(at, [12, 16, 12]);
});

test("the blocks of a series lie together, though they came in turns, and so do its stamps", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const writer = await openTableWriter(door, { path });
  writer.beginSection(readings);
  writer.beginDevice();
  for (let block = 0; block < 5; block++) {
    for (const id of [7, 3, 5]) writer.add(seriesId(id), noisyRows(block));
  }
  await writer.finish();
  const table = await openedTable(door, path);
  for (const id of [7, 3, 5]) {
    const entries = await entriesOf(table, seriesId(id));
    assert.equal(entries.length, 5);
    for (const [i, { stampsAt, valuesAt }] of entries.entries()) {
      if (i === 0) continue;
      const before = entries[i - 1]!;
      assert.equal(valuesAt, before.valuesAt + before.valuesBytes);
      assert.equal(stampsAt, before.stampsAt + before.stampsBytes);
    }
  }
});

test("a device that is more than a group is cut, in memory too, and still shares its stamps", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const writer = await openTableWriter(door, { path });
  writer.beginSection(readings);
  writer.beginDevice();
  const blocks = Math.ceil(limits.tableGroupBytesMax / (limits.tableBlockRowsMax * 6));
  for (const id of [1, 2]) {
    for (let block = 0; block < blocks; block++) {
      writer.add(seriesId(id), noisyRows(block));
      await writer.drain();
    }
    // All but one group and one piece is in the file.
    const written = disk.peek(path).length;
    const waiting = limits.tableGroupBytesMax + limits.tablePieceBytes;
    assert.ok(writer.bytes - written <= waiting, `${writer.bytes - written} bytes in memory`);
  }
  const { bytes } = await writer.finish();
  assert.ok(bytes > limits.tableGroupBytesMax * 2);
  const table = await openedTable(door, path);
  const [one, other] = [await entriesOf(table, seriesId(1)), await entriesOf(table, seriesId(2))];
  assert.deepEqual(
    one.map(({ stampsAt }) => stampsAt),
    other.map(({ stampsAt }) => stampsAt),
  );
  const target = createRows(readings);
  for (const [block, entry] of other.entries()) {
    assert.equal(await table.read(readings, entry, target), "read");
    assert.deepEqual(target, noisyRows(block));
  }
});

test("a file that was left at the path is replaced", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const plain = tableOf({ seed: 1, resolutions: [readings], devices: [[2]] });
  const left = await door.open(path, { create: true });
  await left.write(new Uint8Array(100_000), 0);
  await left.close();
  const { bytes } = await writeTable(door, path, plain);
  assert.equal(disk.peek(path).length, bytes);
});

test("a section without rows is left out", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const writer = await openTableWriter(door, { path });
  writer.beginSection(readings);
  writer.beginDevice();
  writer.beginSection(10_000);
  writer.beginDevice();
  const [{ rows } = { rows: undefined }] = seriesIn(
    tableOf({ seed: 1, resolutions: [10_000], devices: [[3]] })[0]!,
  );
  writer.add(seriesId(1), rows!);
  const { sections } = await writer.finish();
  assert.deepEqual(
    sections.map(({ resolution }) => resolution),
    [10_000],
  );
});

test("what is added against the order is a bug", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const isBug = { name: "InvariantError" };
  const writer = await openTableWriter(door, { path });
  assert.throws(() => writer.beginDevice(), isBug);
  writer.beginSection(10_000);
  assert.throws(() => writer.add(seriesId(1), noisyRows(0)), isBug);
  writer.beginDevice();
  assert.throws(() => writer.add(seriesId(1), noisyRows(0)), isBug);
  assert.throws(() => writer.beginSection(10_000), isBug);
  assert.throws(() => writer.beginSection(readings), isBug);
  await assert.rejects(writer.finish(), isBug);
  await writer.abandon();
  const other = await openTableWriter(door, { path });
  other.beginSection(readings);
  other.beginDevice();
  other.add(seriesId(1), noisyRows(1));
  assert.throws(() => other.add(seriesId(1), noisyRows(0)), isBug);
  other.beginDevice();
  other.add(seriesId(1), noisyRows(2));
  await assert.rejects(other.finish(), isBug);
  await other.abandon();
  assert.deepEqual(disk.paths(), []);
});

test("a disk that fails or is full rejects as it does; what was begun is removed", async () => {
  for (const fails of ["write", "sync"] as const) {
    const disk = new FaultDisk(seededRandom(1));
    const door = disk.mount();
    const writer = await openTableWriter(door, { path });
    writer.beginSection(readings);
    writer.beginDevice();
    writer.add(seriesId(1), noisyRows(0));
    disk.fate = ({ name }) => (name === fails ? "EIO" : undefined);
    await assert.rejects(writer.finish(), { code: "EIO" });
    await writer.abandon();
    assert.deepEqual([disk.paths(), disk.openFiles], [[], 0]);
  }
  const full = new FaultDisk(seededRandom(1));
  const door = full.mount();
  full.bytesMax = 1_024 * 1_024;
  const writer = await openTableWriter(door, { path });
  writer.beginSection(readings);
  writer.beginDevice();
  const fill = async (): Promise<void> => {
    for (let block = 0; block < 1_000; block++) {
      writer.add(seriesId(1), noisyRows(block));
      await writer.drain();
    }
  };
  await assert.rejects(fill(), { code: "ENOSPC" });
  await writer.abandon();
  assert.deepEqual([full.paths(), full.openFiles], [[], 0]);
});

test("after a power cut while a table is written, what is found is not there, damaged, or true", async () => {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const disk = new FaultDisk(seededRandom(seed));
    const door = disk.mount();
    // 700 KB: three pieces.
    const rows = Array.from({ length: 100 }, (_, block) => noisyRows(block));
    const crashAt = seed % 10;
    disk.fate = ({ index }) => (index === crashAt ? "crash" : undefined);
    const write = async (): Promise<void> => {
      const writer = await openTableWriter(door, { path });
      await door.syncDirectory("/");
      writer.beginSection(readings);
      for (const [block, each] of rows.entries()) {
        if (block % 10 === 0) writer.beginDevice();
        writer.add(seriesId(Math.floor(block / 10)), each);
        await writer.drain();
      }
      await writer.finish();
      disk.fate = () => undefined;
      outcomes.add("finished");
    };
    await write().catch((error: unknown) => {
      assert.ok(isEnvironmental(error), String(error));
    });
    disk.crash();
    disk.fate = () => undefined;
    if (!disk.paths().includes(path)) {
      outcomes.add("missing");
      continue;
    }
    const opened = await openTable(disk.mount(), path);
    outcomes.add(opened.kind);
    if (opened.kind === "damaged") continue;
    const target = createRows(readings);
    for (let series = 0; series < 10; series++) {
      const found = await opened.table.entries(readings, seriesId(series));
      if (found.kind === "damaged") continue;
      for (const [i, entry] of found.entries.entries()) {
        const outcome = await opened.table.read(readings, entry, target);
        if (outcome === "read") assert.deepEqual(target, rows[series * 10 + i]);
      }
    }
  }
  assert.deepEqual([...outcomes].toSorted(), ["damaged", "finished", "missing", "table"]);
});

test("no sync is long: the file is synced every few MiB", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const writer = await openTableWriter(door, { path });
  writer.beginSection(readings);
  let synced = 0;
  let syncs = 0;
  let longest = 0;
  const rows = Array.from({ length: 10 }, (_, block) => noisyRows(block));
  disk.fate = ({ name }) => {
    if (name !== "sync") return undefined;
    const written = disk.peek(path).length;
    longest = Math.max(longest, written - synced);
    synced = written;
    syncs += 1;
    return undefined;
  };
  for (let series = 0; series < 2_000; series++) {
    writer.beginDevice();
    writer.add(seriesId(series), rows[series % 10]!);
    await writer.drain();
  }
  const { bytes } = await writer.finish();
  assert.equal(synced, bytes);
  assert.ok(bytes > 2 * limits.tableSyncBytes);
  assert.equal(syncs, Math.floor(bytes / limits.tableSyncBytes) + 1);
  assert.ok(longest <= limits.tableSyncBytes, `${longest} bytes in one sync`);
});
