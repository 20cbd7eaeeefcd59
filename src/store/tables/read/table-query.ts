/**
 * Queries: what the tables and memory say of one series, block by block, so that memory stays bounded
 * whatever is asked for.
 *
 *   readings   in [from, to), in order of time
 *   buckets    of a step, each table by the coarsest section that divides it
 *   latest     the newest reading
 *   has        whether there are any
 *
 * A query sees a snapshot: what is flushed, merged or expired meanwhile does not change its answer.
 * What is damaged, or there only more coarsely, is left out and stands in its report. Between blocks
 * it breathes by the pace of the snapshot, and ends with Stopped where that was stopped.
 */

import { assert } from "../../../core/assert.ts";
import type { SeriesId } from "../../../core/units.ts";
import {
  type BlockSource,
  memoryRowsOf,
  mergedBlocks,
  openMemorySource,
  openTableSource,
  type ReadReport,
} from "./block-source.ts";
import type { MemoryTable } from "../memory/memory-table.ts";
import type { Pace } from "../pace.ts";
import { addParts, emptyBucket, rollUp } from "../rollup.ts";
import {
  allTime,
  appendRows,
  clippedRows,
  createRows,
  isWithin,
  type ResolutionMs,
  readings,
  type Rows,
  type TimeRange,
} from "../rows.ts";
import type { ListedTable } from "../listing/table-list.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * Readings of the series in `range`, ascending; those of equal time as they were accepted, save that
 * late ones come last. A block is valid until the next is asked for.
 */
export async function* readReadings(
  snapshot: Snapshot,
  wanted: { readonly series: SeriesId; readonly range: TimeRange },
  report: ReadReport,
): AsyncGenerator<Rows> {
  const { series, range } = wanted;
  const tables: ListedTable[] = [];
  for (const table of snapshot.tables) {
    if (!reaches(table, range)) continue;
    if (table.resolutions.includes(readings)) tables.push(table);
    else report.coarser.add(table);
  }
  const memories = snapshot.memories.filter(
    (memory) => memoryRowsOf(snapshot, memory, wanted).length > 0,
  );
  for (const cluster of clustersOf([
    ...tables.map(spanOf),
    ...memories.map((memory) => memorySpan(memory, series, range)),
  ])) {
    using opened = new Sources();
    for (const part of cluster) {
      opened.add(
        part.memory === undefined
          ? await openTableSource(
              snapshot,
              part.table,
              { series, resolution: readings, range },
              report,
            )
          : openMemorySource(snapshot, part.memory, wanted, report),
      );
    }
    for await (const block of mergedBlocks(opened.sources, readings)) {
      await snapshot.pace.breathe();
      const rows = clippedRows(block, range);
      if (rows.rows > 0) yield rows;
    }
  }
}

/**
 * The buckets of `step` in `range` that have readings, ascending: one block of rollup columns that
 * the caller owns. The range is a whole number of steps from a multiple of one (the caller bounds
 * it). Each table is read by the coarsest of its sections that the step is a multiple of.
 */
export async function readBuckets(
  snapshot: Snapshot,
  wanted: { readonly series: SeriesId; readonly range: TimeRange; readonly step: ResolutionMs },
  report: ReadReport,
): Promise<Rows> {
  const { series, range, step } = wanted;
  const count = (range.to - range.from) / step;
  assert(Number.isInteger(count) && range.from % step === 0, "a range is a whole number of steps");
  const buckets = emptyBuckets(range.from, { step, count });
  for (const table of snapshot.tables) {
    const resolution = sectionFor(snapshot, table, wanted);
    if (!reaches(table, range)) continue;
    if (resolution === undefined) {
      report.coarser.add(table);
      continue;
    }
    const { pace } = snapshot;
    const at = { series, resolution, range };
    const source = await openTableSource(snapshot, table, at, report);
    await addAll(buckets, source, { ...at, step, pace });
  }
  for (const memory of snapshot.memories) {
    const { pace } = snapshot;
    const at = { resolution: readings, range, step, pace };
    await addAll(buckets, openMemorySource(snapshot, memory, wanted, report), at);
  }
  return filledRows(buckets);
}

/** The newest reading, into row 0 of `target`; false where there is none. */
export async function readLatest(
  snapshot: Snapshot,
  series: SeriesId,
  target: Rows,
  report: ReadReport,
): Promise<boolean> {
  let newest = Number.NEGATIVE_INFINITY;
  const keepNewer = (rows: Rows | undefined): void => {
    if (rows === undefined || rows.rows === 0 || rows.time[rows.rows - 1]! < newest) return;
    newest = rows.time[rows.rows - 1]!;
    target.rows = 0;
    appendRows(target, rows, { from: rows.rows - 1, to: rows.rows });
  };
  const row = createRows(readings, 1);
  for (const memory of snapshot.memories) {
    if (isCut(snapshot, memory, series)) {
      const rows = memoryRowsOf(snapshot, memory, { series, range: allTime });
      memory.copy(rows.subarray(-1), row);
      keepNewer(row);
    } else if (memory.latest(series, row)) keepNewer(row);
  }
  for (const table of snapshot.tables.toSorted((a, b) => b.timeLast - a.timeLast)) {
    if (table.timeLast <= newest) break;
    if (!table.resolutions.includes(readings)) {
      report.coarser.add(table);
      continue;
    }
    const range = { from: newest, to: Number.POSITIVE_INFINITY };
    const at = { series, resolution: readings, range, last: true };
    using source = await openTableSource(snapshot, table, at, report);
    for (let block = await source?.next(); block !== undefined; block = await source?.next()) {
      keepNewer(block);
    }
  }
  return newest !== Number.NEGATIVE_INFINITY;
}

/**
 * Whether the series has readings in `range`. Where a table that reaches beyond it has only buckets
 * left, those that begin in the range count.
 */
export async function hasReadings(
  snapshot: Snapshot,
  { series, range }: { readonly series: SeriesId; readonly range: TimeRange },
  report: ReadReport,
): Promise<boolean> {
  await snapshot.pace.breathe();
  const isInMemory = (memory: MemoryTable): boolean =>
    memoryRowsOf(snapshot, memory, { series, range }).length > 0;
  if (snapshot.memories.some(isInMemory)) return true;
  for (const table of snapshot.tables) {
    if (!reaches(table, range)) continue;
    const resolution = table.resolutions[0] ?? readings;
    const isInside = isWithin(range, table.timeFirst) && isWithin(range, table.timeLast);
    if (resolution !== readings && !isInside) report.coarser.add(table);
    const at = { series, resolution, range };
    using source = await openTableSource(snapshot, table, at, report);
    const isWhole = snapshot.tombstones.erasedIn(series, table.to).length === 0;
    if (source !== undefined && isInside && isWhole) return true;
    for (let block = await source?.next(); block !== undefined; block = await source?.next()) {
      if (clippedRows(block, range).rows > 0) return true;
    }
  }
  return false;
}

/** Whether any row of the table may lie in the range. */
function reaches({ timeFirst, timeLast }: ListedTable, range: TimeRange): boolean {
  return timeFirst < range.to && timeLast >= range.from;
}

/** Whether something of the series was erased, and is still in the memory table. */
function isCut({ tombstones }: Snapshot, memory: MemoryTable, series: SeriesId): boolean {
  return memory.to !== undefined && tombstones.erasedIn(series, memory.to).length > 0;
}

/** The section to read; the finest where something of the series was erased: coarser ones lose more. */
function sectionFor(
  { tombstones }: Snapshot,
  table: ListedTable,
  { series, step }: { readonly series: SeriesId; readonly step: ResolutionMs },
): ResolutionMs | undefined {
  if (tombstones.erasedIn(series, table.to).length === 0) return bestOf(table, step);
  const finest = table.resolutions[0] ?? readings;
  return finest === readings || step % finest === 0 ? finest : undefined;
}

/** The coarsest section that the step is a multiple of. */
function bestOf({ resolutions }: ListedTable, step: ResolutionMs): ResolutionMs | undefined {
  return resolutions.findLast((resolution) => resolution === readings || step % resolution === 0);
}

// ---- buckets ----

function emptyBuckets(
  from: number,
  { step, count }: { readonly step: ResolutionMs; readonly count: number },
): Rows {
  const buckets = createRows(step, Math.max(count, 1));
  buckets.rows = count;
  for (let row = 0; row < count; row++) {
    buckets.time[row] = from + row * step;
    emptyBucket(buckets, row);
  }
  return buckets;
}

async function addAll(
  buckets: Rows,
  opened: BlockSource | undefined,
  at: {
    readonly resolution: ResolutionMs;
    readonly range: TimeRange;
    readonly step: ResolutionMs;
    readonly pace: Pace;
  },
): Promise<void> {
  if (opened === undefined) return;
  using source = opened;
  const parts = createRows(at.step);
  for (let block = await source.next(); block !== undefined; block = await source.next()) {
    await at.pace.breathe();
    const rows = clippedRows(block, at.range);
    if (at.resolution === readings) addReadings(buckets, rows, parts, at);
    else addParted(buckets, rows, at);
  }
}

function addReadings(
  buckets: Rows,
  rows: Rows,
  parts: Rows,
  at: { readonly range: TimeRange; readonly step: ResolutionMs },
): void {
  for (let row = 0; row < rows.rows; ) {
    parts.rows = 0;
    row = rollUp(rows, parts, { from: readings, to: at.step, row });
    addParted(buckets, parts, at);
  }
}

function addParted(
  buckets: Rows,
  parts: Rows,
  { range, step }: { readonly range: TimeRange; readonly step: ResolutionMs },
): void {
  for (let row = 0; row < parts.rows; row++) {
    addParts(buckets, Math.floor((parts.time[row]! - range.from) / step), parts, row);
  }
}

function filledRows(buckets: Rows): Rows {
  const filled = createRows(1, Math.max(buckets.rows, 1));
  const count = buckets.columns[0]!;
  for (let row = 0; row < buckets.rows; row++) {
    if (count[row]! > 0) appendRows(filled, buckets, { from: row, to: row + 1 });
  }
  return filled;
}

// ---- order ----

/** Where rows of the series may be found, and when. */
type Part = { readonly from: number; readonly to: number } & (
  | { readonly table: ListedTable; readonly memory?: undefined }
  | { readonly memory: MemoryTable }
);

function spanOf(table: ListedTable): Part {
  return { from: table.timeFirst, to: table.timeLast, table };
}

function memorySpan(memory: MemoryTable, series: SeriesId, range: TimeRange): Part {
  const rows = memory.rowsOf(series, range);
  return { from: memory.timeOf(rows[0]!), to: memory.timeOf(rows.at(-1)!), memory };
}

/** Parts that overlap in time, one group after another, so that few are open at a time; oldest part first. */
function clustersOf(parts: readonly Part[]): readonly (readonly Part[])[] {
  const clusters: Part[][] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const part of parts.toSorted((a, b) => a.from - b.from)) {
    const last = clusters.at(-1);
    if (last === undefined || part.from > end) clusters.push([part]);
    else last.push(part);
    end = Math.max(end, part.to);
  }
  return clusters.map((cluster) => cluster.toSorted(inOrderOfAge));
}

/** Merged tables hold older readings than those that were not merged; memory the newest. */
function inOrderOfAge(a: Part, b: Part): number {
  if (a.memory !== undefined || b.memory !== undefined) {
    return (a.memory?.from ?? -1) - (b.memory?.from ?? -1);
  }
  return b.table.level - a.table.level || a.table.id - b.table.id;
}

class Sources {
  readonly sources: BlockSource[] = [];

  add(source: BlockSource | undefined): void {
    if (source !== undefined) this.sources.push(source);
  }

  [Symbol.dispose](): void {
    for (const source of this.sources) source[Symbol.dispose]();
  }
}
