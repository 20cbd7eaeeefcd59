/**
 * A bounded number of password hashes at a time, and a bounded line before them. Each costs tens of
 * milliseconds and megabytes beside the loop: without a bound, a crowd of clients would take the CPU
 * from those that are connected.
 */

export class PasswordChecks {
  readonly #runningMax: number;
  readonly #waitingMax: number;
  #running = 0;
  #waiting: (() => void)[] = [];

  constructor(options: { readonly runningMax: number; readonly waitingMax: number }) {
    this.#runningMax = options.runningMax;
    this.#waitingMax = options.waitingMax;
  }

  /** Now. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Does `work` when it is its turn; undefined where too many wait already. */
  async run<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    if (this.#running >= this.#runningMax) {
      if (this.#waiting.length >= this.#waitingMax) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      // Whoever wakes us hands over its place.
      await promise;
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
