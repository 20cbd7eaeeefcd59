/**
 * Whether the broker is there. Whoever has heard nothing for the keep alive asks (PINGREQ), and what
 * is not answered in time is dead: noticed within keep alive + answer wait, and a sweep. Any byte is
 * a sign of life. Who has sent nothing for most of the keep alive pings too, or the broker would
 * close; the broker waits one and a half of it.
 *
 * While we do not read, nothing is the broker's silence; PINGREQs go on.
 *
 * Source: MQTT 3.1.1, 3.1.2.10 keep alive.
 */

/** Of the keep alive: after that a sweep and the way there still fit into what the broker waits. */
const MUTE_SHARE = 0.75;

/** Of one connection. Times are monotonic, in ms; a moment is given, not asked. */
export class Liveness {
  /** The broker may want it shorter. */
  keepAliveMs: number;
  readonly #answerMs: number;
  #heardAt = 0;
  #sentAt = 0;
  /** A PINGREQ waits for any sign of life since then. */
  #askedAt: number | undefined;

  constructor(options: { readonly keepAliveMs: number; readonly answerMs: number }) {
    this.keepAliveMs = options.keepAliveMs;
    this.#answerMs = options.answerMs;
  }

  /** Since the connection began, or we read again. */
  get heardAt(): number {
    return this.#heardAt;
  }

  heard(now: number): void {
    this.#heardAt = now;
    this.#askedAt = undefined;
  }

  sent(now: number): void {
    this.#sentAt = now;
  }

  /** The process stood still for so long: nobody's silence. */
  forgive(ms: number): void {
    this.#heardAt += ms;
    this.#sentAt += ms;
    if (this.#askedAt !== undefined) this.#askedAt += ms;
  }

  /** `isReading`: whether we would hear an answer. */
  check(now: number, { isReading }: { readonly isReading: boolean }): "well" | "ping" | "dead" {
    if (!isReading) this.#askedAt = undefined;
    if (this.#askedAt !== undefined && now - this.#askedAt >= this.#answerMs) return "dead";
    const isMute = now - this.#sentAt >= this.keepAliveMs * MUTE_SHARE;
    const isSilent = isReading && now - this.#heardAt >= this.keepAliveMs;
    if (!isSilent || this.#askedAt !== undefined) return isMute ? "ping" : "well";
    this.#askedAt = now;
    return "ping";
  }
}
