/**
 * Tables in plain arrays: what a test writes into a table file, and what it reads back, bit by bit.
 * Content is drawn from a seed, so that a property only has to choose sizes.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL } from "../../src/core/batch.ts";
import type { Disk, Random } from "../../src/core/doors.ts";
import { limits } from "../../src/core/limits.ts";
import { type SeriesId, seriesId } from "../../src/core/units.ts";
import {
  createRows,
  type ResolutionMs,
  type Rows,
  rollupColumns,
} from "../../src/store/tables/rows.ts";
import type { TableSummary } from "../../src/store/tables/file/table-format.ts";
import { openTable, type Table } from "../../src/store/tables/file/table-reader.ts";
import { openTableWriter } from "../../src/store/tables/file/table-writer.ts";
import { below, seededRandom } from "./seeded-random.ts";

export type PlainSeries = { readonly id: SeriesId; readonly rows: Rows };
export type PlainDevice = readonly PlainSeries[];
export type PlainSection = {
  readonly resolution: ResolutionMs;
  readonly devices: readonly PlainDevice[];
};
export type PlainTable = readonly PlainSection[];

/** How large the parts of a table are, and what they are drawn from. */
export type TablePlan = {
  readonly seed: number;
  readonly resolutions: readonly ResolutionMs[];
  /** Per device, rows of each of its series; equal lengths may share their stamps. */
  readonly devices: readonly (readonly number[])[];
};

/** Few rows mostly, sometimes more than a block. */
export const tablePlans: fc.Arbitrary<TablePlan> = fc.record({
  seed: fc.nat(),
  resolutions: fc.subarray([0, 10_000, 3_600_000], { minLength: 1 }),
  devices: fc.array(
    fc.array(
      fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: 1, max: 9 }) },
        { weight: 1, arbitrary: fc.integer({ min: 1_020, max: 2_100 }) },
      ),
      { minLength: 1, maxLength: 4 },
    ),
    { minLength: 1, maxLength: 4 },
  ),
});

export function tableOf({ seed, resolutions, devices }: TablePlan): PlainTable {
  const random = seededRandom(seed);
  const series = devices.flat().length;
  // Spread over all of 32 bits, in an order that is not that of the devices.
  const ids = shuffled(series, random).map((place) =>
    seriesId(place * Math.floor(2 ** 32 / series) + below(random, 100)),
  );
  return resolutions.map((resolution) => {
    let place = 0;
    return {
      resolution,
      devices: devices.map((lengths) => {
        const shared = new Map<number, Rows>();
        return lengths.map((length): PlainSeries => {
          const rows = rowsWithStamps(resolution, length, random, shared.get(length));
          shared.set(length, rows);
          fillColumns(resolution, rows, random);
          return { id: ids[place++]!, rows };
        });
      }),
    };
  });
}

function shuffled(count: number, random: Random): number[] {
  const places = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = below(random, i + 1);
    [places[i], places[j]] = [places[j]!, places[i]!];
  }
  return places;
}

/** With stamps of their own, or in two of three cases those of another series. */
function rowsWithStamps(
  resolution: ResolutionMs,
  length: number,
  random: Random,
  other: Rows | undefined,
): Rows {
  const rows = createRows(resolution, length);
  rows.rows = length;
  if (other !== undefined && below(random, 3) > 0) {
    rows.time.set(other.time);
    rows.kind.set(other.kind);
    rows.sequence.set(other.sequence);
    return rows;
  }
  const step = resolution === 0 ? [1_000, 0.25, 7_919][below(random, 3)]! : resolution;
  let time = [1_700_000_000_000, 0, -86_400_000][below(random, 3)]!;
  for (let i = 0; i < length; i++) {
    rows.time[i] = time;
    // Ties among readings; gaps in both.
    time += step * (resolution === 0 ? below(random, 3) : 1 + below(random, 2));
    if (resolution > 0) continue;
    const kinds = [0, 0, 0, KIND_SYMBOL, KIND_ARRIVAL_TIME, KIND_SEQUENCE];
    rows.kind[i] = kinds[below(random, kinds.length)]!;
    if (rows.kind[i] === KIND_SEQUENCE) rows.sequence[i] = random.uint32();
  }
  return rows;
}

const NUMBERS = rollupColumns.indexOf("numbers");

function fillColumns(resolution: ResolutionMs, rows: Rows, random: Random): void {
  const bits = new Uint32Array(2);
  const double = new Float64Array(bits.buffer);
  const style = below(random, 4);
  for (const [column, values] of rows.columns.entries()) {
    for (let i = 0; i < rows.rows; i++) {
      if (resolution > 0 && column === NUMBERS) values[i] = below(random, 3) * 600;
      else if ((rows.kind[i]! & KIND_SYMBOL) !== 0) values[i] = below(random, 5);
      else if (style > 0) values[i] = (below(random, 20_000) - 5_000) / 10 ** style;
      else {
        // Any bit pattern: NaNs of all kinds, infinities, subnormals.
        bits[0] = random.uint32();
        bits[1] = random.uint32();
        if (below(random, 4) === 0) bits[1] = [0x7ff00000, 0xfff80000, 0x80000000, 0][bits[0] & 3]!;
        if (below(random, 4) === 0) bits[0] = 0;
        new Uint8Array(values.buffer, i * 8, 8).set(new Uint8Array(double.buffer));
      }
    }
  }
}

/** Series after series, or where `interleaved`, block after block of all series of a device. */
export async function writeTable(
  disk: Disk,
  path: string,
  table: PlainTable,
  { interleaved = false }: { readonly interleaved?: boolean } = {},
): Promise<TableSummary> {
  const writer = await openTableWriter(disk, { path });
  for (const { resolution, devices } of table) {
    writer.beginSection(resolution);
    for (const device of devices) {
      writer.beginDevice();
      if (!interleaved) for (const { id, rows } of device) writer.add(id, rows);
      else addInterleaved(device, (id, rows) => writer.add(id, rows));
      await writer.drain();
    }
  }
  return await writer.finish();
}

function addInterleaved(device: PlainDevice, add: (id: SeriesId, rows: Rows) => void): void {
  const rowsMax = Math.max(...device.map(({ rows }) => rows.rows));
  for (let from = 0; from < rowsMax; from += limits.tableBlockRowsMax) {
    for (const { id, rows } of device) {
      if (from < rows.rows) add(id, cut(rows, from, from + limits.tableBlockRowsMax));
    }
  }
}

/** Rows [from, to), or to the end, as rows of their own. */
export function cut(rows: Rows, from: number, to: number): Rows {
  const end = Math.min(to, rows.rows);
  return {
    rows: end - from,
    time: rows.time.slice(from, end),
    kind: rows.kind.slice(from, end),
    sequence: rows.sequence.slice(from, end),
    columns: rows.columns.map((column) => column.slice(from, end)),
  };
}

/** The table in a file that is whole. */
export async function openedTable(disk: Disk, path: string): Promise<Table> {
  const opened = await openTable(disk, path);
  assert(opened.kind === "table", opened.kind === "damaged" ? opened.reason : "");
  return opened.table;
}

/** All rows of a series as one line per row, each bit of it in hexadecimal; or what is damaged. */
export async function linesOf(
  table: Table,
  resolution: ResolutionMs,
  id: SeriesId,
): Promise<readonly string[]> {
  const found = await table.entries(resolution, id);
  if (found.kind === "damaged") return ["damaged directory"];
  const lines: string[] = [];
  const target = createRows(resolution, Math.max(1, ...found.entries.map(({ rows }) => rows)));
  for (const entry of found.entries) {
    const outcome = await table.read(resolution, entry, target);
    if (outcome === "damaged") lines.push(`damaged block of ${entry.rows} rows`);
    else lines.push(...plainLines(target));
  }
  return lines;
}

/** As `linesOf`, of rows in memory. */
export function plainLines(rows: Rows): readonly string[] {
  return Array.from({ length: rows.rows }, (_, i) =>
    [
      hexOf(rows.time, i),
      rows.kind[i],
      hexOf(rows.sequence, i),
      ...rows.columns.map((column) => hexOf(column, i)),
    ].join(" "),
  );
}

function hexOf(column: Float64Array, row: number): string {
  return Buffer.from(column.buffer, column.byteOffset + row * 8, 8).toString("hex");
}

/** The plain table's series of a section, by device as they were written. */
export function seriesIn({ devices }: PlainSection): readonly PlainSeries[] {
  return devices.flat();
}
