/**
 * Puts what is too old behind while the fresh lane of an uplink is away or slow, a step at a time: when
 * there is a link again what is fresh is first, and nobody has to look for it.
 */

import { isEnvironmental } from "../core/faults.ts";
import type { StateStore } from "../store/state/state-store.ts";

export type FreshFirstOptions = {
  readonly store: StateStore;
  readonly uplink: string;
  /** See Uplink.freshForMs. */
  readonly freshForMs: number;
};

/** Of what is fresh: it is put behind in pieces of at least so much time. */
const slackParts = 8;

export class FreshFirst {
  readonly #options: FreshFirstOptions;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: FreshFirstOptions) {
    this.#options = options;
  }

  /** Resolves when the steps that are under way are over. */
  get running(): Promise<void> | undefined {
    return this.#running;
  }

  /** There may be more that is too old. */
  wake(): void {
    if (this.#isClosed || this.#running !== undefined || this.#options.freshForMs === Infinity)
      return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  close(): void {
    this.#isClosed = true;
  }

  async #run(): Promise<void> {
    const { store, uplink, freshForMs } = this.#options;
    const options = { freshForMs, slackMs: freshForMs / slackParts, fitsBytes: 0 };
    try {
      while (!this.#isClosed && (await store.lanes.putBehind(uplink, options))) continue;
    } catch (error) {
      // A store that broke says so to the loop as well; on a full disk it is tried with the next commit.
      if (!isEnvironmental(error)) throw error;
    }
  }
}
