/** What damage to a table file does: it is seen, named, and harms only what lies behind it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FaultDisk } from "../../../test/support/fault-disk.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import {
  linesOf,
  openedTable,
  type PlainTable,
  plainLines,
  seriesIn,
  tableOf,
  writeTable,
} from "../../../test/support/tables.ts";
import { checksumOf } from "../../core/checksum.ts";
import { seriesId } from "../../core/units.ts";
import { runFrom } from "./file/block-runs.ts";
import { INDEX_PAGE_ENTRIES } from "./file/index-page.ts";
import { createRows, readings } from "./rows.ts";
import { decodeFooter } from "./file/table-format.ts";
import { openTable, type Table } from "./file/table-reader.ts";
import { openTableWriter } from "./file/table-writer.ts";

const path = "/t.tbl";

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

test("a damaged page of the index harms the series on it, and not those on the others", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const devices = Array.from({ length: 100 }, () => [1, 1]);
  const plain = tableOf({ seed: 9, resolutions: [readings], devices });
  await writeTable(door, path, plain);
  const series = seriesIn(plain[0]!);
  const onSecondPage = series
    .map(({ id }) => id)
    .toSorted((one, other) => one - other)
    .slice(INDEX_PAGE_ENTRIES, 2 * INDEX_PAGE_ENTRIES);
  const whole = disk.peek(path);
  const footersAt = whole.length - 548 - 2 * footerBytesOf(whole);
  const [section] = decodeFooter(whole.subarray(footersAt, footersAt + footerBytesOf(whole)));
  const pageAt = section!.indexAt + section!.pages.ends[0]!;
  disk.poke(path, pageAt, Uint8Array.of(whole[pageAt]! ^ 2));
  const table = await openedTable(door, path);
  const found = await table.series(readings);
  assert(found.kind === "damaged");
  assert.match(found.reason, /^\/t\.tbl: page 1 of the index, section 0$/);
  const others = series.map(({ id }) => id).filter((id) => !onSecondPage.includes(id));
  assert.deepEqual([...found.ids], others);
  for (const { id, rows } of series) {
    const isLost = onSecondPage.includes(id);
    const lines = await linesOf(table, readings, id);
    assert.deepEqual(lines, isLost ? ["damaged directory"] : plainLines(rows));
  }
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
  const cursor = table.cursor(readings, entries);
  const target = createRows(readings);
  for (let next = await cursor.next(target); next; next = await cursor.next(target)) {
    outcomes.push(next.kind);
  }
  assert.deepEqual(outcomes, ["read", "damaged", "read", "damaged", "read"]);
});

test("a cursor that could not read goes on where it stood", async () => {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const plain = tableOf({ seed: 4, resolutions: [readings], devices: [[3_000]] });
  await writeTable(door, path, plain);
  const table = await openedTable(door, path);
  const { id, rows } = seriesIn(plain[0]!)[0]!;
  const found = await table.entries(readings, id);
  assert(found.kind === "entries");
  const cursor = table.cursor(readings, found.entries);
  const target = createRows(readings);
  disk.unreadable = () => true;
  await assert.rejects(cursor.next(target), { code: "EIO" });
  disk.unreadable = () => false;
  const lines: string[] = [];
  while ((await cursor.next(target)) !== undefined) lines.push(...plainLines(target));
  assert.deepEqual(lines, plainLines(rows));
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
    const { stamps } = block;
    const { stampsChecksum } = entry;
    const valuesChecksum = checksumOf(values);
    writer.addEncoded(seriesId(other), {
      figures: entry,
      stamps,
      stampsChecksum,
      values,
      valuesChecksum,
    });
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
