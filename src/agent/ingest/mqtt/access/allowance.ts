/**
 * What somebody may bring per second: two token buckets, for messages and for bytes, that hold one
 * second's worth. A message is let in while there is something in both, and may take them below zero,
 * so that a message larger than a second's bytes is not refused for ever.
 */

export class Allowance {
  readonly #messagesPerMs: number;
  readonly #bytesPerMs: number;
  readonly #clock: { monotonic(): number };
  #messages: number;
  #bytes: number;
  #atMs: number;

  constructor(
    rate: { readonly messagesPerSecondMax: number; readonly bytesPerSecondMax: number },
    clock: { monotonic(): number },
  ) {
    this.#messagesPerMs = rate.messagesPerSecondMax / 1_000;
    this.#bytesPerMs = rate.bytesPerSecondMax / 1_000;
    this.#clock = clock;
    this.#messages = rate.messagesPerSecondMax;
    this.#bytes = rate.bytesPerSecondMax;
    this.#atMs = clock.monotonic();
  }

  /** Whether something is left; the clock is asked only where nothing is. */
  isOpen(): boolean {
    if (this.#messages >= 1 && this.#bytes >= 1) return true;
    this.#fill();
    return this.#messages >= 1 && this.#bytes >= 1;
  }

  take(bytes: number): void {
    this.#messages -= 1;
    this.#bytes -= bytes;
  }

  giveBack(bytes: number): void {
    this.#messages += 1;
    this.#bytes += bytes;
  }

  get waitMs(): number {
    const messages = (1 - this.#messages) / this.#messagesPerMs;
    const bytes = (1 - this.#bytes) / this.#bytesPerMs;
    return Math.max(0, messages, bytes);
  }

  #fill(): void {
    const now = this.#clock.monotonic();
    const elapsedMs = now - this.#atMs;
    this.#atMs = now;
    const { messages, bytes } = {
      messages: this.#messages + elapsedMs * this.#messagesPerMs,
      bytes: this.#bytes + elapsedMs * this.#bytesPerMs,
    };
    this.#messages = Math.min(messages, this.#messagesPerMs * 1_000);
    this.#bytes = Math.min(bytes, this.#bytesPerMs * 1_000);
  }
}
