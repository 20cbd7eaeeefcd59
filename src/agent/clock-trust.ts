/**
 * Whether the gateway's own clock is to be believed. Boards without a battery clock start in 1970
 * or where they stopped; until the time is set, nothing is compared with it. Judged from two facts:
 * no gateway runs before this software was written, and time does not go back behind what was
 * believed before (it is committed, so a restart does not forget it). The price: after a clock that
 * was once far ahead, a right one is not believed until it catches up; nothing is quarantined then.
 */

import { limits } from "../core/limits.ts";
import { type Millis, millis } from "../core/units.ts";

export class ClockTrust {
  #newestMs: number;

  /** `newest` is the newest clock observation that was ever believed, or undefined. */
  constructor(newest: Millis | undefined) {
    this.#newestMs = newest ?? Number.NEGATIVE_INFINITY;
  }

  /** The newest clock that was believed. */
  get newest(): Millis | undefined {
    return this.#newestMs === Number.NEGATIVE_INFINITY ? undefined : millis(this.#newestMs);
  }

  isTrusted(now: Millis): boolean {
    return now >= limits.clockFloorMs && now >= this.#newestMs - limits.clockBackMs;
  }

  /** The same, and remembers what it saw. */
  observe(now: Millis): boolean {
    const trusted = this.isTrusted(now);
    if (trusted && now > this.#newestMs) this.#newestMs = now;
    return trusted;
  }
}
