/** Waits between tries: doubled up to a bound, each a little less by chance, so that many do not come at once. */

import { flowLimits } from "../../../src/core/flow-limits.ts";

export class Retry {
  #failures = 0;

  /** How long to wait before the next try, ms. `leastMs`: the other side asked for so much. */
  next(leastMs = 0): number {
    const { retryMsMin, retryMsMax } = flowLimits;
    const waitMs = Math.min(retryMsMax, retryMsMin * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return Math.max(Math.min(leastMs, retryMsMax), waitMs * (0.75 + Math.random() / 4));
  }

  succeeded(): void {
    this.#failures = 0;
  }
}

/** Over early when the signal is aborted. */
export function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const over = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener("abort", over);
  });
}
