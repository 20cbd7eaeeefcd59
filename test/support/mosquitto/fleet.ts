/**
 * Devices that publish through a broker at a steady pace, half of them with QoS 1 and half with
 * QoS 2, and remember for each reading whether the broker acknowledged it.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Publisher } from "../publisher.ts";
import {
  keyOf,
  keyOfMessage,
  payloadOf,
  type Reading,
  STEP_MS,
  topicOf,
  WINDOW_MS,
} from "./readings.ts";

export type FleetOptions = {
  /** Of the broker on loopback; it may come and go. */
  readonly port: number;
  readonly devices: number;
  /** Names the first device; fleets side by side have different ones. */
  readonly firstDevice?: number;
};

/** Messages of a device under way at most: what a resend may repeat is well within a duplicate ring. */
const WINDOW = 20;

/** Publishes at once, each device a reading every STEP_MS of real and of event time. */
export class Fleet {
  /** Event time of every device's first reading. */
  readonly startMs: number;
  /** Every reading that was handed to a publisher, by key. */
  readonly sent: Map<string, Reading> = new Map();
  /** Keys of those that the broker acknowledged, and when it was heard to. */
  readonly acknowledged: Map<string, number> = new Map();
  readonly #publishers: readonly Publisher[];
  readonly #senders: readonly Promise<void>[];
  #isStopping = false;
  #going: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor({ port, devices, firstDevice = 0 }: FleetOptions) {
    this.startMs = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - 60_000;
    this.#going.resolve();
    const names = Array.from({ length: devices }, (_, index) => `d${firstDevice + index}`);
    this.#publishers = names.map(
      (clientId, index) =>
        new Publisher({
          port,
          clientId,
          window: WINDOW,
          qos: index % 2 === 0 ? 1 : 2,
          onAcknowledged: (topic, payload) => {
            this.acknowledged.set(keyOfMessage(topic, payload) ?? "", Date.now());
          },
        }),
    );
    this.#senders = this.#publishers.map((publisher, index) =>
      this.#send(publisher, names[index] ?? ""),
    );
  }

  /** Acknowledgements of what nobody waited for. */
  get strayAcks(): number {
    return this.#publishers.reduce((sum, publisher) => sum + publisher.strayAcks, 0);
  }

  /** No device is connected. */
  get isCutOff(): boolean {
    return this.#publishers.every(({ isConnected }) => !isConnected);
  }

  /** Nothing new is sent; resolves when everything that was has been acknowledged. */
  async pause(): Promise<void> {
    this.#going = Promise.withResolvers();
    await Promise.all(this.#publishers.map((publisher) => publisher.settled()));
  }

  goOn(): void {
    this.#going.resolve();
  }

  /** Sends no more; resolves when everything has been acknowledged. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.goOn();
    await Promise.all(this.#senders);
    for (const publisher of this.#publishers) publisher.close();
  }

  /** Ends at once, whatever is not acknowledged. */
  abandon(): void {
    this.#isStopping = true;
    this.goOn();
    for (const publisher of this.#publishers) publisher.close();
  }

  async #send(publisher: Publisher, device: string): Promise<void> {
    const begunAt = performance.now();
    for (let number = 0; !this.#isStopping; number++) {
      const reading = { device, number };
      await this.#going.promise;
      await publisher.publish(topicOf(device), payloadOf(this.startMs, number));
      this.sent.set(keyOf(reading), reading);
      const aheadMs = begunAt + number * STEP_MS - performance.now();
      if (aheadMs > 0) await sleep(aheadMs);
    }
    await publisher.settled();
  }
}
