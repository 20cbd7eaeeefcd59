/**
 * Newest event time of each series in the main tables of a partition: what comes with an older one
 * is late, and goes into a table of its own. Remembered of a few partitions, as this process flushed
 * them. Of tables that were there before, the newest time of the whole table is taken: that calls
 * more readings late than need be, and costs them only a merge.
 */

import { limits } from "../../../core/limits.ts";
import type { SeriesId } from "../../../core/units.ts";
import type { ListedTable } from "../listing/table-list.ts";

const NEVER = Number.NEGATIVE_INFINITY;

type Times = {
  /** Of tables that were there before. */
  readonly base: number;
  /** By series; NEVER where nothing was flushed. */
  newest: Float64Array;
};

export class FlushedTimes {
  /** By partition, in the order of their last flush. */
  readonly #times = new Map<number, Times>();
  /** Of the flush that is under way. */
  #noted: { readonly partition: number; readonly series: SeriesId; readonly time: number }[] = [];

  /** -Infinity where main tables have nothing of it. */
  through(partition: number, series: SeriesId, tables: readonly ListedTable[]): number {
    const { base, newest } = this.#of(partition, tables);
    return Math.max(base, newest[series] ?? NEVER);
  }

  /** A flush begins; what the last one noted counts only if it was settled. */
  begin(): void {
    this.#noted = [];
  }

  /** Main tables will have the series up to `time`, once the flush is durable. */
  note(partition: number, series: SeriesId, time: number): void {
    this.#noted.push({ partition, series, time });
  }

  /** The flush is durable. */
  settle(tables: readonly ListedTable[]): void {
    for (const { partition, series, time } of this.#noted) {
      const times = this.#of(partition, tables);
      if (series >= times.newest.length) times.newest = grown(times.newest, series);
      times.newest[series] = Math.max(times.newest[series]!, time);
    }
    this.#noted = [];
  }

  #of(partition: number, tables: readonly ListedTable[]): Times {
    const known = this.#times.get(partition);
    const times = known ?? { base: newestOf(partition, tables), newest: new Float64Array(0) };
    this.#times.delete(partition);
    this.#times.set(partition, times);
    if (this.#times.size > limits.flushPartitionsMax) {
      for (const longestUnused of this.#times.keys()) {
        this.#times.delete(longestUnused);
        break;
      }
    }
    return times;
  }
}

function newestOf(partition: number, tables: readonly ListedTable[]): number {
  let newest = NEVER;
  for (const table of tables) {
    if (table.partition === partition && table.run === "main") {
      newest = Math.max(newest, table.timeLast);
    }
  }
  return newest;
}

function grown(times: Float64Array, series: number): Float64Array {
  const larger = new Float64Array(2 ** Math.ceil(Math.log2(series + 1))).fill(NEVER);
  larger.set(times);
  return larger;
}
