/**
 * Whether what is published waits for local clients that read slowly: for a while. Then it goes on, and a
 * client that reads nothing is closed at its own bound.
 */

import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import type { LocalBroker } from "./local-broker.ts";

export class ReaderPatience {
  readonly #clock: Clock;
  /** Since when (monotonic ms) clients are waited for. */
  #since: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  mustWait(broker: LocalBroker): boolean {
    if (broker.backlogged) return true;
    if (broker.unreadBytes <= limits.ownUnreadBytes) {
      this.#since = undefined;
      return false;
    }
    const now = this.#clock.monotonic();
    this.#since ??= now;
    return now - this.#since < limits.ownPatienceMs;
  }
}
