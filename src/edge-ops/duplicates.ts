/**
 * Recognises resent readings: a ring of the last readings of each series, compared exactly.
 *
 *   reading has          the same reading is                    found by
 *   device time          same time and value                    only if not newer than the newest seen
 *   time and sequence    same sequence, time and value          the same
 *   sequence only        same sequence and value                only if not above the highest seen
 *   neither              never recognised                       -
 *
 * Another sequence at the same time is another reading, and so is the same sequence at another time:
 * a device that restarts counts from 0 again and must not lose readings. With a sequence only, a
 * restart within the ring whose values repeat cannot be told from a resend. The same device time
 * with another value is kept and reported as a conflict.
 *
 * A row of the table holds one series: its ring, then its heads. Sequences stand in a table of their
 * own, which costs nothing where no device sends them.
 */

import { type Batch, KIND_ARRIVAL_TIME, KIND_SEQUENCE } from "../core/batch.ts";
import { StateTable } from "./state-table.ts";

/** What `take` says of a reading. */
export const FRESH = 0;
export const DUPLICATE = 1;
/** Fresh, but another value of the same series stands at the same time. */
export const CONFLICT = 2;

/** A row is about 17 bytes per reading of the ring: small chunks keep a quiet series' neighbours clean. */
const ROWS_PER_CHUNK = 16;

/** Up to one in so many readings of a full ring may be older than one that it is too short for: late ones. */
const STRAGGLERS = 4;

/** Heads of a series. */
const WRITTEN = 0; // readings written, in [0, 2 * size): the slot is the remainder, full from `size` on
const TIME_MAX = 1;
const SEQUENCE_MAX = 2;
const HEADS = 3;

export class DuplicateRing {
  readonly tables: readonly StateTable[];
  readonly size: number;
  readonly #seriesMax: number;
  readonly #main: StateTable;
  readonly #sequences: StateTable;
  /** Time and value of each slot, side by side: a reading in order touches one cache line. */
  readonly #pairs: Float64Array;
  readonly #kind: Uint8Array;
  readonly #sequence: Float64Array;
  readonly #heads: Float64Array;

  constructor(options: { readonly seriesMax: number; readonly size: number }) {
    const { seriesMax, size } = options;
    this.size = size;
    this.#seriesMax = seriesMax;
    this.#pairs = new Float64Array(seriesMax * size * 2);
    this.#kind = new Uint8Array(seriesMax * size);
    this.#sequence = new Float64Array(seriesMax * size);
    this.#heads = new Float64Array(seriesMax * HEADS);
    const shape = { version: 1, rowsMax: seriesMax, rowsPerChunk: ROWS_PER_CHUNK };
    this.#main = new StateTable({
      ...shape,
      name: `ring-${size}`,
      columns: [
        { cells: this.#pairs, stride: size * 2 },
        { cells: this.#kind, stride: size },
        { cells: this.#heads, stride: HEADS },
      ],
    });
    this.#sequences = new StateTable({
      ...shape,
      name: `ring-${size}-sequence`,
      columns: [{ cells: this.#sequence, stride: size }],
    });
    this.tables = [this.#main, this.#sequences];
  }

  /** Looks row `row` up and, unless it is a duplicate, remembers it. O(1) in order, else O(size). */
  take(batch: Batch, row: number): number {
    const series = batch.series[row]!;
    const kind = batch.kind[row]!;
    if ((kind & KIND_ARRIVAL_TIME) !== 0 && (kind & KIND_SEQUENCE) === 0) return FRESH;
    const heads = this.#heads;
    const head = series * HEADS;
    const written = heads[head + WRITTEN]!;
    const time = batch.time[row]!;
    let verdict = FRESH;
    if (written !== 0) {
      const maybeKnown =
        (kind & KIND_ARRIVAL_TIME) === 0
          ? time <= heads[head + TIME_MAX]!
          : batch.sequence[row]! <= heads[head + SEQUENCE_MAX]!;
      if (maybeKnown) verdict = this.#search(batch, row, Math.min(written, this.size));
      if (verdict === DUPLICATE) return DUPLICATE;
    }
    const slot = series * this.size + (written < this.size ? written : written - this.size);
    this.#pairs[2 * slot] = time;
    this.#pairs[2 * slot + 1] = batch.value[row]!;
    this.#kind[slot] = kind;
    heads[head + WRITTEN] = written + 1 === 2 * this.size ? this.size : written + 1;
    if (written === 0 || time > heads[head + TIME_MAX]!) heads[head + TIME_MAX] = time;
    if ((kind & KIND_SEQUENCE) !== 0) this.#rememberSequence(series, slot, batch.sequence[row]!);
    this.#main.touch(series);
    return verdict;
  }

  /** The series has sent nothing yet. */
  forget(series: number): void {
    for (const table of this.tables) table.clear(series);
  }

  /**
   * Numbers of the rows that this ring is too short to tell of: with a device time before most of what it
   * remembers of their series, as it is before the batch. Their count. O(rows), O(size) for rows out of order.
   */
  olderRows(batch: Batch, older: Uint32Array): number {
    const heads = this.#heads;
    const { series, time, kind, rows } = batch;
    // Series that are defined by the frame of the batch may be beyond the table: they have no head yet.
    const seriesMax = this.#seriesMax;
    let count = 0;
    for (let row = 0; row < rows; row++) {
      const one = series[row]!;
      if (one >= seriesMax) continue;
      const head = one * HEADS;
      if (time[row]! >= heads[head + TIME_MAX]!) continue;
      if (heads[head + WRITTEN]! < this.size || (kind[row]! & KIND_ARRIVAL_TIME) !== 0) continue;
      if (this.#isOlder(batch, row)) older[count++] = row;
    }
    return count;
  }

  /** The ring does not hold it, nor much that is as old: it may have been there and be gone. */
  #isOlder(batch: Batch, row: number): boolean {
    const time = batch.time[row]!;
    const from = batch.series[row]! * this.size;
    let before = 0;
    for (let slot = from; slot < from + this.size; slot++) {
      if (this.#pairs[2 * slot]! > time) continue;
      before += 1;
      if (before * STRAGGLERS > this.size) return false;
    }
    return this.#search(batch, row, this.size) !== DUPLICATE;
  }

  #search(batch: Batch, row: number, filled: number): number {
    const time = batch.time[row]!;
    const value = batch.value[row]!;
    const kind = batch.kind[row]!;
    const hasTime = (kind & KIND_ARRIVAL_TIME) === 0;
    const hasSequence = (kind & KIND_SEQUENCE) !== 0;
    const from = batch.series[row]! * this.size;
    let verdict = FRESH;
    for (let slot = from; slot < from + filled; slot++) {
      if (hasTime && this.#pairs[2 * slot] !== time) continue;
      const isSame = isSameValue(this.#pairs[2 * slot + 1]!, value) && this.#kind[slot] === kind;
      const isOther = hasSequence && this.#sequence[slot] !== batch.sequence[row];
      if (isSame && !isOther) return DUPLICATE;
      if (!isSame && hasTime && (this.#kind[slot]! & KIND_ARRIVAL_TIME) === 0) verdict = CONFLICT;
    }
    return verdict;
  }

  #rememberSequence(series: number, slot: number, sequence: number): void {
    const head = series * HEADS + SEQUENCE_MAX;
    this.#sequence[slot] = sequence;
    // It starts at 0: above the highest seen it only costs a search.
    if (sequence > this.#heads[head]!) this.#heads[head] = sequence;
    this.#sequences.touch(series);
  }

  /** Takes over the newest readings of a ring of another size or capacity. */
  adopt(other: DuplicateRing): void {
    const seriesCount = Math.min(this.#seriesMax, other.#seriesMax);
    for (let series = 0; series < seriesCount; series++) {
      const head = series * HEADS;
      const written = other.#heads[head + WRITTEN]!;
      if (written === 0) continue;
      const kept = Math.min(written, other.size, this.size);
      for (let i = 0; i < kept; i++) {
        const from = series * other.size + ((written - kept + i) % other.size);
        const to = series * this.size + i;
        this.#pairs[2 * to] = other.#pairs[2 * from]!;
        this.#pairs[2 * to + 1] = other.#pairs[2 * from + 1]!;
        this.#kind[to] = other.#kind[from]!;
        this.#sequence[to] = other.#sequence[from]!;
      }
      this.#heads[head + WRITTEN] = kept;
      this.#heads[head + TIME_MAX] = other.#heads[head + TIME_MAX]!;
      this.#heads[head + SEQUENCE_MAX] = other.#heads[head + SEQUENCE_MAX]!;
      this.#main.touch(series);
      this.#sequences.touch(series);
    }
  }
}

/** Equal values; NaN is equal to itself. */
function isSameValue(a: number, b: number): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}
