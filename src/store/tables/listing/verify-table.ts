/**
 * Verification of one table: everything in its file is read and compared with what is said of it.
 *
 *   copies    header, both trailers, both footers, filter: their checksums
 *   index     pages, directories: their checksums; every series is in the filter
 *   blocks    stamps and values: their checksums, and that they decode
 *   figures   rows, times, numbers, min, max, sum of each block against its rows; of each section, and
 *             the entry in the table list, against its blocks
 *   order     rows ascend within a block and from block to block; buckets begin where buckets do
 *   sets      every section stands for as many readings as the list says
 */

import { checksumOf } from "../../../core/checksum.ts";
import { Fault, isEnvironmental } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { type SeriesId, seriesId } from "../../../core/units.ts";
import { figuresOf } from "../file/block-figures.ts";
import { bucketStartOf } from "../rollup.ts";
import { createRows, type ResolutionMs, readings, rollupColumns, type Rows } from "../rows.ts";
import type { BlockEntry } from "../file/table-directory.ts";
import {
  TABLE_HEADER_BYTES,
  TRAILER_BYTES,
  trailerCopies,
  TRAILERS_BYTES,
  versionInHeader,
} from "../file/table-format.ts";
import type { SectionSummary } from "../file/table-format.ts";
import type { ListedTable } from "./table-list.ts";
import type { TableDamage } from "./table-notes.ts";
import { openTable, type Table, type TableDisk } from "../file/table-reader.ts";

export type TableVerdict = {
  /** The worst of it; `unreadable`: the disk failed, and nothing is known of the rest. */
  readonly extent: TableDamage["extent"] | "unreadable" | undefined;
  /** What and where, the first limits.verifyProblemsMax of each table. */
  readonly problems: readonly string[];
  readonly blocks: number;
  readonly rows: number;
};

const EXTENTS = [undefined, "figures", "part", "missing", "whole", "unreadable"] as const;

/** Rejects with FORMAT_TOO_NEW. `pause` is awaited between series. */
export async function verifyTable(
  disk: TableDisk,
  path: string,
  { listed, pause }: { readonly listed: ListedTable; readonly pause: () => Promise<void> },
): Promise<TableVerdict> {
  const found = new Findings();
  try {
    await verifyCopies(disk, path, found);
    const opened = await openTable(disk, path);
    if (opened.kind === "damaged") found.add("whole", opened.reason);
    else {
      try {
        await verifyOpen(opened.table, { listed, pause, found });
      } finally {
        await opened.table.close();
      }
    }
  } catch (error) {
    if (!isEnvironmental(error) || error.code === "FORMAT_TOO_NEW") throw error;
    if (error.code === "ENOENT") found.add("missing", `${path} is not there`);
    else if (error instanceof Fault) found.add("unreadable", error.message);
    else found.add("unreadable", `${path} cannot be read (${error.code})`);
  }
  return found;
}

class Findings implements TableVerdict {
  extent: TableVerdict["extent"];
  readonly problems: string[] = [];
  blocks = 0;
  rows = 0;

  add(extent: NonNullable<TableVerdict["extent"]>, problem: string): void {
    if (EXTENTS.indexOf(extent) > EXTENTS.indexOf(this.extent)) this.extent = extent;
    if (this.problems.length < limits.verifyProblemsMax) this.problems.push(problem);
  }

  /** Adds a problem where the two are not the same, NaN, -0 and 0 told apart. */
  compare(place: string, is: number, said: number): void {
    if (!Object.is(is, said)) this.add("figures", `${place} is ${is}, not ${said} as it is said`);
  }

  get isDamaged(): boolean {
    return this.extent !== undefined && this.extent !== "figures";
  }
}

/** What stands twice, or what a reader can do without, may be damaged although the table opens. */
async function verifyCopies(disk: TableDisk, path: string, found: Findings): Promise<void> {
  const file = await disk.open(path, { create: false });
  try {
    const size = await file.size();
    if (size < TABLE_HEADER_BYTES + TRAILERS_BYTES) return;
    const bytesAt = async (from: number, to: number): Promise<Uint8Array> => {
      const bytes = new Uint8Array(to - from);
      await file.read(bytes, from);
      return bytes;
    };
    const header = await bytesAt(0, TABLE_HEADER_BYTES);
    if (versionInHeader(header) === undefined) found.add("figures", `${path}: its header`);
    const end = await bytesAt(size - TRAILERS_BYTES, size);
    const trailers = trailerCopies(end);
    const trailer = trailers.find((copy) => copy !== undefined);
    if (trailer === undefined || trailer.bytes !== size) return; // openTable says what it is
    if (trailers.includes(undefined)) found.add("figures", `${path}: a copy of its trailer`);
    const between = end.subarray(TRAILER_BYTES, TRAILERS_BYTES - TRAILER_BYTES);
    if (between.some((byte) => byte !== 0)) found.add("figures", `${path}: between its trailers`);
    const { filterBytes, filterChecksum, footerBytes, footerChecksum } = trailer;
    const from = size - TRAILERS_BYTES - 2 * footerBytes - filterBytes;
    if (from < TABLE_HEADER_BYTES) return;
    const parts = await bytesAt(from, size - TRAILERS_BYTES);
    if (checksumOf(parts.subarray(0, filterBytes)) !== filterChecksum) {
      found.add("figures", `${path}: its filter`);
    }
    for (const at of [filterBytes, filterBytes + footerBytes]) {
      if (checksumOf(parts.subarray(at, at + footerBytes)) === footerChecksum) continue;
      found.add("figures", `${path}: a copy of its footer`);
    }
  } finally {
    await file.close();
  }
}

type Verification = {
  readonly listed: ListedTable;
  readonly pause: () => Promise<void>;
  readonly found: Findings;
};

async function verifyOpen(table: Table, verification: Verification): Promise<void> {
  const { listed, found } = verification;
  const { path, summary } = table;
  found.compare(`${path}: its size`, summary.bytes, listed.bytes);
  found.compare(`${path}: its oldest time`, summary.timeFirst, listed.timeFirst);
  found.compare(`${path}: its newest time`, summary.timeLast, listed.timeLast);
  const resolutions = summary.sections.map(({ resolution }) => resolution).join(", ");
  if (resolutions !== listed.resolutions.join(", ")) {
    found.add(
      "figures",
      `${path}: its sections are ${resolutions}, not ${listed.resolutions.join(", ")}`,
    );
  }
  for (const section of summary.sections) await verifySection(table, section, verification);
}

/** What the blocks of a section add up to. */
type Totals = {
  blocks: number;
  rows: number;
  readings: number;
  timeFirst: number;
  timeLast: number;
};

async function verifySection(
  table: Table,
  section: SectionSummary,
  { listed, pause, found }: Verification,
): Promise<void> {
  const { resolution } = section;
  const place = `${table.path}, section ${resolution}`;
  const totals: Totals = {
    blocks: 0,
    rows: 0,
    readings: 0,
    timeFirst: Number.POSITIVE_INFINITY,
    timeLast: Number.NEGATIVE_INFINITY,
  };
  const block = createRows(resolution);
  const series = await table.series(resolution);
  if (series.kind === "damaged") found.add("part", series.reason);
  for (const number of series.ids) {
    const id = seriesId(number);
    if (!table.mayHold(id)) found.add("figures", `${place}: series ${id} is not in the filter`);
    await verifySeries(table, { id, resolution, block, totals, listed, found });
    await pause();
  }
  found.blocks += totals.blocks;
  found.rows += totals.rows;
  if (found.isDamaged) return;
  found.compare(`${place}: the number of its series`, new Set(series.ids).size, section.series);
  found.compare(`${place}: the number of its blocks`, totals.blocks, section.blocks);
  found.compare(`${place}: the number of its rows`, totals.rows, section.rows);
  found.compare(`${place}: its oldest time`, totals.timeFirst, section.timeFirst);
  found.compare(`${place}: its newest time`, totals.timeLast, section.timeLast);
  found.compare(`${place}: the number of its readings`, totals.readings, listed.readings);
}

async function verifySeries(
  table: Table,
  at: {
    readonly id: SeriesId;
    readonly resolution: ResolutionMs;
    readonly block: Rows;
    readonly totals: Totals;
    readonly listed: ListedTable;
    readonly found: Findings;
  },
): Promise<void> {
  const { id, resolution, block, totals, listed, found } = at;
  const read = await table.entries(resolution, id);
  if (read.kind === "damaged") {
    found.add("part", read.reason);
    return;
  }
  const cursor = table.cursor(resolution, read.entries);
  let before = Number.NEGATIVE_INFINITY;
  for (let next = await cursor.next(block); next !== undefined; next = await cursor.next(block)) {
    const { kind, entry } = next;
    const place = `${table.path}, section ${resolution}, series ${id}, block at ${entry.valuesAt}`;
    if (kind === "damaged") {
      found.add("part", place);
      continue;
    }
    compareFigures(place, figuresOf(resolution, block), entry, found);
    if (!isInOrder(resolution, block, before)) found.add("figures", `${place}: its order`);
    if (!isInPartition(resolution, block, listed)) found.add("figures", `${place}: its day`);
    before = block.time[block.rows - 1]!;
    totals.blocks += 1;
    totals.rows += block.rows;
    totals.readings += readingsIn(resolution, block);
    totals.timeFirst = Math.min(totals.timeFirst, block.time[0]!);
    totals.timeLast = Math.max(totals.timeLast, before);
  }
}

function compareFigures(
  place: string,
  is: ReturnType<typeof figuresOf>,
  said: BlockEntry,
  found: Findings,
): void {
  const names = ["rows", "timeFirst", "timeLast", "numbers", "min", "max", "sum"] as const;
  for (const name of names) found.compare(`${place}: ${name}`, is[name], said[name]);
}

/** Readings of equal time are in order; buckets begin at whole steps, each once. */
function isInOrder(resolution: ResolutionMs, { time, rows }: Rows, before: number): boolean {
  let last = before;
  for (let row = 0; row < rows; row++) {
    const at = time[row]!;
    if (resolution === readings ? at < last : at <= last || bucketStartOf(at, resolution) !== at) {
      return false;
    }
    last = at;
  }
  return true;
}

function isInPartition(
  resolution: ResolutionMs,
  { time, rows }: Rows,
  { partition }: ListedTable,
): boolean {
  if (partition === undefined || resolution !== readings) return true;
  const partitionAt = (row: number): number => Math.floor(time[row]! / limits.partitionMs);
  return partitionAt(0) === partition && partitionAt(rows - 1) === partition;
}

const COUNT = rollupColumns.indexOf("count");

function readingsIn(resolution: ResolutionMs, { columns, rows }: Rows): number {
  if (resolution === readings) return rows;
  let sum = 0;
  for (let row = 0; row < rows; row++) sum += columns[COUNT]![row]!;
  return sum;
}
