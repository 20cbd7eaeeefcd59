/**
 * When and where to connect next: a connection that lasted begins again soon, where it was. Others go
 * to the next address at once, and wait longer and longer, with jitter, when all were tried; not much
 * longer where messages came, as on a bad link; a client id that another client has waits longest.
 */

import type { Random } from "../../../../core/doors.ts";

export type RetryLimits = {
  readonly brokerRetryMsMin: number;
  readonly brokerRetryMsMax: number;
  readonly brokerUsefulRetryMs: number;
  readonly brokerTakenOverMs: number;
};

/** What became of the try or the connection before. */
export type Tried = {
  /** It was good for as long as a connection should be. */
  readonly lasted: boolean;
  /** Messages of it were acknowledged. */
  readonly wasUseful: boolean;
  /** Another client has our client id. */
  readonly isTakenOver: boolean;
};

/** Of one broker; counts tries as long as the process runs. */
export class Retries {
  readonly #addressCount: number;
  readonly #limits: RetryLimits;
  readonly #random: Random;
  #addressIndex = 0;
  /** Tries in a row that came to nothing. */
  #failures = 0;

  constructor(options: {
    readonly addressCount: number;
    readonly limits: RetryLimits;
    readonly random: Random;
  }) {
    this.#addressCount = options.addressCount;
    this.#limits = options.limits;
    this.#random = options.random;
  }

  /** Of the address in use, or to be tried next. */
  get addressIndex(): number {
    return this.#addressIndex;
  }

  /** Moves to the address of the next try; gives how long to wait before it, in ms. */
  next({ lasted, wasUseful, isTakenOver }: Tried): number {
    const count = this.#addressCount;
    if (lasted) {
      this.#failures = 0;
    } else {
      this.#failures += 1;
      this.#addressIndex = (this.#addressIndex + 1) % count;
    }
    const { brokerUsefulRetryMs, brokerRetryMsMax, brokerTakenOverMs } = this.#limits;
    const mostMs = wasUseful ? brokerUsefulRetryMs : brokerRetryMsMax;
    const rounds = Math.ceil(this.#failures / count);
    const isRoundOver = this.#failures % count === 0;
    const waitMs = isRoundOver ? this.#backoffMs(Math.max(0, rounds - 1), mostMs) : 0;
    return Math.max(waitMs, isTakenOver ? this.#jittered(brokerTakenOverMs) : 0);
  }

  /** Doubled from the first to the last, and up to half of it less. */
  #backoffMs(doublings: number, mostMs: number): number {
    const { brokerRetryMsMin } = this.#limits;
    const fullMs = Math.min(mostMs, brokerRetryMsMin * 2 ** Math.min(doublings, 30));
    return this.#jittered(fullMs / 2);
  }

  /** From `ms` to twice as much. */
  #jittered(ms: number): number {
    return ms + (ms * this.#random.uint32()) / 2 ** 32;
  }
}
