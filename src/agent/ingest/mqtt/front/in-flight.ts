/**
 * Messages of one client that were taken and are neither acknowledged nor given up. There may be some
 * after its connection closed: the broker still asks about its will, say.
 */

import type { FrontCounters } from "./front-counters.ts";

type Host = {
  readonly limits: {
    readonly inFlightPerConnectionMax: number;
    readonly heldBytesPerConnectionMax: number;
    readonly heldBytesMax: number;
  };
  readonly counters: FrontCounters;
};

export class InFlight {
  readonly #host: Host;
  readonly #onOver: () => void;
  #count = 0;
  #isClosed = false;
  #isOver = false;
  /** Of those that wait in the broker's hands. */
  #bytes = 0;

  /** `onOver` is called once: the connection is closed, and nothing is in flight any more. */
  constructor(host: Host, onOver: () => void) {
    this.#host = host;
    this.#onOver = onOver;
  }

  get count(): number {
    return this.#count;
  }

  take(): void {
    this.#count += 1;
  }

  settle(count: number): void {
    this.#count -= count;
    this.#endIfOver();
  }

  close(): void {
    this.#isClosed = true;
    this.#endIfOver();
  }

  /** A message of so many bytes, or less by as many, waits in the broker's hands. */
  hold(bytes: number): void {
    this.#bytes += bytes;
    this.#host.counters.messageBytes += bytes;
  }

  /** There are too many for another one of this QoS. */
  isFull(qos: number): boolean {
    if (qos !== 0 && this.#count >= this.#host.limits.inFlightPerConnectionMax) return true;
    return qos === 2 && this.#isHeavy;
  }

  /** Its, or all, messages that the broker holds for the disk weigh too much. */
  get #isHeavy(): boolean {
    const { limits, counters } = this.#host;
    return (
      this.#bytes >= limits.heldBytesPerConnectionMax ||
      counters.messageBytes >= limits.heldBytesMax
    );
  }

  #endIfOver(): void {
    if (!this.#isClosed || this.#count > 0 || this.#isOver) return;
    this.#isOver = true;
    this.#onOver();
  }
}
