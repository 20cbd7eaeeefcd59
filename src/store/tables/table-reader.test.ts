import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FaultDisk } from "../../../test/support/fault-disk.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
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
} from "../../../test/support/tables.ts";
import { checksumOf } from "../../core/checksum.ts";
import { KIND_SYMBOL } from "../../core/batch.ts";
import { limits } from "../../core/limits.ts";
import { type SeriesId, seriesId } from "../../core/units.ts";
import { runFrom } from "./block-runs.ts";
import { createRows, type ResolutionMs, type Rows, readings } from "./rows.ts";
import { decodeTableSummary, encodeTableSummary } from "./table-format.ts";
import { openTable, type Table } from "./table-reader.ts";
import { openTableWriter } from "./table-writer.ts";

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
  await table.readEach(resolution, found.entries, target, (outcome, entry) => {
    assert.equal(outcome, "read");
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
  });
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
      await table.readEach(readings, found.entries, target, (outcome) => {
        assert.equal(outcome, "read");
        assert.deepEqual(plainLines(target), plainLines(cut(rows, read, read + target.rows)));
        read += target.rows;
      });
    });
    assert.equal(read, 40_000);
    // Two for each full piece, and two for what is cut by the end of a group.
    const most =
      2 * Math.ceil(bytes / (limits.tableReadBytesMax - limits.tableBlockBytesMax / 2)) + 2;
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

// ---- damage ----

/** Two devices, shared and other stamps, two sections: some 1.5 KB. */
const small = tableOf({
  seed: 11,
  resolutions: [readings, 10_000],
  devices: [[3, 3, 2], [4]],
});

/** What each byte of a table harms: lines of series, as `harmed` gives them. */
async function dependents(
  table: Table,
  plain: PlainTable,
): Promise<ReadonlyMap<number, Set<string>>> {
  const harms = new Map<number, Set<string>>();
  const note = (range: { readonly at: number; readonly bytes: number }, what: string): void => {
    for (let at = range.at; at < range.at + range.bytes; at++) {
      harms.set(at, (harms.get(at) ?? new Set()).add(what));
    }
  };
  for (const section of plain) {
    for (const { id } of seriesIn(section)) {
      const found = await table.entries(section.resolution, id);
      assert(found.kind === "entries");
      for (const { stampsAt, stampsBytes, valuesAt, valuesBytes } of found.entries) {
        note({ at: stampsAt, bytes: stampsBytes }, `${section.resolution} ${id}: block`);
        note({ at: valuesAt, bytes: valuesBytes }, `${section.resolution} ${id}: block`);
      }
    }
  }
  return harms;
}

type Harm = { readonly where: string; readonly lines: readonly string[] };

const wholeLines = new Map(
  small.map((section) => [
    section.resolution,
    new Map(seriesIn(section).map(({ id, rows }) => [id, plainLines(rows)])),
  ]),
);

/** Series of `small` whose rows are not all there; fails where rows are there that were not written. */
async function harmed(table: Table): Promise<readonly Harm[]> {
  const harms: Harm[] = [];
  for (const [resolution, series] of wholeLines) {
    for (const [id, whole] of series) {
      const lines = await linesOf(table, resolution, id);
      if (lines.length === whole.length && lines.every((line, i) => line === whole[i])) continue;
      // All are small: a series has one block.
      assert.equal(lines.length, 1, "a series is there or damaged, never in other words");
      harms.push({ where: `${resolution} ${id}`, lines });
    }
  }
  return harms;
}

test("any flipped bit is seen, and harms only what stands there", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  await writeTable(door, path, small);
  const whole = disk.peek(path);
  const intact = await openedTable(door, path);
  const blocks = await dependents(intact, small);
  const parts = { block: 0, directory: 0, page: 0, none: 0 };
  const random = seededRandom(5);
  for (let at = 0; at < whole.length; at++) {
    const bit = random.uint32() % 8;
    disk.poke(path, at, Uint8Array.of(whole[at]! ^ (1 << bit)));
    const opened = await openTable(door, path);
    assert(opened.kind === "table", `byte ${at}`);
    const harms = await harmed(opened.table);
    const atBlock = blocks.get(at);
    if (atBlock !== undefined) {
      parts.block += 1;
      assert.deepEqual(new Set(harms.map(({ where }) => `${where}: block`)), atBlock, `byte ${at}`);
      assert.ok(harms.every(({ lines }) => lines[0]!.startsWith("damaged block")));
    } else if (harms.length > 0) {
      // A directory harms its series, a page of the index its section.
      assert.ok(harms.every(({ lines }) => lines[0] === "damaged directory"));
      const [{ resolution } = { resolution: -1 }] = small.filter((section) =>
        harms[0]!.where.startsWith(`${section.resolution} `),
      );
      assert.ok(harms.every(({ where }) => where.startsWith(`${resolution} `)));
      const isPage = harms.length > 1;
      assert.ok(!isPage || harms.length === seriesIn(small[0]!).length, `byte ${at}`);
      parts[isPage ? "page" : "directory"] += 1;
    } else parts.none += 1;
    await opened.table.close();
    disk.poke(path, at, whole.subarray(at, at + 1));
  }
  // All else is header, filter, and what stands twice.
  assert.ok(
    parts.directory >= 2 * 4 * 20 && parts.page >= 2 * 4 * 7 && parts.block > 300,
    JSON.stringify(parts),
  );
  assert.equal(parts.none, 12 + 8 + 2 * footerBytesOf(whole) + 548);
  await intact.close();
});

test("a damaged stretch is seen as a flipped bit is: what is read is what was written, or damaged", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  await writeTable(door, path, small);
  const whole = disk.peek(path);
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: whole.length - 1 }),
      fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 600 }), fc.constant(new Uint8Array(512))),
      async (at, bytes) => {
        disk.poke(path, at, bytes.subarray(0, whole.length - at));
        const opened = await openTable(door, path);
        if (opened.kind === "table") {
          await harmed(opened.table);
          for (const { resolution } of small) await opened.table.series(resolution);
          await opened.table.close();
        }
        disk.poke(path, 0, whole);
      },
    ),
    { numRuns: 200 },
  );
});

test("one damaged block among those that are read together harms only itself", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const plain = tableOf({ seed: 4, resolutions: [readings], devices: [[5_000]] });
  await writeTable(door, path, plain);
  const table = await openedTable(door, path);
  const { id } = seriesIn(plain[0]!)[0]!;
  const found = await table.entries(readings, id);
  assert(found.kind === "entries");
  const { entries } = found;
  assert.equal(runFrom(entries, 0).entries.length, 5);
  const outcomes: string[] = [];
  for (const at of [entries[1]!.stampsAt + entries[1]!.stampsBytes - 1, entries[3]!.valuesAt]) {
    disk.poke(path, at, Uint8Array.of(disk.peek(path)[at]! ^ 0x10));
  }
  await table.readEach(readings, entries, createRows(readings), (outcome) =>
    outcomes.push(outcome),
  );
  assert.deepEqual(outcomes, ["read", "damaged", "read", "damaged", "read"]);
});

test("bytes that have their checksum but are no encoding are damaged", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  await writeTable(door, path, small);
  const table = await openedTable(door, path);
  const { id } = seriesIn(small[0]!)[0]!;
  const found = await table.entries(readings, id);
  assert(found.kind === "entries");
  const entry = found.entries[0]!;
  const block = await table.readEncoded(entry);
  assert(block.kind === "block");
  const writer = await openTableWriter(door, { path: "/other.tbl" });
  writer.beginSection(readings);
  writer.beginDevice();
  const longer = Buffer.concat([block.values, Buffer.alloc(1)]);
  for (const [other, values] of [block.values.subarray(1), longer].entries()) {
    const checksum = { valuesBytes: values.length, valuesChecksum: checksumOf(values) };
    writer.copy(seriesId(other), { ...entry, ...checksum }, block.stamps, values);
  }
  await writer.finish();
  const made = await openedTable(door, "/other.tbl");
  for (const other of [0, 1]) {
    assert.deepEqual(await linesOf(made, readings, seriesId(other)), ["damaged block of 3 rows"]);
  }
});

test("a damaged filter rules out nothing", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const { bytes } = await writeTable(door, path, small);
  const whole = disk.peek(path);
  const absent = Array.from({ length: 1_000 }, (_, i) => seriesId(i * 4_099 + 3));
  const intact = await openedTable(door, path);
  assert.ok(absent.filter((id) => intact.mayHold(id)).length < 100);
  const filterAt = whole.length - 548 - 2 * footerBytesOf(whole) - 8;
  assert.ok(filterAt > 0 && filterAt < bytes);
  disk.poke(path, filterAt, Uint8Array.of(whole[filterAt]! ^ 1));
  const table = await openedTable(door, path);
  assert.ok(absent.every((id) => table.mayHold(id)));
});

function footerBytesOf(file: Uint8Array): number {
  return new DataView(file.buffer, file.byteOffset).getUint32(file.length - 36 + 24, true);
}

test("a file that was cut short is damaged, wherever it was cut", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  await writeTable(door, path, small);
  const whole = disk.peek(path);
  const file = await door.open("/cut.tbl", { create: true });
  for (let size = whole.length - 1; size >= 0; size -= size > whole.length - 700 ? 1 : 61) {
    await file.truncate(0);
    await file.write(whole.subarray(0, size), 0);
    const opened = await openTable(door, "/cut.tbl");
    assert.equal(opened.kind, "damaged", `${size} bytes`);
    assert(opened.kind === "damaged");
    assert.match(opened.reason, /^\/cut\.tbl: /);
  }
  await file.close();
  assert.equal(disk.openFiles, 0);
});

test("bytes after the end, and both copies of a part damaged, are damage that is named", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  await writeTable(door, path, small);
  const whole = disk.peek(path);
  const footerBytes = footerBytesOf(whole);
  const footersAt = whole.length - 548 - 2 * footerBytes;
  const reasonWith = async (change: (bytes: Uint8Array) => Uint8Array): Promise<string> => {
    const file = await door.open("/other.tbl", { create: true });
    await file.truncate(0);
    await file.write(change(whole.slice()), 0);
    await file.close();
    const opened = await openTable(door, "/other.tbl");
    assert(opened.kind === "damaged");
    return opened.reason;
  };
  const longer = await reasonWith((bytes) => Buffer.concat([bytes, Buffer.alloc(1)]));
  assert.match(longer, /does not end like a table/);
  const twice = await reasonWith((bytes) => Buffer.concat([bytes, bytes]));
  assert.match(twice, new RegExp(`is ${whole.length * 2} bytes long, of ${whole.length}`));
  const footers = await reasonWith((bytes) => {
    bytes[footersAt]! ^= 1;
    bytes[footersAt + footerBytes]! ^= 1;
    return bytes;
  });
  assert.match(footers, /both copies of its footer are damaged/);
  const trailers = await reasonWith((bytes) => {
    bytes[bytes.length - 36]! ^= 1;
    bytes[bytes.length - 548]! ^= 1;
    return bytes;
  });
  assert.match(trailers, /does not end like a table/);
});

test("a table of a newer version is refused with a sentence", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  await writeTable(door, path, small);
  const whole = disk.peek(path);
  const isTooNew = {
    code: "FORMAT_TOO_NEW",
    message: /^\/t\.tbl was written by a newer weir \(table format 2, this one knows 1\)/,
  };
  // Its end is like ours.
  for (const from of [whole.length - 548, whole.length - 36]) {
    disk.poke(path, from, withVersion(whole.slice(from, from + 36), 32));
  }
  await assert.rejects(openTable(door, path), isTooNew);
  // Its end is like nothing we know.
  disk.poke(path, 0, withVersion(whole.slice(0, 12), 8));
  disk.poke(path, whole.length - 548, new Uint8Array(548));
  await assert.rejects(openTable(door, path), isTooNew);
  assert.equal(disk.openFiles, 0);
});

/** Version 2, and a checksum that says so too. */
function withVersion(bytes: Uint8Array, checksumAt: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(4, 2, true);
  view.setUint32(checksumAt, checksumOf(bytes.subarray(0, checksumAt)), true);
  return bytes;
}

test("what the disk cannot read rejects as the disk says, and is not taken for damage", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  await writeTable(door, path, small);
  const table = await openedTable(door, path);
  const { id } = seriesIn(small[0]!)[0]!;
  const found = await table.entries(readings, id);
  assert(found.kind === "entries");
  disk.unreadable = () => true;
  const isUnreadable = { code: "EIO" };
  await assert.rejects(openTable(door, path), isUnreadable);
  await assert.rejects(table.entries(readings, id), isUnreadable);
  await assert.rejects(table.series(readings), isUnreadable);
  const target = createRows(readings);
  await assert.rejects(table.read(readings, found.entries[0]!, target), isUnreadable);
  await table.close();
  assert.equal(disk.openFiles, 0);
  await assert.rejects(openTable(door, "/missing.tbl"), { code: "ENOENT" });
});
