/**
 * The readings that a request asks for, from its cursor on, cut into what fits into a record each.
 *
 *   series a  [········|········|···]   series b  [········|··]
 *             cut at so many readings, or characters of their text
 *
 * Where a cut falls between readings of equal time, the cursor counts those before it: such stand in the
 * order in which they were accepted, and later ones behind them.
 */

import { KIND_ARRIVAL_TIME, KIND_SYMBOL } from "../../core/batch.ts";
import type { Catalog } from "../../core/catalog.ts";
import { limits } from "../../core/limits.ts";
import { type Millis, millis, type SeriesId } from "../../core/units.ts";
import { readReadings } from "../../store/tables/read/table-query.ts";
import type { Rows, TimeRange } from "../../store/tables/rows.ts";
import type { Query } from "../query/queries.ts";
import { symbolName } from "../query/row-text.ts";
import type { RawCursor } from "./raw-request.ts";

export type RawChunk = {
  readonly series: SeriesId;
  readonly times: readonly Millis[];
  readonly values: readonly (number | string)[];
  readonly arrivalTimed: readonly number[];
  /** Behind it. */
  readonly cursor: RawCursor;
};

/** Chunks of the series `ids`, ascending, each with at least one reading. */
export async function* rawChunks(
  query: Query,
  {
    ids,
    range,
    cursor,
  }: {
    readonly ids: readonly SeriesId[];
    readonly range: TimeRange;
    readonly cursor: RawCursor | undefined;
  },
): AsyncGenerator<RawChunk> {
  for (const series of ids) {
    if (cursor !== undefined && series < cursor.series) continue;
    const begin = cursor?.series === series ? cursor : { series, time: range.from, skip: 0 };
    yield* chunksOf(query, series, { from: begin, to: range.to });
  }
}

async function* chunksOf(
  { snapshot, report, catalog }: Query,
  series: SeriesId,
  { from, to }: { readonly from: RawCursor; readonly to: number },
): AsyncGenerator<RawChunk> {
  const range = { from: from.time, to };
  const chunk = new OpenChunk(catalog, series, from);
  for await (const rows of readReadings(snapshot, { series, range }, report)) {
    for (let row = 0; row < rows.rows; row++) {
      if (!chunk.take(rows, row)) continue;
      yield chunk.cut();
    }
  }
  if (!chunk.isEmpty) yield chunk.cut();
}

class OpenChunk {
  readonly #catalog: Catalog;
  readonly #series: SeriesId;
  /** Readings at the time of the last one that were taken, this chunk's and those before it. */
  #time: number;
  #atTime = 0;
  #left: number;
  #times: Millis[] = [];
  #values: (number | string)[] = [];
  #arrivalTimed: number[] = [];
  #chars = 0;

  constructor(catalog: Catalog, series: SeriesId, { time, skip }: RawCursor) {
    this.#catalog = catalog;
    this.#series = series;
    this.#time = time;
    this.#left = skip;
  }

  get isEmpty(): boolean {
    return this.#times.length === 0;
  }

  /** Whether it is full. */
  take(rows: Rows, row: number): boolean {
    const time = rows.time[row]!;
    if (time !== this.#time) {
      this.#time = time;
      this.#atTime = 0;
      this.#left = 0;
    }
    this.#atTime += 1;
    if (this.#left > 0) {
      this.#left -= 1;
      return false;
    }
    const kind = rows.kind[row]!;
    const number = rows.columns[0]![row]!;
    const value = (kind & KIND_SYMBOL) === 0 ? number : symbolName(this.#catalog, number);
    if ((kind & KIND_ARRIVAL_TIME) !== 0) this.#arrivalTimed.push(this.#times.length);
    this.#times.push(millis(time));
    this.#values.push(value);
    this.#chars += `${time}${value}`.length + 4;
    const isFull = this.#times.length >= limits.rawRecordReadingsMax;
    return isFull || this.#chars >= limits.rawRecordCharsMax;
  }

  cut(): RawChunk {
    const chunk: RawChunk = {
      series: this.#series,
      times: this.#times,
      values: this.#values,
      arrivalTimed: this.#arrivalTimed,
      cursor: { series: this.#series, time: this.#time, skip: this.#atTime },
    };
    this.#times = [];
    this.#values = [];
    this.#arrivalTimed = [];
    this.#chars = 0;
    return chunk;
  }
}
