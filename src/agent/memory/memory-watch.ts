/**
 * Keeps anonymous memory below what the plan gives it. Once a second it looks:
 *
 *   easy    nothing is held back
 *   tight   what can be let go goes: readings are flushed to a table, garbage is collected
 *   short   and nothing new is taken that would stay: names that are new are refused as beyond
 *           limits.series, queries are told to come later; all of it is counted
 *
 * What is known already goes on as before: its readings are taken, synced and acknowledged. A level is
 * left only a few percent below where it began.
 */

import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import type { MemoryPlan } from "./memory-plan.ts";

export const memoryLevels = ["easy", "tight", "short"] as const;

export type MemoryLevel = (typeof memoryLevels)[number];

/** What the process has of memory that no file has, bytes; undefined where nobody can tell. */
export type AnonymousBytes = () => number | undefined;

export type MemoryStatus = {
  readonly ceilingBytes: number;
  /** Who says so. */
  readonly from: string;
  /** What anonymous memory may come to. */
  readonly roomBytes: number;
  /** Beyond it new series are refused, as beyond limits.series. */
  readonly seriesMax: number;
  /** What it is, and the most that was seen; undefined where nobody can tell. */
  readonly anonymousBytes: number | undefined;
  readonly anonymousBytesPeak: number;
  readonly level: MemoryLevel;
  /** Flushes of readings that it asked for. */
  readonly flushes: number;
  readonly collections: number;
};

export type MemoryWatchOptions = {
  readonly clock: Clock;
  readonly plan: MemoryPlan;
  readonly anonymousBytes: AnonymousBytes;
  /** Collects all garbage there is; blocks for some ten milliseconds. */
  readonly collect: () => void;
  /** Readings in memory, to tables; false where there are too few to be worth it. */
  readonly flush: () => boolean;
};

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  #cancel: (() => void) | undefined;
  #level: MemoryLevel = "easy";
  #bytes: number | undefined;
  #peak = 0;
  #collectAt = Number.NEGATIVE_INFINITY;
  #flushAt = Number.NEGATIVE_INFINITY;
  #flushes = 0;
  #collections = 0;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#look();
    this.#cancel = this.#options.clock.after(limits.memoryLookMs, () => this.start());
  }

  close(): void {
    this.#cancel?.();
  }

  /** Nothing is to be taken that would stay. */
  get isShort(): boolean {
    return this.#level === "short";
  }

  get status(): MemoryStatus {
    const { ceiling, roomBytes, seriesMax } = this.#options.plan;
    return {
      ceilingBytes: ceiling.bytes,
      from: ceiling.from,
      roomBytes,
      seriesMax,
      anonymousBytes: this.#bytes,
      anonymousBytesPeak: this.#peak,
      level: this.#level,
      flushes: this.#flushes,
      collections: this.#collections,
    };
  }

  #look(): void {
    this.#see();
    if (this.#level !== "easy") this.#letGo();
  }

  #see(): void {
    const { anonymousBytes, plan } = this.#options;
    const bytes = anonymousBytes();
    this.#bytes = bytes;
    if (bytes === undefined) return;
    this.#peak = Math.max(this.#peak, bytes);
    this.#level = levelAt((100 * bytes) / plan.roomBytes, this.#level);
  }

  #letGo(): void {
    const { clock, collect, flush } = this.#options;
    const now = clock.monotonic();
    if (now >= this.#flushAt && flush()) {
      this.#flushAt = now + limits.memoryFlushMs;
      this.#flushes += 1;
    }
    if (now < this.#collectAt) return;
    const { memoryCollectMs, memoryCollectShortMs } = limits;
    // Buffers outside of V8's heap are garbage long before it would look for any.
    this.#collectAt = now + (this.isShort ? memoryCollectShortMs : memoryCollectMs);
    this.#collections += 1;
    collect();
    this.#see(); // what that brought decides now whether anything is refused
  }
}

/** `percent` of the room is taken, and it was `level` before. */
function levelAt(percent: number, level: MemoryLevel): MemoryLevel {
  const { memoryTightPercent, memoryShortPercent, memoryEasePercent } = limits;
  const ease = (from: MemoryLevel): number =>
    memoryLevels.indexOf(level) >= memoryLevels.indexOf(from) ? memoryEasePercent : 0;
  if (percent >= memoryShortPercent - ease("short")) return "short";
  return percent >= memoryTightPercent - ease("tight") ? "tight" : "easy";
}
