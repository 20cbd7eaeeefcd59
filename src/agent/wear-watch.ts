/** Looks at the device's write counter now and then, and keeps what it sees (store/wear.ts). */

import type { Clock, DeviceWrites } from "../core/doors.ts";
import { isEnvironmental } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import { wearKey } from "../store/state/kv-key.ts";
import type { StateStore } from "../store/state/state-store.ts";
import { bytesPerDay, encodeWear, readWear, type Wear, wearAfter } from "../store/care/wear.ts";

export type WearStatus = {
  readonly device: string;
  /** Written by all programs since the first look. */
  readonly totalBytes: number;
  /** Undefined while it is not known yet. */
  readonly bytesPerDay: number | undefined;
};

export type WearWatchOptions = {
  readonly clock: Clock;
  readonly store: StateStore;
  /** Undefined where nobody counts. */
  readonly readDeviceWrites: () => Promise<DeviceWrites | undefined>;
  /** The gateway's clock while it is trusted: days need it. */
  readonly clockNow: () => number | undefined;
};

export class WearWatch {
  readonly #options: WearWatchOptions;
  #wear: Wear | undefined;
  #looking: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;

  constructor(options: WearWatchOptions) {
    this.#options = options;
    this.#wear = knownWear(options.store);
  }

  get status(): WearStatus | undefined {
    if (this.#wear === undefined) return undefined;
    const { device, totalBytes } = this.#wear;
    return { device, totalBytes, bytesPerDay: bytesPerDay(this.#wear) };
  }

  start(): void {
    this.#looking = this.#look();
    this.#cancel = this.#options.clock.after(limits.wearLookMs, () => this.start());
  }

  /** After a last look. */
  async close(): Promise<void> {
    this.#cancel?.();
    await this.#looking;
    await this.#look();
  }

  async #look(): Promise<void> {
    const { store, readDeviceWrites, clockNow } = this.#options;
    const writes = await readDeviceWrites();
    const now = clockNow();
    if (writes === undefined || now === undefined) return;
    const wear = wearAfter(this.#wear, writes, now);
    try {
      await store.advance([{ key: wearKey, value: encodeWear(wear) }]);
      this.#wear = wear;
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
      // The next look counts what this one did not store.
    }
  }
}

/** Where the count is damaged, another begins: nothing else depends on it. */
function knownWear(store: WearWatchOptions["store"]): Wear | undefined {
  try {
    return readWear(store);
  } catch (error) {
    if (!isEnvironmental(error)) throw error;
    return undefined;
  }
}
