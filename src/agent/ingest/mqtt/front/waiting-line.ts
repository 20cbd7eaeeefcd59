/**
 * Connections that wait for the same, each to be offered again in turn. One that is closed, or waits
 * for something else by now, is passed over when its turn comes; but a turn may be days away while
 * the disk is full, and clients come and go meanwhile. So those are also swept out as the line grows.
 *
 * Invariant: the line is never longer than twice those that waited at the last sweep, or SWEEP_FROM.
 */

const SWEEP_FROM = 64;

export class WaitingLine<Waiter> {
  readonly #waits: (waiter: Waiter) => boolean;
  #line: Waiter[] = [];
  /** Length at which it is swept. */
  #sweepAt = SWEEP_FROM;

  /** `waits`: whether one still waits in this line. */
  constructor(waits: (waiter: Waiter) => boolean) {
    this.#waits = waits;
  }

  /** Those that wait, and those that no longer do and were not swept out yet. */
  get length(): number {
    return this.#line.length;
  }

  /** At its end. Amortised O(1). */
  add(waiter: Waiter): void {
    this.#line.push(waiter);
    if (this.#line.length < this.#sweepAt) return;
    this.#line = this.#line.filter((each) => this.#waits(each));
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * this.#line.length);
  }

  /** All that still wait, in turn; the line is empty then. */
  take(): readonly Waiter[] {
    const line = this.#line;
    this.#line = [];
    this.#sweepAt = SWEEP_FROM;
    return line.filter((each) => this.#waits(each));
  }

  /** Before those that are in it: their turn did not come. */
  putBack(waiters: readonly Waiter[]): void {
    this.#line = [...waiters, ...this.#line];
    this.#sweepAt = Math.max(this.#sweepAt, 2 * this.#line.length);
  }
}
