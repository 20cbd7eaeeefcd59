/** A clock that goes from timer to timer, when it is told to: whoever holds it waits in between. */

import assert from "node:assert/strict";
import type { Clock } from "../../../src/core/doors.ts";
import { type Millis, millis } from "../../../src/core/units.ts";

type Timer = { readonly at: number; readonly run: () => void };

export class SteppedClock implements Clock {
  readonly #startMs: number;
  #elapsedMs = 0;
  readonly #timers: Set<Timer> = new Set();

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  now(): Millis {
    return millis(this.#startMs + this.#elapsedMs);
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, run: () => void): () => void {
    assert(delayMs >= 0, "nobody waits for a moment that is over");
    const timer = { at: this.#elapsedMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  soon(run: () => void): void {
    setImmediate(run);
  }

  /** Runs the next timer that is due by `end` (monotonic ms). False: there is none, and it is `end`. */
  step(end: number): boolean {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.at < next.at) next = timer;
    if (next === undefined || next.at > end) {
      if (end !== Infinity) this.#elapsedMs = end;
      return false;
    }
    this.#timers.delete(next);
    this.#elapsedMs = Math.max(this.#elapsedMs, next.at);
    next.run();
    return true;
  }
}
