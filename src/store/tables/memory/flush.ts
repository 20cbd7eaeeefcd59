/**
 * Flush: a memory table becomes tables of the first level, one per partition of time, sorted by
 * device, series and time.
 *
 *   partition 20420   table-0000000012.tbl  main   newer than what the partition's main tables have
 *                     table-0000000013.tbl  late   not newer: merged by compaction
 *   20105, 19876, ..  table-0000000014.tbl  late   scattered: more partitions than a flush makes tables
 *
 * So for each class of series: what is kept by other rules is in other tables.
 *
 * A device that comes back after weeks may bring readings of many days at once; they share one table
 * until compaction, so that a flush makes few files whatever the times in it.
 */

import type { Disk } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import { type Position, type SeriesId, seriesId } from "../../../core/units.ts";
import { deviceGroups } from "../device-groups.ts";
import type { MemoryTable } from "./memory-table.ts";
import type { Pace } from "../pace.ts";
import { allTime, createRows, readings, type Rows, type TimeRange } from "../rows.ts";
import { tablePath } from "../listing/table-files.ts";
import { type ListedTable, listedTable, type TableRun } from "../listing/table-list.ts";
import { openTableWriter, type TableWriter } from "../file/table-writer.ts";

export type FlushOptions = {
  readonly disk: Disk;
  readonly directory: string;
  readonly pace: Pace;
  /** Series of one device share their stamps. */
  readonly deviceOf: (series: SeriesId) => number;
  /** Name of its class; undefined: of none. */
  readonly classOf: (series: SeriesId) => string | undefined;
  /** Newest time that main tables of the partition have of the series; -Infinity where none. */
  readonly flushedThrough: (partition: number, series: SeriesId) => number;
  /** Main tables of the partition get the series up to this time. */
  readonly noteFlushed: (partition: number, series: SeriesId, time: number) => void;
  /** All rows of memory were accepted below this position. */
  readonly to: Position;
  /** The id of the next table. */
  readonly nextId: () => number;
};

/** Readings that share tables. */
type Part = {
  readonly partition: number | undefined;
  readonly range: TimeRange;
  readonly keeps: (time: number) => boolean;
};

/**
 * Writes all rows of `memory`, which does not change any more. The files are synced, their directory
 * is not. Rejects with what the disk says; what was written is then removed, as far as that works.
 */
export async function flushMemory(
  memory: MemoryTable,
  options: FlushOptions,
): Promise<readonly ListedTable[]> {
  const groups = await groupsOf(memory, options);
  const tables: ListedTable[] = [];
  for (const part of await partsOf(memory, options.pace)) {
    for (const group of groups) tables.push(...(await flushPart(memory, group, part, options)));
  }
  return tables;
}

/** Series that share tables, by device. */
type Group = {
  readonly class: string | undefined;
  readonly devices: readonly (readonly SeriesId[])[];
};

/** One for each class that is there. */
async function groupsOf(
  memory: MemoryTable,
  { classOf, deviceOf, pace }: FlushOptions,
): Promise<readonly Group[]> {
  const byClass = new Map<string | undefined, number[]>();
  for (const [index, id] of memory.series().entries()) {
    const name = classOf(seriesId(id));
    const known = byClass.get(name);
    if (known === undefined) byClass.set(name, [id]);
    else known.push(id);
    if (index % limits.flushSeriesPerTurn === limits.flushSeriesPerTurn - 1) await pace.breathe();
  }
  return [...byClass].map(([name, series]) => {
    return { class: name, devices: deviceGroups(series, deviceOf) };
  });
}

async function flushPart(
  memory: MemoryTable,
  { devices, class: name }: Group,
  part: Part,
  options: FlushOptions,
): Promise<readonly ListedTable[]> {
  await using outputs = new Outputs({ partition: part.partition, class: name }, options);
  const block = createRows(readings);
  for (const device of devices) {
    outputs.beginDevice();
    for (const series of device) {
      const rows = memory
        .rowsOf(series, part.range)
        .filter((row) => part.keeps(memory.timeOf(row)));
      const lateCount = lateRows(memory, rows, part.partition, series, options);
      const main = rows.subarray(lateCount);
      await outputs.write("late", series, { memory, rows: rows.subarray(0, lateCount), block });
      await outputs.write("main", series, { memory, rows: main, block });
      if (main.length === 0 || part.partition === undefined) continue;
      options.noteFlushed(part.partition, series, memory.timeOf(main.at(-1)!));
    }
    await options.pace.breathe();
  }
  return await outputs.finish();
}

/** How many of the rows, from the first, are not newer than what is flushed already. */
function lateRows(
  memory: MemoryTable,
  rows: Uint32Array,
  partition: number | undefined,
  series: SeriesId,
  { flushedThrough }: FlushOptions,
): number {
  if (partition === undefined) return rows.length;
  const through = flushedThrough(partition, series);
  const newer = rows.findIndex((row) => memory.timeOf(row) > through);
  return newer === -1 ? rows.length : newer;
}

/** The table of each run that a part needs, opened when its first row comes. */
class Outputs {
  readonly #placed: Pick<ListedTable, "partition" | "class">;
  readonly #options: FlushOptions;
  readonly #open = new Map<TableRun, { readonly id: number; readonly writer: TableWriter }>();
  /** Runs whose table has begun the device that is being written. */
  readonly #begun = new Set<TableRun>();

  constructor(placed: Pick<ListedTable, "partition" | "class">, options: FlushOptions) {
    this.#placed = placed;
    this.#options = options;
  }

  beginDevice(): void {
    this.#begun.clear();
  }

  async write(
    run: TableRun,
    series: SeriesId,
    from: { readonly memory: MemoryTable; readonly rows: Uint32Array; readonly block: Rows },
  ): Promise<void> {
    if (from.rows.length === 0) return;
    const writer = await this.#writer(run);
    if (!this.#begun.has(run)) writer.beginDevice();
    this.#begun.add(run);
    for (let at = 0; at < from.rows.length; ) {
      at += from.memory.copy(from.rows.subarray(at), from.block);
      writer.add(series, from.block);
    }
    await writer.drain();
  }

  async finish(): Promise<readonly ListedTable[]> {
    const { to } = this.#options;
    const tables: ListedTable[] = [];
    for (const [run, { id, writer }] of this.#open) {
      const summary = await writer.finish();
      this.#open.delete(run);
      tables.push(listedTable(summary, { ...this.#placed, id, level: 0, run, to }));
    }
    return tables;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { writer } of this.#open.values()) await writer.abandon();
  }

  async #writer(run: TableRun): Promise<TableWriter> {
    const open = this.#open.get(run);
    if (open !== undefined) return open.writer;
    const { disk, directory, nextId } = this.#options;
    const id = nextId();
    const writer = await openTableWriter(disk, { path: tablePath(directory, id) });
    writer.beginSection(readings);
    this.#open.set(run, { id, writer });
    return writer;
  }
}

/** The partitions with most rows have tables of their own; the rest is one part. */
async function partsOf(memory: MemoryTable, pace: Pace): Promise<readonly Part[]> {
  const counts = new Map<number, number>();
  let last = { partition: Number.NaN, from: 0, rows: 0 };
  const gather = (): void => {
    if (last.rows > 0) counts.set(last.partition, (counts.get(last.partition) ?? 0) + last.rows);
  };
  for (let row = 0; row < memory.rows; row++) {
    const partition = partitionOf(memory.timeOf(row));
    if (partition !== last.partition) {
      gather();
      last = { partition, from: row, rows: 0 };
    }
    last.rows += 1;
    if (row % limits.flushRowsPerTurn === 0) await pace.breathe();
  }
  gather();
  const largest = [...counts].toSorted(([, a], [, b]) => b - a).map(([partition]) => partition);
  const own = largest
    .filter((partition) => Number.isSafeInteger(partition)) // a time may be anything
    .slice(0, limits.flushPartitionsMax)
    .toSorted((a, b) => a - b);
  const parts: Part[] = own.map((partition) => ({
    partition,
    range: rangeOf(partition),
    keeps: () => true,
  }));
  if (largest.length > own.length) {
    const isOwn = new Set(own);
    const keeps = (time: number): boolean => !isOwn.has(partitionOf(time));
    parts.push({ partition: undefined, range: allTime, keeps });
  }
  return parts;
}

export function partitionOf(time: number): number {
  return Math.floor(time / limits.partitionMs);
}

/** The time that a partition covers. */
export function rangeOf(partition: number): TimeRange {
  const from = partition * limits.partitionMs;
  return { from, to: from + limits.partitionMs };
}
