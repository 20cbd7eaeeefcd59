/**
 * The memory table: accepted readings that no table has yet, in the order in which they came. The log
 * has them too, so nothing here is ever written twice, and a crash only fills it again.
 *
 *   slab       65,536 rows in columns: series, time, value, kind, [sequence], previous
 *   newest     by series: its newest row; `previous` leads from there to the older ones
 *
 * Adding a reading writes 25 bytes and allocates nothing but a slab now and then; order is made once,
 * when it is flushed or read. Bounded by its owner, who looks at `rows`.
 *
 * Slabs of a table that is flushed are used again by the next one, as soon as no query looks at them:
 * the collector would let them lie until they are many.
 */

import { assert } from "../../../core/assert.ts";
import { type Batch, KIND_SEQUENCE } from "../../../core/batch.ts";
import { limits } from "../../../core/limits.ts";
import { type Position, type SeriesId, seriesId } from "../../../core/units.ts";
import { isWithin, type Rows, type TimeRange } from "../rows.ts";

const SLAB_BITS = 16;
const SLAB_ROWS = 1 << SLAB_BITS;
const SLAB_MASK = SLAB_ROWS - 1;
const NONE = -1;

type Slab = {
  readonly series: Uint32Array;
  readonly time: Float64Array;
  readonly value: Float64Array;
  readonly kind: Uint8Array;
  /** Rows with KIND_SEQUENCE only; absent where a slab has none. */
  sequence: Float64Array | undefined;
  /** The row of the same series before, NONE before the first. */
  readonly previous: Int32Array;
};

/** Slabs that wait for their next use, those of a full table of `rowsMax` at most. */
export class SpareSlabs {
  readonly #slabsMax: number;
  readonly #slabs: Slab[] = [];

  constructor(rowsMax: number = limits.memoryTableRowsMax) {
    this.#slabsMax = Math.ceil(rowsMax / SLAB_ROWS);
  }

  take(): Slab {
    return this.#slabs.pop() ?? createSlab();
  }

  give(slabs: readonly Slab[]): void {
    const room = this.#slabsMax - this.#slabs.length;
    this.#slabs.push(...slabs.slice(0, Math.max(0, room)));
  }
}

export class MemoryTable {
  /** Readings before this position are not in it: tables have them, or nobody. */
  readonly from: Position;
  readonly #spares: SpareSlabs;
  #slabs: Slab[] = [];
  #holders = 0;
  #isRetired = false;
  /** By series, its newest row; grows. */
  #newest: Int32Array = new Int32Array(1_024).fill(NONE);
  #rows = 0;
  #erased = 0;
  #lost = 0;
  #to: Position | undefined;

  constructor(from: Position, spares: SpareSlabs = new SpareSlabs()) {
    this.from = from;
    this.#spares = spares;
  }

  /** Accepted readings that should be in it, and that the log cannot tell any more. */
  get lost(): number {
    return this.#lost;
  }

  noteLost(readings: number): void {
    this.#lost += readings;
  }

  /** Its rows stay, also when it is retired, until the result is called: once. */
  hold(): () => void {
    this.#holders += 1;
    return () => {
      this.#holders -= 1;
      this.#giveSlabs();
    };
  }

  /** Tables have its rows: who does not hold it does not look at it any more. */
  retire(): void {
    this.#isRetired = true;
    this.#giveSlabs();
  }

  /** Rows that were added, the erased ones among them. */
  get rows(): number {
    return this.#rows;
  }

  /** Rows that were erased. */
  get erased(): number {
    return this.#erased;
  }

  /** Below this position all of it was accepted; undefined while it is filled. */
  get to(): Position | undefined {
    return this.#to;
  }

  /** No more is added, nor erased: it is going to be written. */
  freeze(to: Position): void {
    this.#to = to;
  }

  /** Leaves the rows of the series within the range out from now on. O(its rows). */
  erase(series: SeriesId, range: TimeRange): void {
    assert(this.#to === undefined, "what is being written is not cut");
    let newer = NONE;
    for (let row = this.#newestOf(series); row !== NONE; row = this.#previousOf(row)) {
      if (!isWithin(range, this.timeOf(row))) {
        newer = row;
        continue;
      }
      this.#erased += 1;
      const before = this.#previousOf(row);
      if (newer === NONE) this.#newest[series] = before;
      else this.#slabs[newer >>> SLAB_BITS]!.previous[newer & SLAB_MASK] = before;
    }
  }

  /** Copies the rows of the batch that `chosen[0, count)` names. */
  add(batch: Batch, chosen: Uint32Array, count: number): void {
    for (let i = 0; i < count; i++) this.#addRow(batch, chosen[i]!);
  }

  /** The newest row of the series by event time, into row 0 of `target`; false where it has none. O(its rows). */
  latest(series: SeriesId, target: Rows): boolean {
    let latest = NONE;
    let latestTime = Number.NEGATIVE_INFINITY;
    for (let row = this.#newestOf(series); row !== NONE; row = this.#previousOf(row)) {
      const time = this.timeOf(row);
      if (time > latestTime) [latest, latestTime] = [row, time];
    }
    if (latest === NONE) return false;
    this.copy([latest], target);
    return true;
  }

  /** Row numbers of the series with a time in [from, to), in order, owned by the caller. O(its rows). */
  rowsOf(series: SeriesId, range: TimeRange): Uint32Array {
    let count = 0;
    for (let row = this.#newestOf(series); row !== NONE; row = this.#previousOf(row)) {
      if (isWithin(range, this.timeOf(row))) count += 1;
    }
    const rows = new Uint32Array(count);
    for (let row = this.#newestOf(series); row !== NONE; row = this.#previousOf(row)) {
      if (isWithin(range, this.timeOf(row))) rows[--count] = row;
    }
    return this.#inOrder(rows);
  }

  /** Copies rows into the front of `target`, as many as it has room for; the number copied. */
  copy(rows: ArrayLike<number>, target: Rows): number {
    const count = Math.min(rows.length, target.time.length);
    const value = target.columns[0]!;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      const slab = this.#slabs[row >>> SLAB_BITS]!;
      const at = row & SLAB_MASK;
      target.time[i] = slab.time[at]!;
      target.kind[i] = slab.kind[at]!;
      target.sequence[i] = slab.sequence?.[at] ?? 0;
      value[i] = slab.value[at]!;
    }
    target.rows = count;
    return count;
  }

  timeOf(row: number): number {
    return this.#slabs[row >>> SLAB_BITS]!.time[row & SLAB_MASK]!;
  }

  seriesOf(row: number): SeriesId {
    return seriesId(this.#slabs[row >>> SLAB_BITS]!.series[row & SLAB_MASK]!);
  }

  /** All its series in the order of their ids. */
  series(): Uint32Array {
    const ids: number[] = [];
    for (let id = 0; id < this.#newest.length; id++) if (this.#newest[id] !== NONE) ids.push(id);
    return Uint32Array.from(ids);
  }

  #giveSlabs(): void {
    if (!this.#isRetired || this.#holders > 0) return;
    this.#spares.give(this.#slabs);
    this.#slabs = [];
    this.#newest.fill(NONE);
    this.#rows = 0;
  }

  #addRow(batch: Batch, from: number): void {
    const row = this.#rows;
    const at = row & SLAB_MASK;
    if (at === 0) this.#slabs.push(this.#spares.take());
    const slab = this.#slabs[row >>> SLAB_BITS]!;
    const series = batch.series[from]!;
    const kind = batch.kind[from]!;
    if (series >= this.#newest.length) this.#grow(series);
    slab.series[at] = series;
    slab.time[at] = batch.time[from]!;
    slab.value[at] = batch.value[from]!;
    slab.kind[at] = kind;
    if ((kind & KIND_SEQUENCE) !== 0) {
      slab.sequence ??= new Float64Array(SLAB_ROWS);
      slab.sequence[at] = batch.sequence[from]!;
    } else if (slab.sequence !== undefined) slab.sequence[at] = 0;
    slab.previous[at] = this.#newest[series]!;
    this.#newest[series] = row;
    this.#rows = row + 1;
  }

  #grow(series: number): void {
    const grown = new Int32Array(2 ** Math.ceil(Math.log2(series + 1))).fill(NONE);
    grown.set(this.#newest);
    this.#newest = grown;
  }

  #newestOf(series: SeriesId): number {
    return this.#newest[series] ?? NONE;
  }

  #previousOf(row: number): number {
    return this.#slabs[row >>> SLAB_BITS]!.previous[row & SLAB_MASK]!;
  }

  /** Sorts by time where that is not the order in which they came; row numbers break ties. */
  #inOrder(rows: Uint32Array): Uint32Array {
    for (let i = 1; i < rows.length; i++) {
      if (this.timeOf(rows[i - 1]!) > this.timeOf(rows[i]!)) {
        return rows.sort((a, b) => this.timeOf(a) - this.timeOf(b) || a - b);
      }
    }
    return rows;
  }
}

function createSlab(): Slab {
  return {
    series: new Uint32Array(SLAB_ROWS),
    time: new Float64Array(SLAB_ROWS),
    value: new Float64Array(SLAB_ROWS),
    kind: new Uint8Array(SLAB_ROWS),
    sequence: undefined,
    previous: new Int32Array(SLAB_ROWS),
  };
}
