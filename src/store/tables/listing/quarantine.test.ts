/**
 * Damage is contained: whatever becomes of the files, every reading is in memory, in a table, or counted
 * as lost; the rest is answered; no damaged file is deleted while there is room for it.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Put, TableRig } from "../../../../test/support/table-rig.ts";
import { limits } from "../../../core/limits.ts";
import { seriesId } from "../../../core/units.ts";
import { createReadReport, type ReadReport } from "../read/block-source.ts";
import { QuarantineFiles } from "./quarantine-files.ts";
import { allTime } from "../rows.ts";
import { readBuckets, readReadings } from "../read/table-query.ts";
import { tablePath } from "./table-files.ts";
import { openTable } from "../file/table-reader.ts";

const day = limits.partitionMs;
const tier = 180_000;
const perTable = 3_000;
const aside = (id: number): string =>
  tablePath("/tables", id).replace("/tables/", "/tables/quarantine/");

/** Every second a reading, of series 0 and 2 in turn. */
function putsFrom(first: number): readonly Put[] {
  return Array.from({ length: perTable }, (_, i) => {
    const at = first + i;
    return { series: (i % 2) * 2, time: 20_000 * day + at * 1_000, value: at % 97 };
  });
}

/** A rig with so many tables of perTable readings each; compaction has to be asked for. */
async function rigWith(
  tables: number,
  policy: TableRig["policy"] | object = {},
): Promise<TableRig> {
  const rig = new TableRig({ seed: 1, rowsMax: 1_000_000, policy });
  await rig.open();
  for (let table = 0; table < tables; table++) {
    rig.put(putsFrom(table * perTable));
    await rig.flush();
  }
  return rig;
}

async function count(rig: TableRig, report: ReadReport = createReadReport()): Promise<number> {
  let sum = 0;
  using snapshot = rig.store.snapshot();
  for (const series of [0, 2]) {
    const wanted = { series: seriesId(series), range: allTime };
    for await (const rows of readReadings(snapshot, wanted, report)) sum += rows.rows;
  }
  return sum;
}

function assertConserved(rig: TableRig, put: number): void {
  const { inMemory, inTables, counts } = rig.store.status;
  assert.equal(inMemory + inTables + counts.expired + counts.lost, put);
}

/** Damages what is there; the end is where footer and trailers are. */
function damage(rig: TableRig, id: number, where: "end" | "block"): void {
  const path = tablePath("/tables", id);
  const { length } = rig.disk.peek(path);
  const at = where === "block" ? 12 : 100;
  rig.disk.poke(path, at, Buffer.alloc(where === "block" ? 8 : length - at, 0x5a));
}

async function reopened(rig: TableRig): Promise<void> {
  await rig.end("close");
  await rig.open();
}

test("a table whose end is damaged is set aside, counted and kept; the rest is answered", async () => {
  const rig = await rigWith(3);
  await reopened(rig);
  damage(rig, 1, "end");
  const report = createReadReport();
  assert.equal(await count(rig, report), 2 * perTable);
  assert.deepEqual([...report.damaged.keys()], [1]);
  await rig.store.settle();
  for (const again of [false, true]) {
    if (again) await reopened(rig);
    const { tables, counts, quarantined, quarantine, damaged } = rig.store.status;
    assert.equal(tables, 2);
    assert.equal(counts.lost, perTable);
    assert.deepEqual(damaged, []);
    assert.deepEqual(
      quarantined.map(({ id, why, readings: stoodFor }) => [id, why, stoodFor]),
      [[1, "damaged", perTable]],
    );
    assert.match(quarantined[0]?.reason ?? "", /table-0000000001\.tbl/);
    assert.equal(quarantine.files, 1);
    assert.equal(quarantine.bytes, rig.disk.peek(aside(1)).length);
    assert.ok(!rig.disk.paths().includes(tablePath("/tables", 1)));
    const later = createReadReport();
    assert.equal(await count(rig, later), 2 * perTable);
    assert.equal(later.damaged.size, 0);
    assertConserved(rig, 3 * perTable);
  }
});

test("a table that is damaged only while it is read once stays", async () => {
  const rig = await rigWith(2);
  await reopened(rig);
  const path = tablePath("/tables", 0);
  const whole = rig.disk.peek(path);
  damage(rig, 0, "end");
  let opens = 0;
  rig.disk.fate = (call) => {
    if (call.name === "open" && call.path === path) opens += 1;
    if (opens === 2) rig.disk.poke(path, 0, whole);
    return undefined;
  };
  const report = createReadReport();
  await count(rig, report);
  assert.deepEqual([...report.damaged.keys()], [0]);
  await rig.store.settle();
  assert.equal(rig.store.status.tables, 2);
  assert.equal(await count(rig), 2 * perTable);
});

test("a missing file is lost, and back when it is there again", async () => {
  const rig = await rigWith(3);
  await rig.end("close");
  const path = tablePath("/tables", 2);
  await rig.disk.mount().rename(path, "/tables/elsewhere");
  await rig.open();
  assert.equal(await count(rig), 2 * perTable);
  const { counts, quarantined } = rig.store.status;
  assert.equal(counts.lost, perTable);
  assert.deepEqual(
    quarantined.map(({ id, why }) => [id, why]),
    [[2, "missing"]],
  );
  assertConserved(rig, 3 * perTable);
  await rig.end("close");
  await rig.disk.mount().rename("/tables/elsewhere", path);
  await rig.open();
  assert.equal(await count(rig), 3 * perTable);
  assert.equal(rig.store.status.counts.lost, 0);
  assert.deepEqual(rig.store.status.quarantined, []);
});

test("a file that goes missing while the store is open stops nothing", async () => {
  const rig = await rigWith(3);
  await reopened(rig);
  await rig.disk.mount().remove(tablePath("/tables", 0));
  assert.equal(await count(rig), 2 * perTable);
  await rig.store.settle();
  assert.deepEqual(
    rig.store.status.quarantined.map(({ id, why }) => [id, why]),
    [[0, "missing"]],
  );
  assertConserved(rig, 3 * perTable);
});

test("a merge goes on without a damaged block, counts it, and keeps the original", async () => {
  const rig = await rigWith(2, { mergeTablesMin: 3 });
  damage(rig, 1, "block");
  rig.put(putsFrom(2 * perTable));
  await rig.flush();
  const { tables, counts, quarantined } = rig.store.status;
  assert.equal(tables, 1);
  assert.ok(counts.lost > 0 && counts.lost <= 2 * limits.tableBlockRowsMax, `${counts.lost} lost`);
  assert.equal(await count(rig), 3 * perTable - counts.lost);
  assert.deepEqual(
    quarantined.map(({ id, why }) => [id, why]),
    [[1, "mended"]],
  );
  assert.ok(rig.disk.paths().includes(aside(1)));
  assert.ok(!rig.disk.paths().includes(tablePath("/tables", 0)));
  assertConserved(rig, 3 * perTable);
});

test("a merge whose input is damaged altogether sets it aside and goes on with the others", async () => {
  const rig = await rigWith(3, { mergeTablesMin: 4 });
  await reopened(rig);
  damage(rig, 0, "end");
  rig.put(putsFrom(3 * perTable));
  await rig.flush();
  rig.put(putsFrom(4 * perTable));
  await rig.flush();
  assert.equal(rig.store.status.tables, 1);
  assert.equal(rig.store.status.counts.lost, perTable);
  assert.ok(rig.disk.paths().includes(aside(0)));
  assert.equal(await count(rig), 4 * perTable);
  assertConserved(rig, 5 * perTable);
});

test("a table with a damaged block that a query met is written again without it", async () => {
  const rig = await rigWith(1);
  damage(rig, 0, "block");
  const found = createReadReport();
  const left = await count(rig, found);
  assert.ok(found.damagedRows > 0);
  await rig.store.settle();
  const later = createReadReport();
  assert.equal(await count(rig, later), left);
  assert.equal(later.damaged.size, 0);
  assert.equal(rig.store.status.counts.lost, found.damagedRows);
  assert.deepEqual(rig.store.status.damaged, []);
  assert.ok(rig.disk.paths().includes(aside(0)));
  assertConserved(rig, perTable);
});

test("a damaged coarse section is made anew from a finer one: nothing is lost", async () => {
  const rig = await rigWith(3, { mergeTablesMin: 3, tiers: [tier] });
  const path = tablePath("/tables", 3);
  const opened = await openTable(rig.disk.mount(), path);
  assert(opened.kind === "table");
  const entries = await opened.table.entries(tier, seriesId(0));
  assert(entries.kind === "entries");
  rig.disk.poke(path, entries.entries[0]!.valuesAt, Buffer.alloc(8, 0x5a));
  const range = { from: 20_000 * day, to: 20_001 * day };
  const wanted = { series: seriesId(0), range, step: tier };
  const total = async (report: ReadReport): Promise<number> => {
    using snapshot = rig.store.snapshot();
    const { rows, columns } = await readBuckets(snapshot, wanted, report);
    return columns[0]!.subarray(0, rows).reduce((sum, part) => sum + part, 0);
  };
  const found = createReadReport();
  assert.equal(await total(found), 0);
  assert.deepEqual([...found.damaged.keys()], [3]);
  await rig.store.settle();
  assert.equal(await total(createReadReport()), (3 * perTable) / 2);
  assert.equal(rig.store.status.counts.lost, 0);
  assert.equal(await count(rig), 3 * perTable);
});

test("a table that the disk cannot read is not damaged: it is left alone, the others are merged", async () => {
  const rig = await rigWith(4, { mergeTablesMin: 5 });
  await reopened(rig);
  const path = tablePath("/tables", 1);
  rig.disk.unreadable = (at) => at.path === path;
  await assert.rejects(count(rig), { code: "EIO" });
  rig.put(putsFrom(4 * perTable));
  await rig.flush();
  assert.equal(rig.store.status.tables, 5, "four are not enough for a merge");
  rig.put(putsFrom(5 * perTable));
  await rig.flush();
  const { tables, unreadable, quarantined, counts, trouble } = rig.store.status;
  assert.equal(tables, 2);
  assert.deepEqual(
    unreadable.map(({ id }) => id),
    [1],
  );
  assert.deepEqual([quarantined.length, counts.lost, trouble], [0, 0, undefined]);
  rig.disk.unreadable = () => false;
  await rig.clock.pass(limits.unreadableTableMs);
  rig.put(putsFrom(6 * perTable));
  await rig.flush();
  assert.deepEqual(rig.store.status.unreadable, []);
  assert.equal(await count(rig), 7 * perTable);
});

test("the power is cut at every call while a table is set aside: nothing is lost twice or forgotten", async () => {
  for (let at = 0; ; at++) {
    const rig = await rigWith(3);
    await reopened(rig);
    damage(rig, 1, "end");
    const first = rig.disk.calls;
    rig.disk.fate = ({ index }) => (index >= first + at ? "crash" : undefined);
    await count(rig).catch(() => undefined);
    // A store without power waits to try again, for ever.
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    const wasCut = rig.disk.isDown;
    rig.disk.fate = () => undefined;
    await rig.end("crash");
    await rig.open();
    assert.equal(await count(rig), 2 * perTable);
    await rig.store.settle();
    assert.equal(rig.store.status.counts.lost, perTable);
    assert.ok(rig.disk.paths().includes(aside(1)), `cut at ${at}`);
    assertConserved(rig, 3 * perTable);
    if (!wasCut) return;
  }
});

test("quarantine takes no more than it may: the oldest files go", async () => {
  const rig = await rigWith(0);
  const disk = rig.disk.mount();
  const files = new QuarantineFiles(disk, "/tables", { bytesMax: 100 });
  for (const [name, bytes] of [
    ["a", 40],
    ["b", 50],
    ["c", 101],
    ["d", 50],
  ] as const) {
    const file = await disk.open(`/tables/${name}`, { create: true });
    await file.write(new Uint8Array(bytes), 0);
    await file.close();
    await files.take(`/tables/${name}`);
  }
  assert.deepEqual(await disk.list("/tables/quarantine"), ["b", "d"]);
  assert.deepEqual(await disk.list("/tables"), ["quarantine"]);
  assert.equal(files.bytes, 100);
  const again = new QuarantineFiles(disk, "/tables", { bytesMax: 60 });
  await again.open();
  assert.deepEqual(await disk.list("/tables/quarantine"), ["d"]);
});
