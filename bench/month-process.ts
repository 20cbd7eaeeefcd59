/**
 * The two processes of the month:
 *
 *   ingest   makes the readings and gives them to the store as fast as it takes them, with flushes
 *            and compactions; then it asks the store a little, so that its peak of memory is that of
 *            all three
 *   query    opens the store that is there, and asks
 *
 *   node month-process.js ingest '{"directory":"/tmp/x","days":1,...}'
 *
 * Each prints {"event":"done", ...}. The ingest lets the store finish what is due after every
 * sixteen memory tables: at full speed there would always be another one to flush first.
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { limits } from "../src/core/limits.ts";
import { position, type SeriesId, seriesId } from "../src/core/units.ts";
import { createReadReport, type ReadReport } from "../src/store/tables/read/block-source.ts";
import { createRows, readings } from "../src/store/tables/rows.ts";
import { readBuckets, readLatest, readReadings } from "../src/store/tables/read/table-query.ts";
import type { TableStore } from "../src/store/tables/table-store.ts";
import { fractions } from "../test/support/seeded-random.ts";
import { openMonthStore } from "./month-store.ts";
import { median, rounded } from "./process.ts";
import { acceptedStep, Sensors, startMs } from "./sensors.ts";

export type MonthProcess = {
  readonly directory: string;
  readonly days: number;
  readonly series: number;
  readonly bytesMax: number;
};

export type IngestFigures = {
  readonly readings: number;
  readonly tables: number;
  readonly bytes_on_disk: number;
  readonly bytes_per_reading: number;
  /** Of the store: what making the readings takes is left out. */
  readonly ingest_mps_cpu: number;
  readonly write_amplification: number;
  /** Files over what is listed: at the end, and the most it was. */
  readonly space_amplification: number;
  readonly space_amplification_peak: number;
  /** Tables whose readings had to go for the budget. */
  readonly rolled_up_tables: number;
  readonly peak_rss_mb: number;
};

export type QueryFigures = {
  readonly open_ms: number;
  readonly latest_ms: Times;
  readonly day_ms: Times;
  readonly week_ms: Times;
  readonly week_points: number;
  /** One series, one hour. */
  readonly blocks_per_query: number;
};

/** The first query pays for opening tables and for compiling. */
export type Times = { readonly median: number; readonly max: number; readonly first: number };

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const secondsPerBatch = 10;

async function ingest(options: MonthProcess): Promise<IngestFigures> {
  const { directory, days, series, bytesMax } = options;
  await using opened = await openMonthStore(directory, { bytesMax });
  const { tables } = opened;
  tables.start();
  let changed = Promise.withResolvers<void>();
  tables.onChanged(() => changed.resolve());
  const sensors = new Sensors(series);
  const step = acceptedStep(series * secondsPerBatch);
  const { batch } = step;
  using space = watchSpace(join(directory, "tables"), tables);
  const before = process.cpuUsage();
  let making = 0;
  let settledAt = 0;
  let rows = 0;
  const seconds = days * 86_400;
  for (let second = 0; second < seconds; ) {
    const begun = cpuOf(process.cpuUsage());
    batch.rows = 0;
    while (batch.rows < batch.series.length) sensors.fill(batch, second++);
    making += cpuOf(process.cpuUsage()) - begun;
    while (tables.isFull) {
      await changed.promise;
      changed = Promise.withResolvers<void>();
    }
    tables.take({ ...step, at: position(rows) });
    rows += batch.rows;
    if (rows - settledAt < limits.memoryTableRowsMax * limits.mergeTablesMin) continue;
    settledAt = rows;
    await tables.settle();
    progress(`${rounded(second / 86_400)} days, ${tables.status.tables} tables, ${hwmMb()} MB`);
  }
  await tables.settle();
  tables.wantFlush();
  await tables.settle();
  const cpu = cpuOf(process.cpuUsage(before)) - making;
  progress("asked");
  await query(tables, options);
  const { bytes, tables: count, bytesFlushed, bytesCompacted } = tables.status;
  const snapshot = tables.snapshot();
  const rolledUp = snapshot.tables.filter(({ resolutions }) => resolutions[0] !== readings);
  snapshot[Symbol.dispose]();
  return {
    readings: rows,
    tables: count,
    bytes_on_disk: bytesIn(join(directory, "tables")),
    bytes_per_reading: rounded(bytes / rows),
    ingest_mps_cpu: rounded(rows / cpu),
    write_amplification: rounded((bytesFlushed + bytesCompacted) / bytesFlushed),
    space_amplification: rounded(bytesIn(join(directory, "tables")) / bytes),
    space_amplification_peak: rounded(space.peak),
    rolled_up_tables: rolledUp.length,
    peak_rss_mb: hwmMb(),
  };
}

async function openAndQuery(options: MonthProcess): Promise<QueryFigures> {
  const begun = performance.now();
  await using opened = await openMonthStore(options.directory, options);
  const open_ms = rounded(performance.now() - begun);
  return { open_ms, ...(await query(opened.tables, options)) };
}

async function query(
  tables: TableStore,
  { days, series }: MonthProcess,
): Promise<Omit<QueryFigures, "open_ms">> {
  const fraction = fractions(7);
  const any = (): SeriesId => seriesId(Math.floor(fraction() * series));
  const report = createReadReport();
  const latest: number[] = [];
  for (let n = 0; n < 200; n++) latest.push(await timed(() => latestOf(tables, any(), report)));
  const day: number[] = [];
  for (let n = 0; n < 40; n++) {
    const from = startMs + Math.floor(fraction() * days) * dayMs;
    const range = { from, to: Math.min(from + dayMs, startMs + days * dayMs) };
    day.push(await timed(() => readingsOf(tables, any(), range, report)));
  }
  const week: number[] = [];
  const span = Math.min(7, days) * dayMs;
  const step = span >= 7 * dayMs ? 1_200_000 : 600_000;
  for (let n = 0; n < 40; n++) {
    const weeks = Math.floor((days * dayMs - span) / dayMs + 1);
    const from = startMs + Math.floor(fraction() * weeks) * dayMs;
    const range = { from, to: from + Math.floor(span / step) * step };
    week.push(await timed(() => bucketsOf(tables, any(), { range, step }, report)));
  }
  const hours = createReadReport();
  for (let n = 0; n < 50; n++) {
    const from = startMs + fraction() * (days * dayMs - hourMs);
    await readingsOf(tables, any(), { from, to: from + hourMs }, hours);
  }
  if (report.damaged.size > 0) throw new Error("a table is damaged");
  return {
    latest_ms: timesOf(latest),
    day_ms: timesOf(day),
    week_ms: timesOf(week),
    week_points: Math.floor(span / step),
    blocks_per_query: rounded(hours.blocks / 50),
  };
}

async function latestOf(tables: TableStore, series: SeriesId, report: ReadReport): Promise<void> {
  const row = createRows(readings, 1);
  using snapshot = tables.snapshot();
  if (!(await readLatest(snapshot, series, row, report))) throw new Error("a series has a latest");
}

/** Every second has a reading, jitter aside. */
async function readingsOf(
  tables: TableStore,
  series: SeriesId,
  range: { readonly from: number; readonly to: number },
  report: ReadReport,
): Promise<void> {
  using snapshot = tables.snapshot();
  let count = 0;
  for await (const rows of readReadings(snapshot, { series, range }, report)) count += rows.rows;
  expectSeconds(count, range, report);
}

async function bucketsOf(
  tables: TableStore,
  series: SeriesId,
  wanted: { readonly range: { readonly from: number; readonly to: number }; readonly step: number },
  report: ReadReport,
): Promise<void> {
  using snapshot = tables.snapshot();
  const buckets = await readBuckets(snapshot, { series, ...wanted }, report);
  const count = buckets.columns[0]!.subarray(0, buckets.rows).reduce((sum, n) => sum + n, 0);
  expectSeconds(count, wanted.range, report);
}

function expectSeconds(
  count: number,
  { from, to }: { readonly from: number; readonly to: number },
  { coarser }: ReadReport,
): void {
  const seconds = (to - from) / 1_000;
  if (coarser.size === 0 && Math.abs(count - seconds) > 1) {
    throw new Error(`an answer has ${count} readings of ${seconds}`);
  }
}

async function timed(run: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await run();
  return performance.now() - begun;
}

function timesOf(times: readonly number[]): Times {
  const [first = 0, ...others] = times.map(rounded);
  return { median: rounded(median(others)), max: Math.max(...others), first };
}

// ---- what it takes ----

/** Looks now and then at how much the files take of what is listed. */
function watchSpace(directory: string, tables: TableStore): Disposable & { readonly peak: number } {
  let peak = 1;
  const timer = setInterval(() => {
    const { bytes } = tables.status;
    if (bytes > 0) peak = Math.max(peak, bytesIn(directory) / bytes);
  }, 500);
  return {
    get peak() {
      return peak;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function bytesIn(directory: string): number {
  return readdirSync(directory).reduce(
    (sum, name) => sum + (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

function cpuOf({ user, system }: NodeJS.CpuUsage): number {
  return user + system;
}

/** The most memory this process had so far. */
function hwmMb(): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return rounded((Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1_024) / 1e6);
}

function progress(text: string): void {
  if (process.env["WEIR_BENCH_PROGRESS"] === "1") console.error(text);
}

const [role, json = "{}"] = process.argv.slice(2);
const asked = JSON.parse(json) as MonthProcess;
const figures = role === "ingest" ? await ingest(asked) : await openAndQuery(asked);
process.stdout.write(`${JSON.stringify({ event: "done", ...figures })}\n`);
