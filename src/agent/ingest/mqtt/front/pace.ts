/**
 * How much one connection may bring, and when, so that none starves the others:
 *
 *   turn    so many packets, then the others have theirs first
 *   share   so many messages of one batch, so that it takes more than one client to fill it
 *   rate    messages and bytes per second, of the connection and of its user: token buckets that
 *           hold one second's worth and may go below zero by one packet
 *
 * Nothing is dropped: a packet that may not come now waits, and with it what follows.
 */

import { Allowance } from "../access/allowance.ts";
import type { Hold } from "./connection-host.ts";

export type PaceLimits = {
  readonly turnMessagesMax: number;
  readonly shareMessagesMax: number;
  readonly messagesPerSecondMax: number;
  readonly bytesPerSecondMax: number;
};

interface PaceHost {
  readonly limits: PaceLimits;
  /** Number of the open batch. */
  readonly batch: number;
  monotonic(): number;
}

export class Pace {
  readonly #host: PaceHost;
  readonly #own: Allowance;
  #shared: Allowance | undefined;
  #turnLeft: number;
  #batch = -1;
  #shareLeft = 0;
  #lastBytes = 0;

  constructor(host: PaceHost) {
    const { turnMessagesMax, messagesPerSecondMax, bytesPerSecondMax } = host.limits;
    this.#host = host;
    this.#own = new Allowance({ messagesPerSecondMax, bytesPerSecondMax }, host);
    this.#turnLeft = turnMessagesMax;
  }

  /** What its user's connections may bring together. */
  shareWith(allowance: Allowance | undefined): void {
    this.#shared = allowance;
  }

  /** Its turn begins: with a read, or after the others. */
  begin(): void {
    this.#turnLeft = this.#host.limits.turnMessagesMax;
  }

  /** Why a packet of so many bytes waits; "nothing" where it is taken. */
  take(bytes: number): Hold {
    if (this.#turnLeft <= 0) return "turn";
    if (!this.#own.isOpen() || this.#shared?.isOpen() === false) return "rate";
    this.#turnLeft -= 1;
    this.#lastBytes = bytes;
    this.#own.take(bytes);
    this.#shared?.take(bytes);
    return "nothing";
  }

  /** The packet taken last waits for something else, and will be offered again. */
  giveBack(): void {
    this.#turnLeft += 1;
    this.#own.giveBack(this.#lastBytes);
    this.#shared?.giveBack(this.#lastBytes);
  }

  /** Whether the open batch has its share of this connection. */
  get isSated(): boolean {
    if (this.#batch === this.#host.batch) return this.#shareLeft <= 0;
    this.#batch = this.#host.batch;
    this.#shareLeft = this.#host.limits.shareMessagesMax;
    return false;
  }

  /** A message went into the open batch. `isSated` was asked. */
  received(): void {
    this.#shareLeft -= 1;
  }

  /** How long until the rate allows another packet. */
  get waitMs(): number {
    return Math.max(this.#own.waitMs, this.#shared?.waitMs ?? 0);
  }
}
