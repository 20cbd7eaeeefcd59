/**
 * Answers: rows in pieces, as fast as whoever reads takes them, and an end that says whether that was
 * all.
 *
 *   json      {"readings":[{..},{..}],"end":{..}}
 *   ndjson    {..}\n{..}\n{"end":{..}}\n
 *
 * At any time there is one block of each table that is open, and one piece of text. What goes wrong
 * on the way is said in the end; an answer without one is torn.
 */

import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { SeriesId } from "../../core/units.ts";
import { Stopped } from "../../store/tables/pace.ts";
import { createRows, readings, type TimeRange } from "../../store/tables/rows.ts";
import type { ListedTable } from "../../store/tables/listing/table-list.ts";
import {
  hasReadings,
  readBuckets,
  readLatest,
  readReadings,
} from "../../store/tables/read/table-query.ts";
import type { Query, StopReason } from "./queries.ts";
import type { Asked, ReadingsRequest, SeriesRequest, SummaryRequest } from "./requests.ts";
import { bucketFields, readingFields, rowHead } from "./row-text.ts";

/** What an end says beside what every end says. */
type Facts = { readonly [name in string]?: unknown };

/** Rows of JSON, some at a time; returns what the end is to say. */
type RowSource = AsyncGenerator<readonly string[], Facts>;

export function seriesAnswer(query: Query, request: SeriesRequest): AsyncGenerator<string> {
  return pieces(query, { ...request, name: "series" }, seriesRows(query, request));
}

export function readingsAnswer(
  query: Query,
  request: ReadingsRequest,
  ids: readonly SeriesId[],
): AsyncGenerator<string> {
  return pieces(query, { ...request, name: "readings" }, readingRows(query, request, ids));
}

export function summaryAnswer(
  query: Query,
  request: SummaryRequest,
  ids: readonly SeriesId[],
): AsyncGenerator<string> {
  switch (request.kind) {
    case "latest":
      return pieces(query, { ...request, name: "latest" }, latestRows(query, ids));
    case "distinct":
      return pieces(query, { ...request, name: "distinct" }, distinctRows(query, request, ids));
    case "buckets":
      return pieces(query, { ...request, name: "buckets" }, bucketRows(query, request, ids));
  }
}

// ---- rows ----

async function* seriesRows(query: Query, { after, limit, ...request }: SeriesRequest): RowSource {
  const { catalog } = query;
  let count = 0;
  let last = after;
  for await (const id of query.seriesFrom(after + 1, request.wheres)) {
    if (count === limit) return { series: count, next: last };
    count += 1;
    last = id;
    const { device, metric } = catalog.series(id);
    const tags = JSON.stringify(Object.fromEntries(catalog.device(device).tags));
    const named = `${rowHead(catalog, id)},"id":${id},"metric":${JSON.stringify(metric)},"tags":${tags}`;
    const latest = request.latest ? await latestFields(query, id) : undefined;
    yield [`${named}${latest ?? ""}}`];
  }
  return { series: count };
}

async function* latestRows(query: Query, ids: readonly SeriesId[]): RowSource {
  for (const id of ids) {
    const latest = await latestFields(query, id);
    if (latest !== undefined) yield [`${rowHead(query.catalog, id)}${latest}}`];
  }
  return { series: ids.length };
}

async function latestFields(query: Query, id: SeriesId): Promise<string | undefined> {
  const { snapshot, report, catalog } = query;
  await snapshot.pace.breathe();
  const row = createRows(readings, 1);
  const found = await readLatest(snapshot, id, row, report);
  return found ? readingFields(catalog, row, 0) : undefined;
}

async function* readingRows(
  query: Query,
  { range, limit }: ReadingsRequest,
  ids: readonly SeriesId[],
): RowSource {
  const { snapshot, report, catalog } = query;
  let left = limit;
  for (const series of ids) {
    const head = rowHead(catalog, series);
    for await (const rows of readReadings(snapshot, { series, range }, report)) {
      const count = Math.min(left, rows.rows);
      left -= count;
      yield textsOf(count, (row) => `${head}${readingFields(catalog, rows, row)}}`);
      if (count < rows.rows) return { series: ids.length, limited: true };
    }
  }
  return { series: ids.length };
}

async function* bucketRows(
  query: Query,
  request: Extract<SummaryRequest, { kind: "buckets" }>,
  ids: readonly SeriesId[],
): RowSource {
  const { snapshot, report, catalog } = query;
  const { range, step, aggregates } = request;
  for (const series of ids) {
    const head = rowHead(catalog, series);
    const rows = await readBuckets(snapshot, { series, range, step }, report);
    yield textsOf(rows.rows, (row) => `${head}${bucketFields(rows, row, aggregates)}}`);
  }
  return { series: ids.length, from: range.from, to: range.to, step };
}

async function* distinctRows(
  query: Query,
  { of, range }: Extract<SummaryRequest, { kind: "distinct" }>,
  ids: readonly SeriesId[],
): RowSource {
  const { snapshot, report, catalog } = query;
  const found = new Set<number>();
  for (const series of ids) {
    const counted = of === "devices" ? catalog.series(series).device : series;
    if (found.has(counted)) continue;
    if (await hasReadings(snapshot, { series, range }, report)) found.add(counted);
  }
  yield [`{"of":"${of}","count":${found.size}}`];
  return { series: ids.length, from: range.from, to: range.to };
}

function textsOf(count: number, textOf: (row: number) => string): readonly string[] {
  return Array.from({ length: count }, (_, row) => textOf(row));
}

// ---- pieces ----

/** The rows in their frame. Whatever comes, the query is the caller's to dispose of. */
async function* pieces(
  query: Query,
  { format, explain, name }: Asked & { readonly name: string },
  rows: RowSource,
): AsyncGenerator<string> {
  const isLines = format === "ndjson";
  let piece = isLines ? "" : `{"${name}":[`;
  let count = 0;
  let facts: Facts;
  try {
    for (;;) {
      const next = await rows.next();
      if (next.done === true) {
        facts = next.value;
        break;
      }
      for (const row of next.value) {
        piece += isLines ? `${row}\n` : `${count === 0 ? "\n" : ",\n"}${row}`;
        count += 1;
      }
      if (piece.length < limits.queryPieceCharacters) continue;
      yield piece;
      piece = "";
    }
  } catch (error) {
    facts = whatEnded(error, query.stopped);
  } finally {
    await rows.return({});
  }
  const end = JSON.stringify(endOf(query, { rows: count, facts, explain }));
  yield isLines ? `${piece}{"end":${end}}\n` : `${piece}\n],"end":${end}}\n`;
}

/** Of what the environment does; a bug is thrown on. */
function whatEnded(error: unknown, reason: StopReason | undefined): Facts {
  if (error instanceof Stopped) {
    const message =
      reason === "deadline"
        ? `this took longer than ${limits.queryMs / 1_000} s: ask for a shorter span, fewer series or longer steps`
        : "the agent is closing";
    return { error: reason ?? "closing", message };
  }
  if (error instanceof Fault) return { error: error.code, message: error.message };
  if (!isEnvironmental(error)) throw error;
  return { error: "DISK_FAILED", message: `tables cannot be read (${error.code}): check the disk` };
}

type End = { readonly rows: number; readonly facts: Facts; readonly explain: boolean };

function endOf({ report, snapshot }: Query, { rows, facts, explain }: End): Facts {
  const { tables, blocks, damaged, damagedRows } = report;
  const coarser = coarserSpans([...report.coarser]);
  const isComplete =
    facts["error"] === undefined &&
    facts["limited"] === undefined &&
    damaged.size === 0 &&
    coarser.length === 0;
  const timeOf = (id: number): Partial<TimeRange> => {
    const table = snapshot.tables.find((listed) => listed.id === id);
    return table === undefined ? {} : { from: table.timeFirst, to: table.timeLast };
  };
  return {
    complete: isComplete,
    rows,
    ...facts,
    ...(coarser.length === 0 ? {} : { coarser }),
    ...(damaged.size === 0
      ? {}
      : {
          damaged: [...damaged].map(([table, reason]) => ({ table, ...timeOf(table), reason })),
          damagedReadings: damagedRows,
        }),
    ...(explain ? { cost: { tables, blocks, rows: report.rows } } : {}),
  };
}

/** Spans of time of which no finer than these resolutions are left; spans of one that touch are one. */
export function coarserSpans(
  tables: readonly ListedTable[],
): readonly { readonly from: number; readonly to: number; readonly finest: number }[] {
  const spans: { from: number; to: number; finest: number }[] = [];
  for (const { timeFirst, timeLast, resolutions } of tables.toSorted(
    (a, b) => a.timeFirst - b.timeFirst,
  )) {
    const finest = resolutions[0] ?? 0;
    const last = spans.at(-1);
    if (last !== undefined && last.finest === finest && timeFirst <= last.to + finest) {
      last.to = Math.max(last.to, timeLast);
    } else spans.push({ from: timeFirst, to: timeLast, finest });
  }
  return spans;
}
