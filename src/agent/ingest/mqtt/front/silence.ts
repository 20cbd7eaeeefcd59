/**
 * How long nothing was heard of a client: until it is ready, since it came; then since its last bytes;
 * when closing, since that began. Keep alive is one and a half times what its CONNECT says (MQTT
 * 3.1.1, 3.1.2.10).
 */

/** How long a connection may take, in ms, by its state. */
export type SilenceWaits = {
  /** For its CONNECT, which is the client's affair. */
  readonly new: number;
  /** For the answer to its login, which is ours: passwords wait to be hashed. */
  readonly connecting: number;
  /** For reading what is left. */
  readonly closing: number;
};

export class Silence {
  readonly #clock: { monotonic(): number };
  #since: number;
  /** 0: it may be silent for ever. */
  keepAliveMs = 0;

  constructor(clock: { monotonic(): number }) {
    this.#clock = clock;
    this.#since = clock.monotonic();
  }

  /** Something was heard, or it was we who did not listen. */
  end(): void {
    this.#since = this.#clock.monotonic();
  }

  /** So much of it was nobody's silence: the process was not running. */
  forgive(ms: number): void {
    this.#since += ms;
  }

  lengthMs(now: number): number {
    return now - this.#since;
  }

  isTooLong(now: number): boolean {
    return this.keepAliveMs > 0 && this.lengthMs(now) > this.keepAliveMs;
  }
}
