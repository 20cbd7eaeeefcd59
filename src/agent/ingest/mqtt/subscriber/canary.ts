/**
 * The canary: a message that we publish through the session and expect back, because a connection
 * can be well and its subscriptions gone. It flies every so often; one that is missed asks for the
 * subscriptions again, two in a row for another connection.
 *
 *   idle --due--> away --comes back--> idle
 *                   \--too late--> missed once --too late again--> deaf
 *
 * It comes back with QoS 0, beside what waits for acknowledgements.
 */

export type CanaryCounters = {
  sent: number;
  returned: number;
  missed: number;
  /** From sending the last one that came back to its return. */
  latencyMs: number | undefined;
};

type CanaryOptions = {
  readonly topic: string;
  readonly everyMs: number;
  readonly waitMs: number;
};

/** Of one broker, across its connections. Times are monotonic, in ms; a moment is given, not asked. */
export class Canary {
  readonly topic: string;
  readonly topicBytes: Uint8Array;
  readonly counters: CanaryCounters = { sent: 0, returned: 0, missed: 0, latencyMs: undefined };
  readonly #options: CanaryOptions;
  #number = 0;
  /** When it left; undefined where none is away. */
  #sentAt: number | undefined;
  #nextAt = 0;
  #missedInRow = 0;

  constructor(options: CanaryOptions) {
    this.topic = options.topic;
    this.topicBytes = Buffer.from(options.topic);
    this.#options = options;
  }

  /** The subscriptions stand, on a new connection or again. */
  begin(now: number): void {
    this.#sentAt = undefined;
    this.#nextAt = now;
  }

  /** A connection begins: what an earlier one missed is forgotten. */
  forgive(): void {
    this.#missedInRow = 0;
  }

  /** So much time was nobody's: we were not reading. */
  shift(ms: number): void {
    if (this.#sentAt !== undefined) this.#sentAt += ms;
  }

  /** What is to be sent at `now`, if anything. */
  fly(now: number): string | undefined {
    if (this.#sentAt !== undefined || now < this.#nextAt) return undefined;
    this.#number += 1;
    this.#sentAt = now;
    this.#nextAt = now + this.#options.everyMs;
    this.counters.sent += 1;
    return String(this.#number);
  }

  /** A message of its topic came. */
  returned(payload: string, now: number): void {
    if (this.#sentAt === undefined || payload !== String(this.#number)) return;
    this.counters.returned += 1;
    this.counters.latencyMs = now - this.#sentAt;
    this.#sentAt = undefined;
    this.#missedInRow = 0;
  }

  /**
   * Whether one is overdue. `deaf`: the second in a row, where one has come back before; where none
   * ever has, it is more likely not allowed to, and another connection would not help.
   */
  check(now: number): "well" | "missed" | "deaf" {
    if (this.#sentAt === undefined || now - this.#sentAt < this.#options.waitMs) return "well";
    this.#sentAt = undefined;
    this.counters.missed += 1;
    this.#missedInRow += 1;
    if (this.#missedInRow > 1 && this.counters.returned > 0) return "deaf";
    return "missed";
  }

  /** None has ever come back, and some should have. */
  get isMute(): boolean {
    return this.counters.returned === 0 && this.counters.missed > 1;
  }
}
