/**
 * Where configurations come from: a session at a broker or cluster that is opened again, later each time,
 * whenever it ends. What is read is the same after each opening; nobody's place is kept.
 */

import type { Clock, Random } from "../../core/doors.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";

export type ChannelStatus = {
  readonly kind: "mqtt" | "kafka";
  readonly topic: string;
  readonly state: "opening" | "reading" | "waiting" | "closed";
  /** Why it waits, as a sentence. */
  readonly trouble: string | undefined;
};

export type ChannelOptions = {
  readonly kind: ChannelStatus["kind"];
  readonly topic: string;
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Opens a session, calls `onOpen` when it reads, and resolves or rejects when that is over; `closing`
   * resolves when it is to end.
   */
  readonly session: (parts: {
    readonly onOpen: () => void;
    readonly closing: Promise<void>;
    /** How many sessions failed in a row. */
    readonly tries: number;
  }) => Promise<void>;
};

export class Channel {
  readonly #options: ChannelOptions;
  #state: ChannelStatus["state"] = "opening";
  #trouble: string | undefined;
  readonly #closing = Promise.withResolvers<void>();
  #isClosed = false;
  #running: Promise<void> | undefined;
  #retry: () => void = () => undefined;

  /** It does nothing before it is started. */
  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** Opens the first session; where it waits, tries again at once. */
  start(): void {
    if (this.#isClosed) return;
    this.#running ??= this.#run();
    if (this.#state !== "waiting") return;
    this.#state = "opening";
    this.#trouble = undefined; // that of before
    this.#retry();
  }

  get status(): ChannelStatus {
    const { kind, topic } = this.#options;
    return { kind, topic, state: this.#state, trouble: this.#trouble };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#closing.resolve();
    await this.#running;
    this.#state = "closed";
  }

  async #run(): Promise<void> {
    let tries = 0;
    const onOpen = (): void => {
      tries = 0;
      this.#state = "reading";
      this.#trouble = undefined;
    };
    while (!this.#isClosed) {
      try {
        await this.#options.session({ onOpen, closing: this.#closing.promise, tries });
        this.#trouble ??= "the connection ended";
      } catch (error) {
        if (!isEnvironmental(error)) throw error;
        this.#trouble = error.message;
      }
      if (this.#isClosed) return;
      this.#state = "waiting";
      await this.#wait(tries);
      tries += 1;
    }
  }

  async #wait(tries: number): Promise<void> {
    const { clock, random } = this.#options;
    const longest = Math.min(
      limits.remoteRetryMsMin * 2 ** Math.min(tries, 30),
      limits.remoteRetryMsMax,
    );
    const delayMs = longest * (0.5 + random.uint32() / 2 ** 33);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#retry = resolve;
    const cancel = clock.after(delayMs, resolve);
    await Promise.race([promise, this.#closing.promise]);
    cancel();
  }
}
