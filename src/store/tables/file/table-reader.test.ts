import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FaultDisk } from "../../../../test/support/fault-disk.ts";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import {
  cut,
  linesOf,
  openedTable,
  type PlainTable,
  plainLines,
  seriesIn,
  tableOf,
  tablePlans,
  writeTable,
} from "../../../../test/support/tables.ts";
import { KIND_SYMBOL } from "../../../core/batch.ts";
import { limits } from "../../../core/limits.ts";
import { type SeriesId, seriesId } from "../../../core/units.ts";
import { createRows, type ResolutionMs, type Rows, readings } from "../rows.ts";
import { decodeTableSummary, encodeTableSummary } from "./table-format.ts";
import { type Table } from "./table-reader.ts";

const path = "/t.tbl";

test("every row of every series comes back, bit by bit, in every section", async () => {
  await fc.assert(
    fc.asyncProperty(tablePlans, fc.boolean(), async (plan, interleaved) => {
      const disk = new FaultDisk(seededRandom(1));
      const plain = tableOf(plan);
      const written = await writeTable(disk.mount(), path, plain, { interleaved });
      await disk.mount().syncDirectory("/");
      disk.crash();
      const table = await openedTable(disk.mount(), path);
      assert.deepEqual(table.summary, written);
      assert.deepEqual(decodeTableSummary(encodeTableSummary(written)), written);
      assert.equal(written.bytes, disk.peek(path).length);
      await assertHolds(table, plain);
      await table.close();
      assert.equal(disk.openFiles, 0);
    }),
    { numRuns: 50 },
  );
});

async function assertHolds(table: Table, plain: PlainTable): Promise<void> {
  assert.deepEqual(
    table.summary.sections.map(({ resolution, series, rows }) => ({ resolution, series, rows })),
    plain.map((section) => ({
      resolution: section.resolution,
      series: seriesIn(section).length,
      rows: seriesIn(section).reduce((sum, { rows }) => sum + rows.rows, 0),
    })),
  );
  const times = plain.flatMap(seriesIn).flatMap(({ rows }) => [...rows.time]);
  assert.equal(table.summary.rows, times.length);
  assert.equal(table.summary.timeFirst, Math.min(...times));
  assert.equal(table.summary.timeLast, Math.max(...times));
  for (const section of plain) {
    const { resolution } = section;
    const all = await table.series(resolution);
    assert(all.kind === "series");
    assert.deepEqual(
      [...all.ids],
      seriesIn(section).map(({ id }) => id),
    );
    for (const { id, rows } of seriesIn(section)) {
      assert.ok(table.mayHold(id));
      await assertFigures(table, resolution, id, rows);
      assert.deepEqual(await linesOf(table, resolution, id), plainLines(rows));
      const absent = seriesId(id === 0 ? 2 ** 32 - 1 : id - 1);
      if (all.ids.includes(absent)) continue;
      assert.deepEqual(await table.entries(resolution, absent), { kind: "entries", entries: [] });
    }
  }
}

/** What the directory says of each block is what a plain loop over its rows finds. */
async function assertFigures(
  table: Table,
  resolution: ResolutionMs,
  id: SeriesId,
  rows: Rows,
): Promise<void> {
  const found = await table.entries(resolution, id);
  assert(found.kind === "entries");
  assert.equal(found.entries.length, Math.ceil(rows.rows / limits.tableBlockRowsMax));
  const target = createRows(resolution);
  let from = 0;
  const cursor = table.cursor(resolution, found.entries);
  for (let next = await cursor.next(target); next; next = await cursor.next(target)) {
    const { kind, entry } = next;
    assert.equal(kind, "read");
    const block = cut(rows, from, from + limits.tableBlockRowsMax);
    assert.deepEqual(plainLines(target), plainLines(block));
    assert.equal(entry.rows, block.rows);
    assert.equal(entry.timeFirst, block.time[0]);
    assert.equal(entry.timeLast, block.time.at(-1));
    if (resolution === readings) {
      const numbers = [...block.columns[0]!].filter(
        (value, row) => (block.kind[row]! & KIND_SYMBOL) === 0 && !Number.isNaN(value),
      );
      assert.equal(entry.numbers, numbers.length);
      assert.equal(entry.min, Math.min(...numbers));
      assert.equal(entry.max, Math.max(...numbers));
      const sum = numbers.reduce((before, value) => before + value, 0);
      const magnitude = numbers.reduce((before, value) => before + Math.abs(value), 0);
      // A plain sum of n numbers is off by at most n roundings of what it went through.
      const tolerance = numbers.length * Number.EPSILON * magnitude;
      assert.ok(!Number.isFinite(magnitude) || Math.abs(entry.sum - sum) <= tolerance);
    }
    from += entry.rows;
  }
  assert.equal(from, rows.rows);
}

test("of a section that is not there, nothing is there", async () => {
  const disk = new FaultDisk(seededRandom(1)).mount();
  await writeTable(disk, path, tableOf({ seed: 1, resolutions: [10_000], devices: [[3]] }));
  const table = await openedTable(disk, path);
  const none = { kind: "entries", entries: [] };
  assert.deepEqual(await table.entries(readings, seriesId(0)), none);
  assert.deepEqual(await table.series(readings), { kind: "series", ids: new Uint32Array(0) });
});

// ---- what is read ----

/** Reads of the file while `run` is under way. */
async function readsOf(disk: FaultDisk, run: () => Promise<unknown>): Promise<number> {
  let reads = 0;
  disk.fate = ({ name }) => {
    if (name === "read") reads += 1;
    return undefined;
  };
  await run();
  return reads;
}

test("a table of many series: two reads open it, two find the blocks of one, two read one", async () => {
  const disk = new FaultDisk(seededRandom(1));
  // 20,000 series in 10,000 devices: 313 pages of the index, a filter of 25 KB.
  const devices = Array.from({ length: 10_000 }, () => [2, 2]);
  const plain = tableOf({ seed: 7, resolutions: [readings], devices });
  const door = disk.mount();
  await writeTable(door, path, plain);
  let table: Table | undefined;
  assert.equal(await readsOf(disk, async () => (table = await openedTable(door, path))), 2);
  assert(table !== undefined);
  const { id, rows } = seriesIn(plain[0]!)[12_345]!;
  assert.equal(await readsOf(disk, async () => await table!.entries(readings, id)), 2);
  const found = await table.entries(readings, id);
  assert(found.kind === "entries");
  const target = createRows(readings);
  const read = async (): Promise<unknown> => await table!.read(readings, found.entries[0]!, target);
  assert.ok((await readsOf(disk, read)) <= 2);
  assert.deepEqual(plainLines(target), plainLines(rows));
});

test("a series over a long time is read in few pieces, whatever else its device has", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const plain = tableOf({ seed: 3, resolutions: [readings], devices: [[40_000, 40_000, 40_000]] });
  const door = disk.mount();
  await writeTable(door, path, plain, { interleaved: true });
  const table = await openedTable(door, path);
  for (const { id, rows } of seriesIn(plain[0]!)) {
    const found = await table.entries(readings, id);
    assert(found.kind === "entries");
    const bytes = found.entries.reduce(
      (sum, { stampsBytes, valuesBytes }) => sum + stampsBytes + valuesBytes,
      0,
    );
    let read = 0;
    const target = createRows(readings);
    const reads = await readsOf(disk, async () => {
      const cursor = table.cursor(readings, found.entries);
      for (let next = await cursor.next(target); next; next = await cursor.next(target)) {
        assert.equal(next.kind, "read");
        assert.deepEqual(plainLines(target), plainLines(cut(rows, read, read + target.rows)));
        read += target.rows;
      }
    });
    assert.equal(read, 40_000);
    // Two for each full piece, and two for what is cut by the end of a group.
    // None of these blocks takes 10 KB.
    const most = 2 * Math.ceil(bytes / (limits.tableReadBytesMax - 10_000)) + 2;
    assert.ok(reads <= most && reads < found.entries.length, `${reads} of ${most}`);
  }
});

test("a small table is opened with one read, a block whose parts lie together is read with one", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const plain = tableOf({ seed: 3, resolutions: [readings], devices: [[9]] });
  const door = disk.mount();
  await writeTable(door, path, plain);
  let table: Table | undefined;
  assert.equal(await readsOf(disk, async () => (table = await openedTable(door, path))), 1);
  const found = await table!.entries(readings, seriesIn(plain[0]!)[0]!.id);
  assert(found.kind === "entries");
  const target = createRows(readings);
  const read = async (): Promise<unknown> => await table!.read(readings, found.entries[0]!, target);
  assert.equal(await readsOf(disk, read), 1);
});
