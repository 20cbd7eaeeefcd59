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

export class DuplicateRing {
  readonly tables: readonly StateTable[];
  readonly size: number;
  readonly #seriesMax: number;
  readonly #heads: StateTable;
  readonly #sequences: StateTable;
  readonly #time: Float64Array;
  readonly #value: Float64Array;
  readonly #kind: Uint8Array;
  readonly #sequence: Float64Array;
  /** Readings written, counted in [0, 2 * size): the slot is the remainder, full from `size` on. */
  readonly #written: Uint32Array;
  readonly #timeMax: Float64Array;
  readonly #sequenceMax: Float64Array;

  constructor(options: { readonly seriesMax: number; readonly size: number }) {
    const { seriesMax, size } = options;
    this.size = size;
    this.#seriesMax = seriesMax;
    this.#time = new Float64Array(seriesMax * size);
    this.#value = new Float64Array(seriesMax * size);
    this.#kind = new Uint8Array(seriesMax * size);
    this.#sequence = new Float64Array(seriesMax * size);
    this.#written = new Uint32Array(seriesMax);
    this.#timeMax = new Float64Array(seriesMax);
    this.#sequenceMax = new Float64Array(seriesMax);
    const shape = { version: 1, rowsMax: seriesMax, rowsPerChunk: ROWS_PER_CHUNK };
    this.#heads = new StateTable({
      ...shape,
      name: `ring-${size}`,
      columns: [
        { cells: this.#time, stride: size },
        { cells: this.#value, stride: size },
        { cells: this.#kind, stride: size },
        { cells: this.#written, stride: 1 },
        { cells: this.#timeMax, stride: 1 },
        { cells: this.#sequenceMax, stride: 1 },
      ],
    });
    this.#sequences = new StateTable({
      ...shape,
      name: `ring-${size}-sequence`,
      columns: [{ cells: this.#sequence, stride: size }],
    });
    this.tables = [this.#heads, this.#sequences];
  }

  /** Looks row `row` up and, unless it is a duplicate, remembers it. O(1) in order, else O(size). */
  take(batch: Batch, row: number): number {
    const series = batch.series[row]!;
    const kind = batch.kind[row]!;
    if ((kind & KIND_ARRIVAL_TIME) !== 0 && (kind & KIND_SEQUENCE) === 0) return FRESH;
    const written = this.#written[series]!;
    let verdict = FRESH;
    if (written !== 0 && this.#maybeKnown(batch, row)) {
      verdict = this.#search(batch, row);
      if (verdict === DUPLICATE) return DUPLICATE;
    }
    this.#remember(batch, row, written);
    return verdict;
  }

  #maybeKnown(batch: Batch, row: number): boolean {
    const series = batch.series[row]!;
    return (batch.kind[row]! & KIND_ARRIVAL_TIME) === 0
      ? batch.time[row]! <= this.#timeMax[series]!
      : batch.sequence[row]! <= this.#sequenceMax[series]!;
  }

  #search(batch: Batch, row: number): number {
    const series = batch.series[row]!;
    const time = batch.time[row]!;
    const value = batch.value[row]!;
    const kind = batch.kind[row]!;
    const hasTime = (kind & KIND_ARRIVAL_TIME) === 0;
    const hasSequence = (kind & KIND_SEQUENCE) !== 0;
    const from = series * this.size;
    const to = from + Math.min(this.#written[series]!, this.size);
    let verdict = FRESH;
    for (let slot = from; slot < to; slot++) {
      if (hasTime && this.#time[slot] !== time) continue;
      const sameValue = isSame(this.#value[slot]!, value) && this.#kind[slot] === kind;
      if (hasSequence && this.#sequence[slot] !== batch.sequence[row]) {
        if (hasTime && !sameValue) verdict = CONFLICT;
        continue;
      }
      if (sameValue) return DUPLICATE;
      if (hasTime && (this.#kind[slot]! & KIND_ARRIVAL_TIME) === 0) verdict = CONFLICT;
    }
    return verdict;
  }

  #remember(batch: Batch, row: number, written: number): void {
    const series = batch.series[row]!;
    const time = batch.time[row]!;
    const kind = batch.kind[row]!;
    const slot = series * this.size + (written < this.size ? written : written - this.size);
    this.#time[slot] = time;
    this.#value[slot] = batch.value[row]!;
    this.#kind[slot] = kind;
    if (written === 0 || time > this.#timeMax[series]!) this.#timeMax[series] = time;
    if ((kind & KIND_SEQUENCE) !== 0) {
      const sequence = batch.sequence[row]!;
      this.#sequence[slot] = sequence;
      if (sequence > this.#sequenceMax[series]! || written === 0) {
        this.#sequenceMax[series] = sequence;
      }
      this.#sequences.touch(series);
    }
    this.#written[series] = written + 1 === 2 * this.size ? this.size : written + 1;
    this.#heads.touch(series);
  }

  /** Takes over the newest readings of a ring of another size or capacity. */
  adopt(other: DuplicateRing): void {
    const seriesCount = Math.min(this.#seriesMax, other.#seriesMax);
    for (let series = 0; series < seriesCount; series++) {
      const written = other.#written[series]!;
      if (written === 0) continue;
      const kept = Math.min(written, other.size, this.size);
      for (let i = 0; i < kept; i++) {
        const from = series * other.size + ((written - kept + i) % other.size);
        const to = series * this.size + i;
        this.#time[to] = other.#time[from]!;
        this.#value[to] = other.#value[from]!;
        this.#kind[to] = other.#kind[from]!;
        this.#sequence[to] = other.#sequence[from]!;
      }
      this.#written[series] = kept;
      this.#timeMax[series] = other.#timeMax[series]!;
      this.#sequenceMax[series] = other.#sequenceMax[series]!;
      this.#heads.touch(series);
      this.#sequences.touch(series);
    }
  }
}

/** Equal values; NaN is equal to itself. */
function isSame(a: number, b: number): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}
