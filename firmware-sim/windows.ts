/**
 * What a receiver must have got of the devices that can be held to it (with a clock and QoS 1): each
 * reading that was acknowledged once, whatever was sent again, added up by device, metric and a
 * window of the time that the device stamped.
 *
 *   sent ──▶ pending ──▶ acknowledged: count, sum, min, max of its window
 *
 * A reading is told by the object that stands for it, which its copies share. Memory: a record for
 * each window, and the readings that are under way; those acknowledged are remembered weakly.
 */
import type { Message, ReadingTruth } from "./event.ts";

export type WindowLine = {
  readonly line: "window";
  readonly device: string;
  readonly metric: string;
  /** Unix milliseconds; windows are half open and aligned to 0. */
  readonly start: number;
  /** Acknowledged readings; `sum`, `min` and `max` are of these, and absent where these are no numbers. */
  readonly count: number;
  readonly sum?: number;
  readonly min?: number;
  readonly max?: number;
  /** Sent, and not acknowledged in the end: a receiver may have them. */
  readonly pending: number;
  /** The longest time from the stamp of a reading to its acknowledgement, in milliseconds. */
  readonly ageMs: number;
};

type Window = {
  readonly device: string;
  readonly metric: string;
  readonly start: number;
  count: number;
  sum: number;
  min: number;
  max: number;
  isOther: boolean;
  pending: number;
  ageMs: number;
};

export class Windows {
  readonly #windowMs: number;
  readonly #now: () => number;
  readonly #windows = new Map<string, Window>();
  readonly #pending = new Set<ReadingTruth>();
  readonly #acknowledged = new WeakSet<ReadingTruth>();

  /** `now`: Unix milliseconds, on the clock of the devices. */
  constructor({ windowMs, now }: { readonly windowMs: number; readonly now: () => number }) {
    this.#windowMs = windowMs;
    this.#now = now;
  }

  sent(device: string, { qos, truth }: Message): void {
    if (qos !== 1) return;
    for (const reading of truth.values) {
      if (reading.ts === undefined) return;
      if (this.#acknowledged.has(reading) || this.#pending.has(reading)) continue;
      this.#pending.add(reading);
      this.#at(device, reading.metric, reading.ts).pending += 1;
    }
  }

  acked(device: string, { truth }: Message): void {
    for (const reading of truth.values) {
      if (!this.#pending.delete(reading) || reading.ts === undefined) continue;
      this.#acknowledged.add(reading);
      const window = this.#at(device, reading.metric, reading.ts);
      window.pending -= 1;
      window.ageMs = Math.max(window.ageMs, this.#now() - reading.ts);
      add(window, reading.value);
    }
  }

  *lines(): Generator<WindowLine> {
    for (const {
      isOther,
      sum,
      min,
      max,
      count,
      pending,
      ageMs,
      ...key
    } of this.#windows.values()) {
      const numbers = isOther || count === 0 ? {} : { sum, min, max };
      yield { line: "window", ...key, count, ...numbers, pending, ageMs };
    }
  }

  #at(device: string, metric: string, ts: number): Window {
    const start = Math.floor(ts / this.#windowMs) * this.#windowMs;
    const name = `${device}/${metric}/${start}`;
    const known = this.#windows.get(name);
    if (known !== undefined) return known;
    const numbers = { count: 0, sum: 0, min: Infinity, max: -Infinity, isOther: false };
    const fresh = { device, metric, start, ...numbers, pending: 0, ageMs: 0 };
    this.#windows.set(name, fresh);
    return fresh;
  }
}

function add(window: Window, value: ReadingTruth["value"]): void {
  window.count += 1;
  if (typeof value !== "number") {
    window.isOther = true;
    return;
  }
  window.sum += value;
  window.min = Math.min(window.min, value);
  window.max = Math.max(window.max, value);
}
