/**
 * A cap on what a day writes to the device (store.writesPerDay): the faster its bytes go, the more
 * readings share a sync, and the rarer and later is what can wait.
 *
 *   level     0       1       2      ..   5        rises a step where the bytes go faster than what is
 *   waits     200ms   400ms   800ms  ..   5s       left of the day allows, falls a step where half
 *   merges    as due  later   later  ..   later    of that allowance would do
 *
 * Between the two nothing changes, so a level is kept while it does its work; the allowance of a quiet
 * day's evening counts as no more than that of any hour, or each night would begin a new search. Looked
 * at once a step: a change has shown what it does before the next. Nothing else depends on it: what is
 * acknowledged is synced all the same, alerts are committed as soon as ever, and the log bounds how rare
 * checkpoints get.
 */

import { limits } from "../../core/limits.ts";
import { type CommitConfig, rowsEagerFor } from "../config/config.ts";

export type FlashCapStatus = {
  readonly capBytes: number;
  /** Of the running day, UTC; all programs where the device is counted. */
  readonly writtenBytes: number;
  /** How sparing the agent is: 0 not at all. */
  readonly level: number;
  readonly levelMax: number;
  /** Readings wait at most so long for their sync. */
  readonly waitMs: number;
  /** At the rate of the last step; undefined before there was one. */
  readonly neededBytesPerDay: number | undefined;
  /** The agent spares all it may, and it is not enough. */
  readonly isMissed: boolean;
};

const DAY_MS = 86_400_000;

type Look = { readonly day: number; readonly at: number; readonly bytes: number };

export class FlashCap {
  readonly #capBytes: number | undefined;
  readonly #commit: CommitConfig;
  #level = 0;
  #before: Look | undefined;
  #writtenBytes = 0;
  #neededBytesPerDay: number | undefined;
  #isMissed = false;

  constructor(options: { readonly capBytes: number | undefined; readonly commit: CommitConfig }) {
    this.#capBytes = options.capBytes;
    this.#commit = options.commit;
  }

  get isSet(): boolean {
    return this.#capBytes !== undefined;
  }

  /** Merges wait. */
  get isSparing(): boolean {
    return this.#level > 0;
  }

  /** As configured, or more sparing; never less. */
  get commit(): CommitConfig {
    if (this.#level === 0) return this.#commit;
    const { waitMs, intervalMs, checkpointMs, markerMs, rowsEager } = this.#commit;
    const { waitMsMax = limits.sparingWaitMsMax } = this.#commit;
    const longer = (configured: number, max: number): number =>
      Math.max(configured, Math.min(configured * 2 ** this.#level, max));
    const wait = longer(waitMs, waitMsMax);
    return {
      waitMs: wait,
      rowsEager: Math.max(rowsEager, rowsEagerFor(wait)),
      intervalMs: longer(intervalMs, limits.sparingIntervalMsMax),
      checkpointMs: longer(checkpointMs, limits.sparingCheckpointMsMax),
      markerMs,
    };
  }

  get status(): FlashCapStatus | undefined {
    if (this.#capBytes === undefined) return undefined;
    return {
      capBytes: this.#capBytes,
      writtenBytes: this.#writtenBytes,
      level: this.#level,
      levelMax: limits.sparingLevelMax,
      waitMs: this.commit.waitMs,
      neededBytesPerDay: this.#neededBytesPerDay,
      isMissed: this.#isMissed,
    };
  }

  /** `now`: a clock that is trusted; `bytes`: written since its day began. */
  look(now: number, bytes: number): void {
    if (this.#capBytes === undefined) return;
    this.#writtenBytes = bytes;
    const day = Math.floor(now / DAY_MS);
    const before = this.#before;
    if (before === undefined || before.day !== day || now < before.at || bytes < before.bytes) {
      this.#before = { day, at: now, bytes };
      return;
    }
    if (now - before.at < limits.sparingStepMs) return;
    this.#before = { day, at: now, bytes };
    const rate = (bytes - before.bytes) / (now - before.at);
    const sinceMs = now - day * DAY_MS;
    this.#step(this.#capBytes, { rate, sinceMs, bytes });
  }

  #step(
    capBytes: number,
    { rate, sinceMs, bytes }: { readonly rate: number; sinceMs: number; readonly bytes: number },
  ): void {
    const allowed = Math.max(0, capBytes - bytes) / (DAY_MS - sinceMs);
    const isAhead = bytes > capBytes * ((sinceMs + limits.sparingSlackMs) / DAY_MS);
    this.#neededBytesPerDay = rate * DAY_MS;
    this.#isMissed = isAhead && rate > allowed && this.#level === limits.sparingLevelMax;
    if (isAhead && rate > allowed) this.#level = Math.min(this.#level + 1, limits.sparingLevelMax);
    else if (rate * 2 <= Math.min(allowed, capBytes / DAY_MS))
      this.#level = Math.max(0, this.#level - 1);
  }
}
