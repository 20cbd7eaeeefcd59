/** A Clock whose time passes only when the test says so; timers run in order of their time. */

import assert from "node:assert/strict";
import type { Clock } from "../../src/core/doors.ts";
import { type Millis, millis } from "../../src/core/units.ts";

type Timer = { readonly at: number; readonly run: () => void };

export class SimulatedClock implements Clock {
  #elapsedMs = 0;
  #startMs: number;
  #timers: Timer[] = [];
  #dead = false;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  now(): Millis {
    return millis(this.#startMs + this.#elapsedMs);
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  /** The wall clock is set: forward, or back where it is negative. */
  step(byMs: number): void {
    this.#startMs += byMs;
  }

  after(delayMs: number, run: () => void): () => void {
    assert(delayMs >= 0, "nobody waits for a moment that is over");
    const timer = { at: this.#elapsedMs + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  soon(run: () => void): void {
    setImmediate(() => {
      if (!this.#dead) run();
    });
  }

  /** Lets time pass, running what is due and waiting for what that starts. */
  async pass(ms: number): Promise<void> {
    const target = this.#elapsedMs + ms;
    for (;;) {
      await turns();
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (this.#dead || next === undefined || next.at > target) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#elapsedMs = Math.max(this.#elapsedMs, next.at);
      next.run();
    }
    this.#elapsedMs = target;
  }

  /** The process that used this clock died: its timers never run. Time goes on for the next one. */
  kill(): SimulatedClock {
    this.#dead = true;
    this.#timers = [];
    return new SimulatedClock(this.now());
  }
}

/** Long enough for every promise and immediate that is under way on simulated doors. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}
