/**
 * Rows of an answer as JSON, one flat object each, documented in docs/queries.md. Numbers are those
 * of summaries (docs/format/records.md): the shortest decimal that reads back as the same double, and
 * "NaN", "Infinity", "-Infinity" for what JSON has no number for.
 */

import { KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL } from "../../core/batch.ts";
import type { Catalog } from "../../core/catalog.ts";
import { type SeriesId, symbolId } from "../../core/units.ts";
import { jsonNumber } from "../../store/outbox/record-text.ts";
import { meanOf, varianceOf } from "../../store/tables/rollup.ts";
import { rollupColumns, type Rows } from "../../store/tables/rows.ts";
import type { Aggregate } from "./requests.ts";

/** What rows of a series begin with: `{"source":"plant","series":"temperature{device=p1}"`, not closed. */
export function rowHead(catalog: Catalog, series: SeriesId): string {
  const { device } = catalog.series(series);
  const source = catalog.source(catalog.device(device).source);
  return `{"source":${JSON.stringify(source)},"series":${JSON.stringify(catalog.seriesName(series))}`;
}

/** The fields of a reading, each with a comma before it. */
export function readingFields(catalog: Catalog, rows: Rows, row: number): string {
  const kind = rows.kind[row]!;
  const value = rows.columns[0]![row]!;
  const valueText = (kind & KIND_SYMBOL) === 0 ? jsonNumber(value) : symbolText(catalog, value);
  const sequence =
    (kind & KIND_SEQUENCE) === 0 ? "" : `,"sequence":${jsonNumber(rows.sequence[row]!)}`;
  const arrival = (kind & KIND_ARRIVAL_TIME) === 0 ? "" : ',"arrivalTimed":true';
  return `,"time":${jsonNumber(rows.time[row]!)},"value":${valueText}${sequence}${arrival}`;
}

/** The fields of a bucket; what only numbers have is left out where there are none. */
export function bucketFields(rows: Rows, row: number, chosen: readonly Aggregate[]): string {
  let fields = `,"start":${jsonNumber(rows.time[row]!)}`;
  const isEmpty = rows.columns[NUMBERS]![row] === 0;
  for (const aggregate of chosen) {
    const isCount = aggregate === "count" || aggregate === "numbers";
    if (isEmpty && !isCount) continue;
    fields += `,"${aggregate}":${jsonNumber(aggregateOf(rows, row, aggregate))}`;
  }
  return fields;
}

const NUMBERS = rollupColumns.indexOf("numbers");
const SUM = rollupColumns.indexOf("sum");
const SUM_ERROR = rollupColumns.indexOf("sumError");

function aggregateOf(rows: Rows, row: number, aggregate: Aggregate): number {
  if (aggregate === "mean") return meanOf(rows, row) ?? Number.NaN;
  if (aggregate === "variance") return varianceOf(rows, row) ?? Number.NaN;
  const { columns } = rows;
  if (aggregate === "sum") return columns[SUM]![row]! + columns[SUM_ERROR]![row]!;
  return columns[rollupColumns.indexOf(aggregate)]![row]!;
}

function symbolText(catalog: Catalog, id: number): string {
  return JSON.stringify(symbolName(catalog, id));
}

/** Symbols whose names were lost with a damaged log are told by their number. */
export function symbolName(catalog: Catalog, id: number): string {
  const isKnown = Number.isInteger(id) && id >= 0 && id < catalog.symbolCount;
  return isKnown ? catalog.symbol(symbolId(id)) : `symbol ${id}`;
}
