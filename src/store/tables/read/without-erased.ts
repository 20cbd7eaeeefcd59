/** A source without the rows that were erased. */

import type { BlockSource, ReadReport } from "./block-source.ts";
import {
  appendRows,
  createRows,
  type ResolutionMs,
  readings,
  rollupColumns,
  type Rows,
  type TimeRange,
} from "../rows.ts";

const COUNT = rollupColumns.indexOf("count");

export class WithoutErased implements BlockSource {
  readonly #source: BlockSource;
  readonly #resolution: ResolutionMs;
  readonly #erased: readonly TimeRange[];
  readonly #report: ReadReport;
  readonly #kept: Rows;

  /** `erased` is about all rows of the source. */
  constructor(
    source: BlockSource,
    options: {
      readonly resolution: ResolutionMs;
      readonly erased: readonly TimeRange[];
      readonly report: ReadReport;
    },
  ) {
    this.#source = source;
    this.#resolution = options.resolution;
    this.#erased = options.erased;
    this.#report = options.report;
    this.#kept = createRows(options.resolution);
  }

  async next(): Promise<Rows | undefined> {
    for (;;) {
      const block = await this.#source.next();
      if (block === undefined) return undefined;
      if (!this.#erased.some((range) => this.#reaches(range, block))) return block;
      this.#keep(block);
      if (this.#kept.rows > 0) return this.#kept;
    }
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }

  #reaches({ from, to }: TimeRange, { time, rows }: Rows): boolean {
    return time[0]! < to && time[rows - 1]! + this.#resolution >= from;
  }

  #keep(block: Rows): void {
    this.#kept.rows = 0;
    for (let row = 0; row < block.rows; row++) {
      if (this.#isErased(block.time[row]!)) this.#report.erased += this.#readingsIn(block, row);
      else appendRows(this.#kept, block, { from: row, to: row + 1 });
    }
  }

  /** A reading in an erased stretch, or a bucket that reaches into one. */
  #isErased(time: number): boolean {
    const end = time + this.#resolution;
    for (const { from, to } of this.#erased) {
      if (time < to && (this.#resolution === readings ? time >= from : end > from)) return true;
    }
    return false;
  }

  #readingsIn({ columns }: Rows, row: number): number {
    return this.#resolution === readings ? 1 : columns[COUNT]![row]!;
  }
}
