/**
 * The work of a compaction: several tables become one, section by section, or one table loses its
 * finest section.
 *
 *   section of readings   the readings of all inputs, merged
 *   section of 1 min      of these readings, or the coarsest section of each input that divides 1 min,
 *                         rolled up, added up
 *   ...                   coarser ones as long as each is worth its bytes
 *
 * Memory: a block of each input and one of the output, and what coarser-sections.ts gathers. What is
 * damaged in an input is left out: the caller sees by the readings that went in and came out how many
 * were lost.
 */

import { assert } from "../../../core/assert.ts";
import type { Disk } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import { position, type SeriesId } from "../../../core/units.ts";
import {
  type BlockSource,
  createReadReport,
  mergedBlocks,
  openTableSource,
  type ReadReport,
} from "../read/block-source.ts";
import { deviceGroups } from "../device-groups.ts";
import { bucketStartOf, rollUp, settle } from "../rollup.ts";
import {
  allTime,
  appendRows,
  createRows,
  type ResolutionMs,
  readings,
  rollupColumns,
  type Rows,
  rowsMaxOf,
} from "../rows.ts";
import { borrowRows, returnRows } from "../read/rows-pool.ts";
import { CoarserSections } from "./coarser-sections.ts";
import type { Pace } from "../pace.ts";
import type { Tombstones } from "../listing/tombstones.ts";
import { type TableFiles, tablePath } from "../listing/table-files.ts";
import { type ListedTable, listedTable } from "../listing/table-list.ts";
import type { Table } from "../file/table-reader.ts";
import { openTableWriter, type TableWriter } from "../file/table-writer.ts";

export type MergeOptions = {
  readonly disk: Disk;
  readonly directory: string;
  readonly files: TableFiles;
  readonly tombstones: Tombstones;
  /** What has to wait for a merge goes first when it breathes. */
  readonly pace: Pick<Pace, "breathe">;
  /** Series of one device share their stamps. */
  readonly deviceOf: (series: SeriesId) => number;
  /** Of the result. */
  readonly id: number;
  readonly level: number;
  /** Finest section of the result: readings, or one of `tiers`. */
  readonly finest: ResolutionMs;
  /** Resolutions there may be, ascending. */
  readonly tiers: readonly ResolutionMs[];
};

export type Merged = {
  /** Undefined where nothing was left of the inputs. */
  readonly table: ListedTable | undefined;
  readonly report: ReadReport;
};

/**
 * Writes the merged table; its file is synced, its directory is not. `inputs` is in the order of
 * their age, and of one class. Rejects with what the disk says; what was written is then removed.
 */
export async function mergeTables(
  inputs: readonly ListedTable[],
  options: MergeOptions,
): Promise<Merged> {
  const { disk, directory, id, level, finest, tiers } = options;
  const name = inputs[0]?.class;
  assert(
    inputs.every((input) => input.class === name),
    "classes are not merged",
  );
  const report = createReadReport();
  const devices = await devicesOf(inputs, options, report);
  const writer = await openTableWriter(disk, { path: tablePath(directory, id) });
  try {
    const sections = new Sections(tiers);
    const coarser = new CoarserSections(finest, tiersOfFinest(inputs, options));
    const view = readingAhead();
    let erased: number | undefined;
    for (const resolution of [finest, ...tiers.filter((tier) => tier > finest)]) {
      if (!sections.isWorth(resolution)) continue;
      const isWritten = await coarser.write(resolution, writer, () => options.pace.breathe());
      if (isWritten) continue;
      const parts = { writer, devices, inputs, resolution, sections, report, view, options };
      await writeSection({ ...parts, coarser: resolution === finest ? coarser : undefined });
      erased ??= report.erased; // further sections leave out the same readings again
    }
    report.erased = erased ?? 0;
    if (sections.readings === 0) {
      await writer.abandon();
      return { table: undefined, report };
    }
    const summary = await writer.finish();
    const [{ run, partition } = { run: "main" as const, partition: undefined }] = inputs;
    const isOne = inputs.every((input) => input.partition === partition);
    const to = position(Math.max(options.tombstones.end, ...inputs.map((input) => input.to)));
    const runOf = level === 0 ? run : ("main" as const);
    const placed = { id, level, run: runOf, class: name, to };
    const partitionOfAll = isOne ? partition : undefined;
    const listed = listedTable(summary, {
      ...placed,
      partition: partitionOfAll,
      readings: sections.readings,
    });
    return { table: listed, report };
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

/** Rows of the section just written by what its coarser ones would have, and the readings in it. */
class Sections {
  readonly #tiers: readonly ResolutionMs[];
  /** Rows that a section of each tier has, counted while the finest is written. */
  readonly #rows: Float64Array;
  #finest: ResolutionMs | undefined;
  #finestRows = 0;
  #written: { readonly resolution: ResolutionMs; readonly rows: number } | undefined;
  readings = 0;

  constructor(tiers: readonly ResolutionMs[]) {
    this.#tiers = tiers;
    this.#rows = new Float64Array(tiers.length);
  }

  /** The finest section always is. */
  isWorth(resolution: ResolutionMs): boolean {
    if (this.#written === undefined) return true;
    const rows = this.#rows[this.#tiers.indexOf(resolution)]!;
    if (rows * factorOf(this.#written.resolution) > this.#written.rows) return false;
    this.#written = { resolution, rows };
    return true;
  }

  /** Tiers that are not worth their bytes as far as the finest section is written, once that says much. */
  get notWorth(): readonly ResolutionMs[] {
    if (this.#finest === undefined || this.#finestRows < limits.mergeTellingRows) return [];
    const factor = factorOf(this.#finest);
    return this.#tiers.filter((_, i) => this.#rows[i]! * factor > this.#finestRows);
  }

  /** Counts rows of the finest section, one series after another, ascending in time. */
  count(resolution: ResolutionMs, rows: Rows, lastBuckets: Float64Array): void {
    if (this.#finest !== undefined && this.#finest !== resolution) return;
    this.#finest = resolution;
    this.#finestRows += rows.rows;
    this.#written = { resolution, rows: this.#finestRows };
    this.readings += readingsIn(resolution, rows);
    for (const [tier, step] of this.#tiers.entries()) {
      if (step > resolution) this.#rows[tier]! += newBuckets(rows, step, lastBuckets, tier);
    }
  }
}

/**
 * Rows that the finer section has for each of one that is worth its bytes. A reading takes about 1.5
 * bytes and a bucket 9 to 11. Readings at 1 Hz have no section of 10 s or 1 min, which would take two
 * thirds and a tenth of them: these are made of the readings when those expire, and until then a day
 * of them is read as fast.
 */
function factorOf(finer: ResolutionMs): number {
  return finer === readings ? limits.mergeReadingsPerBucket : limits.mergeBucketsPerBucket;
}

function readingsIn(resolution: ResolutionMs, rows: Rows): number {
  if (resolution === readings) return rows.rows;
  const counts = rows.columns[rollupColumns.indexOf("count")]!;
  let sum = 0;
  for (let row = 0; row < rows.rows; row++) sum += counts[row]!;
  return sum;
}

/** Buckets of `step` that begin in the rows; `lastBuckets[tier]` is the last one before. */
function newBuckets(
  { time, rows }: Rows,
  step: ResolutionMs,
  lastBuckets: Float64Array,
  tier: number,
): number {
  let count = 0;
  let last = lastBuckets[tier]!;
  for (let row = 0; row < rows; row++) {
    const bucket = bucketStartOf(time[row]!, step);
    if (bucket === last) continue;
    last = bucket;
    count += 1;
  }
  lastBuckets[tier] = last;
  return count;
}

type SectionParts = {
  readonly writer: TableWriter;
  readonly devices: readonly (readonly SeriesId[])[];
  readonly inputs: readonly ListedTable[];
  readonly resolution: ResolutionMs;
  readonly sections: Sections;
  readonly report: ReadReport;
  readonly view: (table: Table) => Table;
  readonly options: MergeOptions;
  /** Is given the rows of the finest section. */
  readonly coarser: CoarserSections | undefined;
};

async function writeSection(parts: SectionParts): Promise<void> {
  const { writer, devices, resolution, sections, options, coarser } = parts;
  writer.beginSection(resolution);
  const target = createRows(resolution);
  for (const device of devices) {
    writer.beginDevice();
    coarser?.beginDevice();
    for (const series of device) {
      await writeSeries(series, target, parts);
      coarser?.endSeries();
    }
    for (const tier of sections.notWorth) coarser?.letGo(tier);
    await writer.drain();
    await options.pace.breathe();
  }
}

/** All of one series, in full blocks. */
async function writeSeries(series: SeriesId, target: Rows, parts: SectionParts): Promise<void> {
  const { writer, inputs, resolution, sections, report, view, options, coarser } = parts;
  const lastBuckets = new Float64Array(options.tiers.length).fill(Number.NaN);
  const emit = (): void => {
    if (target.rows === 0) return;
    coarser?.add(series, target);
    if (resolution !== readings) settle(target);
    sections.count(resolution, target, lastBuckets);
    writer.add(series, target);
    target.rows = 0;
  };
  using opened = new DisposableStack();
  const sources: BlockSource[] = [];
  for (const input of inputs) {
    const isWhole = options.tombstones.erasedIn(series, input.to).length === 0;
    const from = isWhole ? bestOf(input, resolution) : finestFor(input, resolution);
    if (from === undefined) continue;
    const at = { series, resolution: from, range: allTime, view };
    const source = await openTableSource(options, input, at, report);
    if (source === undefined) continue;
    const rows = from === resolution ? source : new RolledUp(source, from, resolution);
    sources.push(opened.use(rows));
  }
  for await (const block of mergedBlocks(sources, resolution)) {
    for (let from = 0; from < block.rows; ) {
      const to = Math.min(block.rows, from + rowsMaxOf(target) - target.rows);
      appendRows(target, block, { from, to });
      if (target.rows === rowsMaxOf(target)) emit();
      from = to;
    }
    await options.pace.breathe();
  }
  emit();
}

/** A view of each table for as long as it is open: they are read one series after another. */
function readingAhead(): (table: Table) => Table {
  const views = new Map<Table, Table>();
  return (table) => {
    const view = views.get(table) ?? table.readingAhead();
    views.set(table, view);
    return view;
  };
}

/** The tiers that are made of just those sections of the inputs that the finest one is made of. */
function tiersOfFinest(
  inputs: readonly ListedTable[],
  { finest, tiers }: MergeOptions,
): readonly ResolutionMs[] {
  return tiers.filter(
    (tier) =>
      tier > finest && inputs.every((input) => bestOf(input, tier) === bestOf(input, finest)),
  );
}

/** Coarser sections lose more to an erasure than they have to. */
function finestFor(
  { resolutions }: ListedTable,
  resolution: ResolutionMs,
): ResolutionMs | undefined {
  return resolutions.find(
    (from) => from === readings || (from <= resolution && resolution % from === 0),
  );
}

/** The coarsest section of an input from which rows of the resolution can be made. */
function bestOf({ resolutions }: ListedTable, resolution: ResolutionMs): ResolutionMs | undefined {
  return resolutions.findLast(
    (from) => from === readings || (from <= resolution && resolution % from === 0),
  );
}

/** The blocks of a source as buckets of a coarser resolution. */
class RolledUp implements BlockSource {
  readonly #source: BlockSource;
  readonly #from: ResolutionMs;
  readonly #to: ResolutionMs;
  /** Two, since the last bucket of a block goes on in the next. */
  readonly #buckets: Rows;
  #block: Rows | undefined;
  #row = 0;
  #hasEnded = false;

  constructor(source: BlockSource, from: ResolutionMs, to: ResolutionMs) {
    assert(to > from, "rolling up makes a resolution coarser");
    this.#source = source;
    this.#from = from;
    this.#to = to;
    this.#buckets = borrowRows(to);
  }

  async next(): Promise<Rows | undefined> {
    const buckets = this.#buckets;
    buckets.rows = 0;
    while (!this.#hasEnded) {
      this.#block ??= await this.#source.next();
      if (this.#block === undefined) {
        this.#hasEnded = true;
        break;
      }
      const at = { from: this.#from, to: this.#to, row: this.#row };
      this.#row = rollUp(this.#block, buckets, at);
      if (this.#row < this.#block.rows) return buckets;
      this.#block = undefined;
      this.#row = 0;
    }
    return buckets.rows > 0 ? buckets : undefined;
  }

  [Symbol.dispose](): void {
    returnRows(this.#buckets);
    this.#source[Symbol.dispose]();
  }
}

/** All series of the inputs in groups of one device each, in the order of their ids. */
async function devicesOf(
  inputs: readonly ListedTable[],
  { files, deviceOf }: MergeOptions,
  report: ReadReport,
): Promise<readonly (readonly SeriesId[])[]> {
  const all = new Set<number>();
  for (const input of inputs) {
    const held = await files.hold(input.id);
    if (held.kind === "damaged") {
      report.damaged.set(input.id, held.reason);
      continue;
    }
    using open = held;
    for (const resolution of input.resolutions) {
      const series = await open.table.series(resolution);
      for (const id of series.ids) all.add(id);
      if (series.kind === "series") continue;
      report.damaged.set(input.id, series.reason);
      files.notes.noteDamage(input.id, { extent: "part", reason: series.reason });
    }
  }
  return deviceGroups(all, deviceOf);
}
