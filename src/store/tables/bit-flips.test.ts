/**
 * Flipped bits anywhere in the files of a store: what is answered is what was accepted, or stands as
 * damaged in the report of the query; what is lost for it is counted, and nothing else is lost.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Put, TableRig } from "../../../test/support/table-rig.ts";
import { limits } from "../../core/limits.ts";
import { seriesId } from "../../core/units.ts";
import { createReadReport } from "./read/block-source.ts";
import { allTime } from "./rows.ts";
import { readReadings } from "./read/table-query.ts";

const day = limits.partitionMs;
const seriesCount = 4;
const perTable = 200;
const tables = 4;

/** Every value names its reading; the last table is late. */
function putsOf(table: number): readonly Put[] {
  return Array.from({ length: perTable }, (_, n) => ({
    series: n % seriesCount,
    time: 10 * day + (table === tables - 1 ? n * 2_500 : (table * perTable + n) * 1_000),
    value: table * perTable + n,
  }));
}

const accepted = Array.from({ length: tables }, (_, table) => putsOf(table)).flat();

async function rigWithTables(mergeTablesMin: number): Promise<TableRig> {
  const rig = new TableRig({ seed: 1, rowsMax: 1_000_000, policy: { mergeTablesMin } });
  await rig.open();
  for (let table = 0; table < tables; table++) {
    rig.put(putsOf(table));
    await rig.flush();
  }
  return rig;
}

/** Of each series, how much is answered; all of it was accepted, once, and what lacks is reported. */
async function answered(rig: TableRig): Promise<number> {
  let told = 0;
  using snapshot = rig.store.snapshot();
  for (let series = 0; series < seriesCount; series++) {
    const of = accepted.filter((put) => put.series === series);
    const due = new Set(of.map(({ time, value }) => `${time}=${value}`));
    const report = createReadReport();
    const wanted = { series: seriesId(series), range: allTime };
    for await (const rows of readReadings(snapshot, wanted, report)) {
      for (let row = 0; row < rows.rows; row++) {
        told += 1;
        const key = `${rows.time[row]!}=${rows.columns[0]![row]!}`;
        assert.ok(due.delete(key), `${key} was accepted, and is answered once`);
      }
    }
    const { lost } = rig.store.status.counts;
    assert.ok(due.size === 0 || report.damaged.size > 0 || lost >= due.size, "what lacks is said");
  }
  return told;
}

/** A bit of all the bytes of all files. */
function flip(rig: TableRig, at: number): void {
  const files = rig.disk.paths().map((path) => ({ path, bytes: rig.disk.peek(path) }));
  let left = at % (8 * files.reduce((sum, { bytes }) => sum + bytes.length, 0));
  for (const { path, bytes } of files) {
    if (left >= 8 * bytes.length) {
      left -= 8 * bytes.length;
      continue;
    }
    const offset = left >>> 3;
    rig.disk.poke(path, offset, Uint8Array.of(bytes[offset]! ^ (1 << (left & 7))));
    return;
  }
}

const flips = fc.array(fc.nat(), { minLength: 1, maxLength: 4 });

test("whatever bits flip, nothing wrong is answered, and what lacks is in the report or counted", async () => {
  let harmed = 0;
  await fc.assert(
    fc.asyncProperty(flips, fc.boolean(), async (bits, isReopened) => {
      const rig = await rigWithTables(1_000);
      for (const bit of bits) flip(rig, bit);
      if (isReopened) {
        await rig.end("close");
        await rig.open();
      }
      if ((await answered(rig)) < accepted.length) harmed += 1;
      // What a query came across is mended: then exactly the rest is answered, and the loss counted.
      await rig.settle();
      const told = await answered(rig);
      const { counts, inMemory, inTables, damaged } = rig.store.status;
      assert.equal(inMemory + inTables + counts.lost, accepted.length);
      if (damaged.length === 0) assert.equal(told, inMemory + inTables);
      await rig.end("close");
    }),
    { numRuns: 150 },
  );
  assert.ok(harmed > 30, `most flips harm something: ${harmed}`);
});

test("a merge of tables with flipped bits has what can be read, and counts the rest as lost", async () => {
  let harmed = 0;
  await fc.assert(
    fc.asyncProperty(flips, async (bits) => {
      const rig = await rigWithTables(1_000);
      await rig.end("close");
      for (const bit of bits) flip(rig, bit);
      rig.policy = { ...rig.policy, mergeTablesMin: 2 };
      await rig.open();
      await rig.settle();
      const told = await answered(rig);
      const { counts, inMemory, inTables, tables: listed } = rig.store.status;
      assert.equal(inMemory + inTables + counts.lost, accepted.length);
      assert.equal(told, inMemory + inTables);
      assert.ok(listed <= 2, "they are merged all the same");
      if (counts.lost > 0) harmed += 1;
      await rig.end("close");
    }),
    { numRuns: 100 },
  );
  assert.ok(harmed > 20, `most flips cost something: ${harmed}`);
});
