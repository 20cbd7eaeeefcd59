/**
 * The memory of an agent: the plan that its ceiling makes, and the watch that keeps to it. Without a
 * ceiling there is neither, and every bound is as in core/limits.
 */

import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import type { Config } from "../config/config.ts";
import type { QueriesOptions } from "../query/queries.ts";
import { type MemoryCeiling, type MemoryPlan, memoryPlanOf } from "./memory-plan.ts";
import { type AnonymousBytes, type MemoryStatus, MemoryWatch } from "./memory-watch.ts";

export type MemoryDoor = {
  /** undefined: there is none. */
  readonly ceiling: MemoryCeiling | undefined;
  readonly anonymousBytes: AnonymousBytes;
  readonly collect: () => void;
};

/** What of the table store is asked here. */
type FlushedTables = {
  readonly status: { readonly inMemory: number };
  wantFlush(): void;
};

export class MemorySide {
  readonly plan: MemoryPlan | undefined;
  readonly #door: MemoryDoor | undefined;
  #watch: MemoryWatch | undefined;

  constructor(door: MemoryDoor | undefined) {
    this.#door = door;
    this.plan = door?.ceiling && memoryPlanOf(door.ceiling);
  }

  /** Nothing is to be taken that would stay. */
  readonly isShort = (): boolean => this.#watch?.isShort ?? false;

  /** Beyond it new series are refused. */
  seriesMaxOf({ seriesMax }: Pick<Config, "seriesMax">): number {
    return Math.min(seriesMax, this.plan?.seriesMax ?? seriesMax);
  }

  get forQueries(): Pick<QueriesOptions, "queriesMax" | "isShort"> {
    return { queriesMax: this.plan?.queriesMax, isShort: this.isShort };
  }

  get status(): MemoryStatus | undefined {
    return this.#watch?.status;
  }

  /** From now on it is watched. */
  start(clock: Clock, tables: FlushedTables): void {
    if (this.plan === undefined || this.#door === undefined) return;
    const { plan } = this;
    const { anonymousBytes, collect } = this.#door;
    // Else many small tables were written for little memory.
    const rowsMin = Math.min(plan.tableRowsMax, limits.memoryTableRowsStep);
    const flush = (): boolean => {
      if (tables.status.inMemory < rowsMin) return false;
      tables.wantFlush();
      return true;
    };
    this.#watch = new MemoryWatch({ clock, plan, anonymousBytes, collect, flush });
    this.#watch.start();
  }

  close(): void {
    this.#watch?.close();
  }
}
