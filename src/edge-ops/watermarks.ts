/**
 * The watermark of each device: the promise that nothing older is still expected from it.
 *
 *   watermark = (newest event time accepted) - disorderMs of its source       never goes back
 *
 * A device that has sent nothing for idleMs of gateway time is idle: it holds no window open until
 * its next accepted reading. Deadlines only move away while a device is active, so the smallest one
 * found by the last scan bounds them all from below and most ticks look at nothing.
 */

import type { DeviceId, Millis } from "../core/units.ts";
import { millis } from "../core/units.ts";
import type { DeviceTimes } from "./device-times.ts";
import type { Origins } from "./origins.ts";
import { StateTable } from "./state-table.ts";

const UNSEEN = 0;
const ACTIVE = 1;
const IDLE = 2;

const WATERMARK = 0;
const SEEN_AT = 1;
const TIMES = 2;

export class DeviceWatermarks implements DeviceTimes {
  readonly table: StateTable;
  readonly #origins: Origins;
  /** By device: WATERMARK, and SEEN_AT, the gateway time of the newest accepted reading. */
  readonly #times: Float64Array;
  readonly #state: Uint8Array;
  /** No active device's deadline is before this. Derived: -Infinity only costs a scan. */
  #deadlineMin = Number.NEGATIVE_INFINITY;
  /** Devices turned idle by the last `expire`, ascending. */
  readonly expired: Uint32Array;

  constructor(origins: Origins, devicesMax: number) {
    this.#origins = origins;
    this.#times = new Float64Array(devicesMax * TIMES);
    this.#state = new Uint8Array(devicesMax);
    this.expired = new Uint32Array(devicesMax);
    this.table = new StateTable({
      name: "devices",
      version: 1,
      rowsMax: devicesMax,
      rowsPerChunk: 256,
      columns: [
        { cells: this.#times, stride: TIMES },
        { cells: this.#state, stride: 1 },
      ],
    });
  }

  isSeen(device: DeviceId | number): boolean {
    return this.#state[device] !== UNSEEN;
  }
  isIdle(device: DeviceId | number): boolean {
    return this.#state[device] === IDLE;
  }
  watermarkOf(device: DeviceId | number): Millis {
    return millis(this.#times[device * TIMES + WATERMARK]!);
  }

  /** Takes the event time of an accepted reading; gives the device's watermark after it. */
  advance(device: number, source: number, time: number, steady: number): number {
    const promised = time - this.#origins.disorderMs[source]!;
    if (this.#state[device] !== ACTIVE) this.#activate(device, source, promised, steady);
    const times = this.#times;
    const cell = device * TIMES;
    times[cell + SEEN_AT] = steady;
    this.table.touch(device);
    const watermark = times[cell + WATERMARK]!;
    if (promised <= watermark) return watermark;
    times[cell + WATERMARK] = promised;
    return promised;
  }

  #activate(device: number, source: number, promised: number, steady: number): void {
    if (this.#state[device] === UNSEEN) this.#times[device * TIMES + WATERMARK] = promised;
    this.#state[device] = ACTIVE;
    this.#deadlineMin = Math.min(this.#deadlineMin, steady + this.#origins.idleMs[source]!);
  }

  /** Turns devices idle whose timeout has passed; the count of them, their ids in `expired`. */
  expire(steady: number): number {
    if (steady < this.#deadlineMin) return 0;
    const { sourceOfDevice, idleMs, deviceCount } = this.#origins;
    let deadlineMin = Number.POSITIVE_INFINITY;
    let count = 0;
    for (let device = 0; device < deviceCount; device++) {
      if (this.#state[device] !== ACTIVE) continue;
      const deadline = this.#times[device * TIMES + SEEN_AT]! + idleMs[sourceOfDevice[device]!]!;
      if (deadline <= steady) {
        this.#state[device] = IDLE;
        this.table.touch(device);
        this.expired[count++] = device;
      } else if (deadline < deadlineMin) {
        deadlineMin = deadline;
      }
    }
    this.#deadlineMin = deadlineMin;
    return count;
  }

  /** No device turns idle before this; Infinity if none is active. Scans when it does not know. */
  idleAt(): number {
    if (this.#deadlineMin === Number.NEGATIVE_INFINITY) {
      // Nothing is due at -Infinity, so this scan only finds the smallest deadline.
      this.expire(Number.NEGATIVE_INFINITY);
    }
    return this.#deadlineMin;
  }

  /** The sources' timeouts or the tables changed: what was derived is forgotten. */
  restore(): void {
    this.#deadlineMin = Number.NEGATIVE_INFINITY;
  }
}
