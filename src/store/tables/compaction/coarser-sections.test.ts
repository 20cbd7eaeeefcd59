import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FaultDisk } from "../../../../test/support/fault-disk.ts";
import {
  arbReadings,
  assertRolledUp,
  type Reading,
  rowsOf,
} from "../../../../test/support/rollup-reference.ts";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import { cut, openedTable } from "../../../../test/support/tables.ts";
import { seriesId } from "../../../core/units.ts";
import type { Table } from "../file/table-reader.ts";
import { openTableWriter } from "../file/table-writer.ts";
import { appendRows, createRows, type ResolutionMs, type Rows, readings } from "../rows.ts";
import { CoarserSections } from "./coarser-sections.ts";

/** The last is no multiple of the one before. */
const tiers: readonly ResolutionMs[] = [10_000, 60_000, 600_000, 900_000];

/** Settled once, of buckets that were not. */
const tolerances = { sum: 2 ** -60, squares: 2 ** -23 };

type Device = readonly (readonly Reading[])[];

/** What a merge does: readings of all devices, each series in blocks of `blockRows`, into `coarser`. */
function give(
  coarser: CoarserSections,
  devices: readonly Device[],
  { blockRows, first = 0 }: { readonly blockRows: number; readonly first?: number },
): void {
  let series = first;
  for (const device of devices) {
    coarser.beginDevice();
    for (const list of device) {
      const rows = rowsOf(list);
      for (let from = 0; from < rows.rows; from += blockRows) {
        coarser.add(seriesId(series), cut(rows, from, from + blockRows));
      }
      coarser.endSeries();
      series += 1;
    }
  }
}

async function rowsIn(table: Table, resolution: ResolutionMs, series: number): Promise<Rows> {
  const found = await table.entries(resolution, seriesId(series));
  assert(found.kind === "entries");
  const all = createRows(resolution, 5_000);
  const block = createRows(resolution);
  for (const entry of found.entries) {
    assert.equal(await table.read(resolution, entry, block), "read");
    block.rows = entry.rows;
    appendRows(all, block, { from: 0, to: block.rows });
  }
  return all;
}

const breathe = (): Promise<void> => Promise.resolve();
const arbDevices = fc.array(fc.array(arbReadings, { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 3,
});

test("each section holds the buckets of all readings of each series", async () => {
  await fc.assert(
    fc.asyncProperty(arbDevices, fc.integer({ min: 1, max: 40 }), async (devices, blockRows) => {
      const coarser = new CoarserSections(readings, tiers);
      give(coarser, devices, { blockRows });
      const disk = new FaultDisk(seededRandom(1)).mount();
      const writer = await openTableWriter(disk, { path: "/t.tbl" });
      for (const tier of tiers) assert(await coarser.write(tier, writer, breathe));
      assert.equal(coarser.bytes, 0, "what is written is let go");
      if (devices.flat(2).length === 0) return await writer.abandon();
      await writer.finish();
      const table = await openedTable(disk, "/t.tbl");
      for (const [series, list] of devices.flat().entries()) {
        for (const resolution of tiers) {
          const rows = await rowsIn(table, resolution, series);
          assertRolledUp(rows, list, { resolution, tolerances });
        }
      }
    }),
    { numRuns: 100 },
  );
});

/** A reading each minute: as many buckets of 10 s, a tenth of 10 min. */
function minutes(count: number): readonly Reading[] {
  return Array.from({ length: count }, (_, i) => ({ time: i * 60_000, value: i, kind: 0 }));
}

test("a section may have more rows than a block", async () => {
  const list = minutes(4_000);
  const coarser = new CoarserSections(readings, tiers);
  give(coarser, [[list]], { blockRows: 1_000 });
  const disk = new FaultDisk(seededRandom(1)).mount();
  const writer = await openTableWriter(disk, { path: "/t.tbl" });
  for (const tier of tiers) assert(await coarser.write(tier, writer, breathe));
  await writer.finish();
  const table = await openedTable(disk, "/t.tbl");
  for (const resolution of tiers) {
    assertRolledUp(await rowsIn(table, resolution, 0), list, { resolution, tolerances });
  }
});

test("what is more than the limit is let go, the largest section first, and the others are whole", async () => {
  const list = minutes(3_000);
  const devices = Array.from({ length: 5 }, () => [list]);
  const unbounded = new CoarserSections(readings, tiers);
  give(unbounded, devices, { blockRows: 100 });
  const bytesMax = Math.floor(unbounded.bytes * 0.6);
  const coarser = new CoarserSections(readings, tiers, { bytesMax });
  let most = 0;
  for (const [first, device] of devices.entries()) {
    give(coarser, [device], { blockRows: 100, first });
    most = Math.max(most, coarser.bytes);
  }
  assert(most <= bytesMax && most > bytesMax / 2);
  const disk = new FaultDisk(seededRandom(1)).mount();
  const writer = await openTableWriter(disk, { path: "/t.tbl" });
  const written: ResolutionMs[] = [];
  for (const tier of tiers) if (await coarser.write(tier, writer, breathe)) written.push(tier);
  await writer.finish();
  assert(written.length < tiers.length, "10 s or 1 min");
  assert.deepEqual(written.slice(-2), [600_000, 900_000]);
  const table = await openedTable(disk, "/t.tbl");
  for (const resolution of written) {
    assertRolledUp(await rowsIn(table, resolution, 0), list, { resolution, tolerances });
  }
});
