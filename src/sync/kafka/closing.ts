/**
 * The end of a lane, which may come at any time: whatever waits then stops waiting. The work itself is
 * not stopped; what it still gives is not looked at.
 */

import type { Clock } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";

export class Closing {
  readonly #clock: Clock;
  /** Each ends a wait that is under way. */
  readonly #aborts: Set<(fault: Fault) => void> = new Set();
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
    for (const abort of this.#aborts) abort(closedFault());
  }

  /** What `work` gives. Faults: UPLINK_UNREACHABLE as soon as it is closed; those of `work`. */
  async before<Value>(work: Promise<Value>): Promise<Value> {
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    this.#aborts.add(reject);
    work.then(resolve, reject);
    if (this.#isClosed) reject(closedFault());
    try {
      return await promise;
    } finally {
      this.#aborts.delete(reject);
    }
  }

  /** Lets `ms` pass. Faults: as `before`. */
  async wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(ms, resolve);
    try {
      await this.before(promise);
    } finally {
      cancel();
    }
  }
}

function closedFault(): Fault {
  return new Fault("UPLINK_UNREACHABLE", "the uplink was closed");
}
