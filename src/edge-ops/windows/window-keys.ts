/**
 * What panes and sessions share: the keys of a window pipeline, how far each has closed, and the
 * corrections that wait. It runs per new series, crossing, tick and correction, never per reading:
 *
 *   a series begins, a device crosses or goes idle --> close(key, through)
 *   a correction is due, or must make room         --> correct(key, tag, deadline)
 *
 * The operator keeps the loop over the readings: shared through a callback, it would be called for
 * each of them.
 */

import { limits } from "../../core/limits.ts";
import type { DeviceId, Millis } from "../../core/units.ts";
import { KeyWatermarks } from "../key-watermark.ts";
import type { Emitter } from "../operator.ts";
import type { OperatorOptions } from "../operator-options.ts";
import { cellTable, type StateTable } from "../state-table.ts";
import { CorrectionQueue } from "./correction-queue.ts";

export type WindowKeysOptions = {
  /** What the watermarks of keys are cut down to; buckets count in it. */
  readonly bucketMs: number;
  /** Closes what ends by bucket `through`; Infinity closes all that holds a reading. */
  readonly close: (key: number, through: number, emitter: Emitter) => void;
  /** A correction has waited: the window may be marked still, or be gone. */
  readonly correct: (correction: Correction, emitter: Emitter) => void;
};

/** The key, the window's tag and the deadline as `gather` took and gave them. */
export type Correction = { readonly key: number; readonly tag: number; readonly deadline: number };

export class WindowKeys {
  readonly watermarks: KeyWatermarks;
  /** 1 for a key that has windows. The owner sets and keeps it, and `closedThrough`, on disk. */
  readonly started: Uint8Array;
  /** How far a started key has closed, in buckets. */
  readonly closedThrough: Float64Array;
  readonly clockTable: StateTable;
  readonly correctionTables: readonly StateTable[];
  readonly #clock = new Float64Array(1);
  readonly #corrections: CorrectionQueue;
  readonly #operator: OperatorOptions<unknown>;
  readonly #options: WindowKeysOptions;

  constructor(operator: OperatorOptions<unknown>, options: WindowKeysOptions) {
    const { pipeline, capacity } = operator;
    this.#operator = operator;
    this.#options = options;
    this.watermarks = new KeyWatermarks(capacity, options.bucketMs);
    this.started = new Uint8Array(capacity.keysMax);
    this.closedThrough = new Float64Array(capacity.keysMax);
    this.#corrections = new CorrectionQueue(pipeline, limits.correctionsMax);
    this.correctionTables = this.#corrections.tables;
    this.clockTable = cellTable(`${pipeline}/clock`, this.#clock);
  }

  /** How far the key has closed, in buckets; before it has windows, how far it is. */
  closedOf(key: number): number {
    return this.started[key] === 1 ? this.closedThrough[key]! : this.watermarks.bucketOf(key);
  }

  /** The first row of a series: its device becomes a member of its key. The key, FILTERED or REFUSED. */
  introduce(series: number, device: number, emitter: Emitter): number {
    const key = this.#operator.keys.keyOf(series);
    if (key < 0) return key;
    this.watermarks.join(device, key);
    // Where all other members are idle, the key is where the device is.
    this.#close(key, this.watermarks.bucketOf(key), emitter);
    return key;
  }

  /** Closes what the last `move` of `watermarks` lets close. */
  closeMoved(emitter: Emitter): void {
    const { moved, movedCount } = this.watermarks;
    for (let i = 0; i < movedCount; i++) {
      const key = moved[i]!;
      this.#close(key, this.watermarks.bucketOf(key), emitter);
    }
  }

  /** Has the window corrected after limits.correctionWaitMs, at the deadline it gives. */
  gather(key: number, tag: number, emitter: Emitter): number {
    if (this.#corrections.isFull) this.#correctHead(emitter);
    const deadline = this.#clock[0]! + limits.correctionWaitMs;
    this.#corrections.push(key, tag, deadline);
    return deadline;
  }

  tick(clock: Millis, emitter: Emitter): void {
    this.#clock[0] = clock;
    this.clockTable.touch(0);
    while (this.#corrections.deadline <= clock) this.#correctHead(emitter);
  }

  deviceIdle(device: DeviceId, emitter: Emitter): void {
    this.watermarks.leave(device);
    this.closeMoved(emitter);
  }

  wakeAt(): number {
    return this.#corrections.deadline;
  }

  drain(emitter: Emitter): void {
    while (this.#corrections.length > 0) this.#correctHead(emitter);
    for (let key = 0; key < this.#operator.keys.keyCount; key++) {
      this.#close(key, Number.POSITIVE_INFINITY, emitter);
    }
  }

  restore(): void {
    const { catalog, keys, devices } = this.#operator;
    this.watermarks.restore(catalog, keys, devices);
  }

  #close(key: number, through: number, emitter: Emitter): void {
    if (this.started[key] === 1) this.#options.close(key, through, emitter);
  }

  #correctHead(emitter: Emitter): void {
    const { headKey: key, headTag: tag, deadline } = this.#corrections;
    this.#corrections.drop();
    this.#options.correct({ key, tag, deadline }, emitter);
  }
}
