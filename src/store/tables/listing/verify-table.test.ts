import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TableRig } from "../../../../test/support/table-rig.ts";
import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { seriesId } from "../../../core/units.ts";
import { readCheckedKv } from "../../state/checked-kv.ts";
import { readListing } from "./quarantine.ts";
import { readings } from "../rows.ts";
import type { BlockEntry } from "../file/table-directory.ts";
import { tablePath } from "./table-files.ts";
import type { ListedTable } from "./table-list.ts";
import { openTable } from "../file/table-reader.ts";
import { openTableWriter } from "../file/table-writer.ts";
import { type TableVerdict, verifyTable } from "./verify-table.ts";

const pause = (): Promise<void> => Promise.resolve();

/** One merged table with readings and a coarser section. */
async function rigWithTable(): Promise<{ readonly rig: TableRig; readonly listed: ListedTable }> {
  const policy = { mergeTablesMin: 2, tiers: [600_000] };
  const rig = new TableRig({ seed: 1, rowsMax: 100_000, policy });
  await rig.open();
  for (const first of [0, 2_500]) {
    rig.put(
      Array.from({ length: 2_500 }, (_, i) => {
        const time = 20_000 * limits.partitionMs + (first + i) * 1_000;
        return { series: i % 3, time, value: Math.sin(i) };
      }),
    );
    await rig.flush();
  }
  await rig.end("close");
  const tables = readListing(readCheckedKv(rig.kv))?.tables ?? [];
  assert.equal(tables.length, 1);
  return { rig, listed: tables[0]! };
}

function verified(rig: TableRig, listed: ListedTable): Promise<TableVerdict> {
  return verifyTable(rig.disk.mount(), tablePath("/tables", listed.id), { listed, pause });
}

test("a whole table has no problems, and all of it was read", async () => {
  const { rig, listed } = await rigWithTable();
  const { extent, problems, rows } = await verified(rig, listed);
  assert.deepEqual([extent, problems], [undefined, []]);
  assert.equal(rows, 5_000 + 3 * 9);
});

test("whichever bit of a table flips, it is found and placed", async () => {
  const { rig, listed } = await rigWithTable();
  const path = tablePath("/tables", listed.id);
  const { length } = rig.disk.peek(path);
  const near = (end: number): fc.Arbitrary<number> => fc.nat({ max: 1_200 }).map((n) => end - n);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.nat({ max: length - 1 }), near(length - 1), fc.nat({ max: 11 })),
      fc.nat({ max: 7 }),
      async (at, bit) => {
        const byte = rig.disk.peek(path)[at]!;
        rig.disk.poke(path, at, Uint8Array.of(byte ^ (1 << bit)));
        const { extent, problems } = await verified(rig, listed);
        rig.disk.poke(path, at, Uint8Array.of(byte));
        assert.ok(extent !== undefined && problems[0]?.startsWith(path), `${at}.${bit}`);
      },
    ),
    { numRuns: 150 },
  );
});

test("an entry of the list that says something else is found", async () => {
  const { rig, listed } = await rigWithTable();
  const changes: readonly Partial<ListedTable>[] = [
    { bytes: listed.bytes + 1 },
    { readings: listed.readings - 1 },
    { timeFirst: listed.timeFirst - 1 },
    { timeLast: listed.timeLast + 1 },
    { resolutions: [0] },
    { partition: 19_999 },
  ];
  for (const change of changes) {
    const { extent, problems } = await verified(rig, { ...listed, ...change });
    assert.equal(extent, "figures", JSON.stringify(change));
    assert.ok(problems.length > 0);
  }
});

test("what the disk cannot read is not called damaged, what is missing is", async () => {
  const { rig, listed } = await rigWithTable();
  rig.disk.unreadable = ({ from }) => from < 100;
  assert.equal((await verified(rig, listed)).extent, "unreadable");
  rig.disk.unreadable = () => false;
  assert.equal((await verified(rig, { ...listed, id: 99 })).extent, "missing");
  const message = "it is a pipe";
  const open = (): Promise<never> => Promise.reject(new Fault("DISK_FAILED", message));
  const disk = { ...rig.disk.mount(), open };
  const { extent, problems } = await verifyTable(disk, "/tables/x", { listed, pause });
  assert.deepEqual({ extent, problems }, { extent: "unreadable", problems: [message] });
});

test("a directory that says something else of a block than its rows do is found", async () => {
  const { rig, listed } = await rigWithTable();
  const disk = rig.disk.mount();
  const opened = await openTable(disk, tablePath("/tables", listed.id));
  assert(opened.kind === "table");
  const series = seriesId(0);
  const read = await opened.table.entries(readings, series);
  assert(read.kind === "entries");
  const [entry] = read.entries;
  assert(entry !== undefined);
  const block = await opened.table.readEncoded(entry);
  assert(block.kind === "block");
  const lies: readonly Partial<BlockEntry>[] = [
    {},
    { min: entry.min - 1 },
    { max: entry.max + 1 },
    { sum: entry.sum + 1 },
    { numbers: entry.numbers - 1 },
    { timeFirst: entry.timeFirst - 1_000 },
    { timeLast: entry.timeLast + 1_000 },
  ];
  for (const [number, lie] of lies.entries()) {
    const id = 100 + number;
    const writer = await openTableWriter(disk, { path: tablePath("/tables", id) });
    writer.beginSection(readings);
    writer.beginDevice();
    writer.addEncoded(series, { ...block, ...entry, figures: { ...entry, ...lie } });
    const { timeFirst, timeLast, bytes } = await writer.finish();
    const said = { ...listed, id, bytes, timeFirst, timeLast, readings: entry.rows };
    const { extent, problems } = await verified(rig, { ...said, resolutions: [readings] });
    const [name] = Object.keys(lie);
    assert.equal(extent, name === undefined ? undefined : "figures", problems.join("; "));
    if (name !== undefined)
      assert.match(problems.join("; "), new RegExp(`block at .*: ${name} is`));
  }
});
