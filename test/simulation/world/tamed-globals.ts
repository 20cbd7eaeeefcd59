/**
 * Time and chance for code that is not ours and takes them from where everyone does: the broker
 * behind the MQTT front, streams, emitters. `tameGlobals` is called once per process, before that
 * code is loaded; from then on timers, `Date.now`, `Math.random` and what the process takes are
 * those of the surroundings that `surround` was last given. Without any they are the real ones.
 *
 * Our own code never gets here: it asks the doors.
 */

import type { Random } from "../../../src/core/doors.ts";

/** What third-party code of one process gets. */
export interface Surroundings {
  /** Milliseconds since 1970. */
  wallClock(): number;
  after(delayMs: number, run: () => void): () => void;
  readonly random: Random;
}

type Task = (...values: unknown[]) => void;

/** What setTimeout and setImmediate give, as far as anyone uses it. */
class Timer {
  readonly #start: () => () => void;
  #cancel: () => void;

  constructor(start: () => () => void) {
    this.#start = start;
    this.#cancel = start();
  }

  refresh(): this {
    this.#cancel();
    this.#cancel = this.#start();
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
  cancel(): void {
    this.#cancel();
  }
}

let current: Surroundings | undefined;
let isTamed = false;

/** Until the next call, third-party code lives in these surroundings; undefined gives back the real ones. */
export function surround(surroundings: Surroundings | undefined): void {
  current = surroundings;
}

export function tameGlobals(): void {
  if (isTamed) return;
  isTamed = true;
  const real = {
    setTimeout: globalThis.setTimeout,
    setInterval: globalThis.setInterval,
    setImmediate: globalThis.setImmediate,
    clearTimeout: globalThis.clearTimeout,
    clearInterval: globalThis.clearInterval,
    clearImmediate: globalThis.clearImmediate,
    now: Date.now,
    random: Math.random,
  };
  const later = (delayMs: number, run: () => void): unknown => {
    const world = current;
    return world === undefined ? undefined : new Timer(() => world.after(delayMs, run));
  };
  const every = (delayMs: number, run: () => void): unknown => {
    const world = current;
    if (world === undefined) return undefined;
    return new Timer(() => {
      let cancel = (): void => {};
      const again = (): void => {
        cancel = world.after(Math.max(1, delayMs), () => {
          again();
          run();
        });
      };
      again();
      return () => cancel();
    });
  };
  const clearing =
    (clear: (timer: never) => void) =>
    (timer: unknown): void => {
      if (timer instanceof Timer) timer.cancel();
      else clear(timer as never);
    };
  Object.assign(globalThis, {
    setTimeout: (run: Task, delayMs = 0, ...values: unknown[]) =>
      later(Number(delayMs), () => run(...values)) ?? real.setTimeout(run, delayMs, ...values),
    setInterval: (run: Task, delayMs = 0, ...values: unknown[]) =>
      every(Number(delayMs), () => run(...values)) ?? real.setInterval(run, delayMs, ...values),
    setImmediate: (run: Task, ...values: unknown[]) =>
      later(0, () => run(...values)) ?? real.setImmediate(run, ...values),
    clearTimeout: clearing(real.clearTimeout),
    clearInterval: clearing(real.clearInterval),
    clearImmediate: clearing(real.clearImmediate),
  });
  // What the process takes in reality is none of the world's business, and costs more than an event.
  const { memoryUsage } = process;
  const cpuUsage = process.cpuUsage.bind(process);
  const nothing = { rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 };
  process.memoryUsage = Object.assign(() => (current === undefined ? memoryUsage() : nothing), {
    rss: () => (current === undefined ? memoryUsage.rss() : 0),
  });
  process.cpuUsage = (since) => (current === undefined ? cpuUsage(since) : { user: 0, system: 0 });
  Date.now = () => current?.wallClock() ?? real.now();
  Math.random = () => (current === undefined ? real.random() : current.random.uint32() / 2 ** 32);
}
