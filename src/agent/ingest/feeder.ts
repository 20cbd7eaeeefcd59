/**
 * Brings messages from a file as if they had arrived: the same receiver, the same backpressure, and
 * it knows when everything it brought is durable.
 */

import { Fault } from "../../core/faults.ts";
import type { Gate, Receiver } from "./receiver.ts";
import { NO_SOURCE } from "./receiver.ts";

export class Feeder implements Gate {
  readonly #receiver: Receiver;
  #open = 0;
  #sealed = 0;
  #abandoned = false;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();
  /** Messages no source wanted. */
  unwanted = 0;
  /** Messages taken so far. */
  taken = 0;

  constructor(receiver: Receiver) {
    this.#receiver = receiver;
  }

  /** Resolves when the message was taken; waits while the batch is full. */
  async feed(topic: string, payload: Uint8Array): Promise<void> {
    const topicBytes = new TextEncoder().encode(topic);
    const handle = this.#receiver.topicOf(topicBytes, 0, topicBytes.length);
    if (handle === NO_SOURCE) {
      this.unwanted += 1;
      this.#receiver.decline(topicBytes, 0, topicBytes.length);
      return;
    }
    while (!this.#receiver.receive(handle, payload, 0, payload.length)) {
      if (this.#abandoned) return await this.settled();
      await this.#changed.promise;
    }
    this.#open += 1;
    this.taken += 1;
  }

  /** Resolves when everything taken is durable; rejects where that cannot be. */
  async settled(): Promise<void> {
    while (!this.#abandoned && this.#open + this.#sealed > 0) await this.#changed.promise;
    if (!this.#abandoned) return;
    throw new Fault(
      "LOG_POISONED",
      "the log takes no more: what was fed last may be lost; feed it again",
    );
  }

  seal(): void {
    this.#sealed = this.#open;
    this.#open = 0;
  }
  release(): void {
    this.#sealed = 0;
    this.#notify();
  }
  room(): void {
    this.#notify();
  }
  abandon(): void {
    this.#abandoned = true;
    this.#open = 0;
    this.#sealed = 0;
    this.#notify();
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
