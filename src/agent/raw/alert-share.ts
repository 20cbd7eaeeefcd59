/**
 * How many requests alerts may make: a part of those that may be open, and so many in a time. The rest of
 * both is for people.
 */

import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { alertPrefix } from "./alert-asks.ts";
import type { RawAsk } from "./raw-request.ts";

export class AlertShare {
  readonly #clock: Clock;
  #windowAt = Number.NEGATIVE_INFINITY;
  #inWindow = 0;
  /** Taken, not stored yet. */
  #pending = 0;
  refused = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether one more may be made beside the open ones. */
  take(open: readonly Pick<RawAsk, "id">[]): boolean {
    const now = this.#clock.monotonic();
    if (now - this.#windowAt >= limits.rawAlertWindowMs) {
      this.#windowAt = now;
      this.#inWindow = 0;
    }
    const own = open.filter(({ id }) => id.startsWith(alertPrefix)).length + this.#pending;
    const isFull =
      own >= limits.rawAlertRequestsMax ||
      open.length + this.#pending >= limits.rawRequestsMax ||
      this.#inWindow >= limits.rawAlertsPerWindow;
    if (isFull) {
      this.refused += 1;
      return false;
    }
    this.#inWindow += 1;
    this.#pending += 1;
    return true;
  }

  /** So many of those taken are among the open ones from now on. */
  stored(count: number): void {
    this.#pending -= count;
  }
}
