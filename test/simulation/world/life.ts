/**
 * One life of the agent's process, and the only way anything of it reaches the world: doors ask at
 * every call, and after the end nothing they are asked has an effect or an answer. The end may come at any
 * call: it is armed as a count of calls, of whichever door.
 */

import type { EndAt } from "../faults.ts";
import { logDirectory, tablesDirectory } from "./gateway-config.ts";
import type { Surroundings } from "./tamed-globals.ts";
import type { Random } from "../../../src/core/doors.ts";
import type { Timeline } from "./timeline.ts";

export type End = "power-cut" | "kill";

/** Which calls count. */
const counts: Readonly<Record<EndAt, (where: string) => boolean>> = {
  "any call": () => true,
  "log write": (where) => where.startsWith(`disk write ${logDirectory}`),
  // A segment that is recycled gets another name.
  "log release": (where) => where.startsWith(`disk rename ${logDirectory}`),
  "table call": (where) => where.startsWith("disk ") && where.includes(tablesDirectory),
};

export class Life implements Surroundings {
  readonly number: number;
  readonly random: Random;
  readonly #timeline: Timeline;
  readonly #wallClock: () => number;
  readonly #onEnd: (how: End, where: string) => void;
  readonly bornAt: number;
  /** Resolves when the process is gone, however it went. */
  readonly over: Promise<void>;
  readonly #signalOver: () => void;
  #isOver = false;
  #armed: { readonly how: End; readonly at: EndAt; calls: number } | undefined;

  constructor(options: {
    readonly number: number;
    readonly timeline: Timeline;
    readonly random: Random;
    readonly wallClock: () => number;
    /** Called within the call at which it ends. */
    readonly onEnd: (how: End, where: string) => void;
  }) {
    this.number = options.number;
    this.random = options.random;
    this.bornAt = options.timeline.now;
    this.#timeline = options.timeline;
    this.#wallClock = options.wallClock;
    this.#onEnd = options.onEnd;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#signalOver = resolve;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  wallClock(): number {
    return this.#wallClock();
  }

  /** The end comes at the `calls`-th of these calls from now. Once in a life. */
  arm(how: End, { calls, at }: { readonly calls: number; readonly at: EndAt }): void {
    this.#armed ??= { how, calls, at };
  }

  /** A door is called. False: the process is gone, and the call with it. */
  call(where: string): boolean {
    if (this.#isOver) return false;
    if (this.#armed === undefined) return true;
    if (!counts[this.#armed.at](where)) return true;
    this.#armed.calls -= 1;
    if (this.#armed.calls >= 0) return true;
    this.end(this.#armed.how, where);
    return false;
  }

  end(how: End, where: string): void {
    if (this.#isOver) return;
    this.finish();
    this.#onEnd(how, where);
  }

  /** It ended in an orderly way. */
  finish(): void {
    this.#isOver = true;
    this.#armed = undefined;
    this.#signalOver();
  }

  /** The end that is armed does not come. */
  disarm(): void {
    this.#armed = undefined;
  }

  /** Runs `run` later, if the process is still there. */
  after(delayMs: number, run: () => void): () => void {
    return this.#timeline.after(delayMs, () => {
      if (!this.#isOver) run();
    });
  }

  /** Resolves later, if the process is still there; else never. */
  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }
}

/** What a call of a process that is gone gets. */
export function never<Value>(): Promise<Value> {
  return new Promise<Value>(() => undefined);
}
