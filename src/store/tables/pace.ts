/**
 * The pace of work beside the loop: flushing and compaction run on the same thread, so they stop
 * every few milliseconds and let what arrived meanwhile go first. Where somebody waits for the disk it
 * goes first as a whole: its calls are carried out by other threads, which want a processor, too.
 */

import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";

/** The work was told to stop: nobody waits for it. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

export class Pace {
  readonly #clock: Clock;
  #since: number;
  #stopped = false;
  #wake: (() => void) | undefined;
  #first: Promise<unknown> | undefined;
  /** Of whoever waits for its end. */
  #goOn: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.monotonic();
  }

  /** From now on whoever breathes throws Stopped, and nobody rests. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /** Whoever breathes waits for the end of `work`, limits.giveWayMsMax at most each time. */
  giveWayTo(work: Promise<unknown>): void {
    this.#first = work;
    const over = (): void => {
      if (this.#first !== work) return;
      this.#first = undefined;
      this.#goOn?.();
    };
    void work.then(over, over);
  }

  /** Over early when it is stopped. One at a time. */
  async rest(delayMs: number): Promise<void> {
    if (this.#stopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(delayMs, resolve);
    this.#wake = resolve;
    await promise;
    cancel();
    this.#wake = undefined;
  }

  /**
   * Call between small steps: resolves at once, or when others had their turn, and the time that is
   * not its share (1 is all of it; a step that took long counts as limits.giveWayMsMax). Throws Stopped.
   */
  async breathe(shareOf: () => number = () => 1): Promise<void> {
    if (this.#stopped) throw new Stopped("the store is closing");
    const tookMs = this.#clock.monotonic() - this.#since;
    if (tookMs < limits.workStepMs) return;
    await new Promise<void>((resolve) => this.#clock.soon(resolve));
    if (this.#first !== undefined) await this.#waitForFirst();
    const share = shareOf();
    if (share < 1) await this.rest(Math.min(tookMs, limits.giveWayMsMax) * (1 / share - 1));
    this.#since = this.#clock.monotonic();
  }

  /** One at a time. */
  async #waitForFirst(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(limits.giveWayMsMax, resolve);
    this.#goOn = resolve;
    await promise;
    cancel();
    this.#goOn = undefined;
  }
}
