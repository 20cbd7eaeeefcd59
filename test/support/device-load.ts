/**
 * Devices that publish readings until they are stopped, and know how many of them fall into each
 * window: what an agent must have counted in the end, whatever happened to it meanwhile.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Publisher } from "./publisher.ts";

const HOUR_MS = 3_600_000;

export type DeviceLoadOptions = {
  /** Of the agent's MQTT listener on loopback; it may come and go. */
  readonly port: number;
  readonly devices: number;
  readonly windowMs: number;
  /** Event time from one reading of a device to its next. */
  readonly stepMs: number;
  /** Fractions in [0, 1). */
  readonly random: () => number;
};

/** Begins at once: topic `plant/a/<device>/state`, payload `{"ts":..,"seq":..,"v":..}`. */
export class DeviceLoad {
  /** Readings by `<device>@<start of the window>`. */
  readonly sent: Map<string, number> = new Map();
  readonly #publishers: readonly Publisher[];
  readonly #senders: readonly Promise<void>[];
  readonly #options: DeviceLoadOptions;
  readonly #stopping = new AbortController();

  constructor(options: DeviceLoadOptions) {
    this.#options = options;
    const { port, windowMs } = options;
    // An hour of event time ends after two windows, whatever the time of day: markers come, too.
    const startMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - HOUR_MS - 2 * windowMs;
    const devices = Array.from({ length: options.devices }, (_, index) => `d${index}`);
    this.#publishers = devices.map((clientId) => new Publisher({ port, clientId, window: 20 }));
    this.#senders = this.#publishers.map((publisher, index) =>
      this.#send(publisher, { device: devices[index] ?? "", startMs }),
    );
  }

  get total(): number {
    return this.sent.values().reduce((sum, count) => sum + count, 0);
  }

  get acknowledged(): number {
    return this.#publishers.reduce((sum, publisher) => sum + publisher.acknowledged, 0);
  }

  /** Acknowledgements of what nobody waited for: always a fault of the agent. */
  get strayAcks(): number {
    return this.#publishers.reduce((sum, publisher) => sum + publisher.strayAcks, 0);
  }

  /** Sends no more; resolves when everything has been acknowledged. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#senders);
    for (const publisher of this.#publishers) publisher.close();
  }

  /** Lets everything go, acknowledged or not. */
  abandon(): void {
    this.#stopping.abort();
    for (const publisher of this.#publishers) publisher.close();
  }

  async #send(
    publisher: Publisher,
    { device, startMs }: { readonly device: string; readonly startMs: number },
  ): Promise<void> {
    const { windowMs, stepMs, random } = this.#options;
    for (let n = 0; !this.#stopping.signal.aborted; n++) {
      const time = startMs + n * stepMs;
      const payload = JSON.stringify({ ts: time, seq: n, v: n % 7 });
      await publisher.publish(`plant/a/${device}/state`, payload);
      const window = `${device}@${Math.floor(time / windowMs) * windowMs}`;
      this.sent.set(window, (this.sent.get(window) ?? 0) + 1);
      if (n % 10 === 0) await sleep(5 + random() * 10);
    }
    await publisher.settled();
  }
}
