/**
 * The bytes of a table, version 1, as they stand on users' disks: read for ever. A change of the
 * layout is a new version with a vector of its own; this one never changes. How blocks are encoded
 * may change within a version, as long as the encodings in it are read, so it is not written again.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL } from "../../src/core/batch.ts";
import type { Disk } from "../../src/core/doors.ts";
import { seriesId } from "../../src/core/units.ts";
import { createRows, type ResolutionMs, type Rows, readings } from "../../src/store/tables/rows.ts";
import {
  decodeTableSummary,
  encodeTableSummary,
} from "../../src/store/tables/file/table-format.ts";
import { FaultDisk } from "../support/fault-disk.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { linesOf, openedTable, plainLines } from "../support/tables.ts";

const T = 1_700_000_000_000;

/** Time after T, kind, sequence, columns. */
type Line = readonly [afterMs: number, kind: number, sequence: number, ...columns: number[]];

function rowsOf(resolution: ResolutionMs, lines: readonly Line[]): Rows {
  const rows = createRows(resolution, lines.length);
  rows.rows = lines.length;
  for (const [i, [afterMs, kind, sequence, ...columns]] of lines.entries()) {
    rows.time[i] = T + afterMs;
    rows.kind[i] = kind;
    rows.sequence[i] = sequence;
    for (const [column, value] of columns.entries()) rows.columns[column]![i] = value;
  }
  return rows;
}

/** Each second with two gaps, as two series of a device share it. */
const eachSecond = Array.from(
  { length: 40 },
  (_, i) => (i + (i > 9 ? 5 : 0) + (i > 30 ? 2 : 0)) * 1e3,
);

const golden = [
  {
    resolution: readings,
    devices: [
      [
        {
          id: seriesId(70_000),
          rows: rowsOf(
            readings,
            eachSecond.map((ms, i): Line => [ms, 0, 0, 20 + ((i * 7) % 11) / 4]),
          ),
        },
        {
          id: seriesId(3),
          rows: rowsOf(
            readings,
            eachSecond.map((ms, i): Line => [ms, 0, 0, i < 20 ? -0.1 * i : 1e300 / (i + 1)]),
          ),
        },
        // One more than a block.
        {
          id: seriesId(4),
          rows: rowsOf(
            readings,
            Array.from({ length: 1_025 }, (_, i): Line => [i * 250, 0, 0, Math.floor(i / 100)]),
          ),
        },
      ],
      [
        {
          id: seriesId(4_294_967_295),
          rows: rowsOf(readings, [
            [-5e12, KIND_SYMBOL, 0, 0],
            [0.125, KIND_SYMBOL | KIND_ARRIVAL_TIME, 0, 65_535],
            [10, KIND_SEQUENCE, 2 ** 53 - 1, Number.POSITIVE_INFINITY],
            [10, KIND_SEQUENCE, 7, Number.NEGATIVE_INFINITY],
            [10, 0, 0, -0],
            [11, KIND_ARRIVAL_TIME, 0, 5e-324],
            [12, 0, 0, Number.NaN],
          ]),
        },
        // No number at all.
        { id: seriesId(0), rows: rowsOf(readings, [[0, KIND_SYMBOL, 0, 1]]) },
      ],
    ],
  },
  {
    resolution: 10_000,
    devices: [
      [
        {
          id: seriesId(3),
          rows: rowsOf(10_000, [
            [0, 0, 0, 10, 9, 1, -0.5, 22.25, 100.125, 1e-17, 3.5],
            [10_000, 0, 0, 3, 0, 3, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0],
            [40_000, 0, 0, 1, 1, 0, 7, 7, 7, 0, 0],
          ]),
        },
      ],
    ],
  },
];

async function diskWith(path: string, bytes: Uint8Array): Promise<Disk> {
  const disk = new FaultDisk(seededRandom(1)).mount();
  const file = await disk.open(path, { create: true });
  await file.write(bytes, 0);
  await file.close();
  return disk;
}

test("table version 1: reads the same", async () => {
  const text = readFileSync(new URL("table-v1.hex", import.meta.url), "utf8");
  const bytes = Buffer.from(text.replaceAll("\n", ""), "hex");
  const table = await openedTable(await diskWith("/t", bytes), "/t");
  const summary = {
    version: 1,
    bytes: bytes.length,
    sections: [
      {
        resolution: readings,
        series: 5,
        blocks: 6,
        rows: 1_113,
        timeFirst: T - 5e12,
        timeLast: T + 256_000,
      },
      { resolution: 10_000, series: 1, blocks: 1, rows: 3, timeFirst: T, timeLast: T + 40_000 },
    ],
    rows: 1_116,
    timeFirst: T - 5e12,
    timeLast: T + 256_000,
  };
  assert.deepEqual(table.summary, summary);
  for (const { resolution, devices } of golden) {
    const series = await table.series(resolution);
    assert(series.kind === "series");
    assert.deepEqual(
      [...series.ids],
      devices.flat().map(({ id }) => id),
    );
    for (const { id, rows } of devices.flat()) {
      assert.ok(table.mayHold(id));
      assert.deepEqual(await linesOf(table, resolution, id), plainLines(rows));
    }
  }
  // The filter is there, and of the same probes: it takes the same series for present.
  const held = Array.from({ length: 1_000 }, (_, i) => table.mayHold(seriesId(i)));
  assert.deepEqual(
    held.flatMap((isHeld, id) => (isHeld ? [id] : [])),
    [
      0, 3, 4, 14, 91, 147, 192, 233, 276, 342, 347, 423, 505, 572, 650, 675, 708, 713, 728, 756,
      766, 807, 895, 932,
    ],
  );
});

test("table version 1: the summary in the list of tables is read and written so", () => {
  const section = { resolution: 10_000, series: 300, blocks: 301, rows: 70_000 };
  const sections = [{ ...section, timeFirst: T, timeLast: T + 0.5 }];
  const whole = { timeFirst: T, timeLast: T + 0.5, rows: 70_000 };
  const summary = { version: 1, bytes: 123_456, sections, ...whole };
  const hex = "0101c0c40701904eac02ad02f0a20400008056febc784200088056febc7842";
  assert.equal(Buffer.from(encodeTableSummary(summary)).toString("hex"), hex);
  assert.deepEqual(decodeTableSummary(Buffer.from(hex, "hex")), summary);
});
