/**
 * Looks at the device's write counter now and then, and keeps what it sees (store/care/wear.ts). Whoever
 * caps the writes of a day is told at each look.
 */

import type { Clock, DeviceWrites } from "../../core/doors.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { wearKey } from "../../store/state/kv-key.ts";
import type { StateStore } from "../../store/state/state-store.ts";
import {
  bytesOfDay,
  bytesPerDay,
  encodeWear,
  readWear,
  type Wear,
  wearAfter,
} from "../../store/care/wear.ts";
import type { FlashCap } from "./flash-cap.ts";
import { deviceWritesOf, type OwnWrites } from "./own-writes.ts";

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
  /** Told what the running day has written; looks are then as frequent as that needs. */
  readonly onLook?: (now: number, bytesToday: number) => void;
};

/** Looks from now on where anybody counts: the device, or ourselves for the sake of a cap. */
export function startWear({
  doors,
  flash,
  own,
  ...options
}: Pick<WearWatchOptions, "clock" | "store" | "clockNow"> & {
  readonly doors: Parameters<typeof deviceWritesOf>[0];
  readonly flash: FlashCap;
  readonly own: OwnWrites;
}): WearWatch {
  const { isSet } = flash;
  const wear = new WearWatch({
    ...options,
    readDeviceWrites: deviceWritesOf(doors, isSet ? own : undefined),
    ...(isSet ? { onLook: (now: number, bytes: number) => flash.look(now, bytes) } : {}),
  });
  if (isSet || doors.readDeviceWrites !== undefined) wear.start();
  return wear;
}

export class WearWatch {
  readonly #options: WearWatchOptions;
  #wear: Wear | undefined;
  /** By the monotonic clock. */
  #storedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;

  constructor(options: WearWatchOptions) {
    this.#options = options;
    this.#wear = readWear(options.store);
  }

  get status(): WearStatus | undefined {
    if (this.#wear === undefined) return undefined;
    const { device, totalBytes } = this.#wear;
    return { device, totalBytes, bytesPerDay: bytesPerDay(this.#wear) };
  }

  start(): void {
    const { clock, onLook } = this.#options;
    const isDue = clock.monotonic() - this.#storedAt >= limits.wearLookMs;
    this.#looking = this.#look(isDue);
    const delayMs = onLook === undefined ? limits.wearLookMs : limits.sparingLookMs;
    this.#cancel = clock.after(delayMs, () => this.start());
  }

  /** After a last look. */
  async close(): Promise<void> {
    this.#cancel?.();
    await this.#looking;
    await this.#look(true);
  }

  async #look(isStored: boolean): Promise<void> {
    const { clock, store, readDeviceWrites, clockNow, onLook } = this.#options;
    const writes = await readDeviceWrites();
    const now = clockNow();
    if (writes === undefined || now === undefined) return;
    this.#wear = wearAfter(this.#wear, writes, now);
    onLook?.(now, bytesOfDay(this.#wear, now));
    if (!isStored) return;
    try {
      await store.advance([{ key: wearKey, value: encodeWear(this.#wear) }]);
      this.#storedAt = clock.monotonic();
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
      // The next look stores what this one did not.
    }
  }
}
