/**
 * Gives the reserve up when the disk is full, and makes it again when there is room.
 *
 *   degraded, disk_full ──> give up ──> the loop and the tables try again by themselves
 *   well for a while, room for two of it ──> make
 */

import type { Clock } from "../../core/doors.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Reserve } from "../../store/care/reserve.ts";

export type ReserveWatchOptions = {
  readonly clock: Clock;
  readonly reserve: Reserve;
  /** Whether something waits for space on the disk. */
  readonly isDiskFull: () => boolean;
};

export class ReserveWatch {
  readonly #options: ReserveWatchOptions;
  #looking: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;
  #closed = false;
  /** By the monotonic clock. */
  #makeAt: number;

  constructor(options: ReserveWatchOptions) {
    this.#options = options;
    this.#makeAt = options.clock.monotonic();
  }

  start(): void {
    this.#looking = this.#look().finally(() => {
      if (this.#closed) return;
      this.#cancel = this.#options.clock.after(limits.diskRetryMs, () => this.start());
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { clock, reserve, isDiskFull } = this.#options;
    const now = clock.monotonic();
    try {
      if (isDiskFull()) {
        this.#makeAt = now + limits.reserveRestMs;
        await reserve.giveUp();
      } else if (!reserve.isWhole && now >= this.#makeAt) {
        this.#makeAt = now + limits.reserveRestMs;
        await reserve.make();
      }
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
      // The disk that would not do it is in the status of those who need it; the next look tries again.
    }
  }
}
