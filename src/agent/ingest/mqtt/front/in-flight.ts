/** Messages of one client that were taken and are neither acknowledged nor given up. */

import type { FrontCounters } from "./front-counters.ts";

type Host = {
  readonly limits: { readonly heldBytesPerConnectionMax: number; readonly heldBytesMax: number };
  readonly counters: FrontCounters;
};

export class InFlight {
  readonly #host: Host;
  count = 0;
  /** Of those that wait in the broker's hands. */
  #bytes = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /** A message of so many bytes, or less by as many, waits in the broker's hands. */
  hold(bytes: number): void {
    this.#bytes += bytes;
    this.#host.counters.messageBytes += bytes;
  }

  /** Its, or all, messages that the broker holds for the disk weigh too much for another one. */
  get isHeavy(): boolean {
    const { limits, counters } = this.#host;
    return (
      this.#bytes >= limits.heldBytesPerConnectionMax ||
      counters.messageBytes >= limits.heldBytesMax
    );
  }
}
