/**
 * Queries under way: few at a time, each with a snapshot of the tables, and an end.
 *
 *   open -> a place, a snapshot, a deadline -> rows as they are asked for -> disposed of
 *
 * A query is stopped by its deadline, by a client that went, or when the agent closes: it then ends
 * at its next breath. Its snapshot keeps the files it may still read, so it is let go at once after.
 */

import type { Catalog } from "../../core/catalog.ts";
import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { type SeriesId, seriesId } from "../../core/units.ts";
import type { WhereSpec } from "../../edge-ops/spec.ts";
import { takesSeries } from "../../edge-ops/where.ts";
import { createReadReport, type ReadReport } from "../../store/tables/read/block-source.ts";
import type { ResolutionMs } from "../../store/tables/rows.ts";
import type { Snapshot } from "../../store/tables/read/snapshot.ts";

export type QueriesOptions = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly snapshot: () => Snapshot;
  /** Resolutions that readings are rolled up to, finest first. */
  readonly tiers: readonly ResolutionMs[];
  /** Under way at a time. Default limits.queriesMax. */
  readonly queriesMax?: number | undefined;
  /** Whether memory is short, and none is begun. Default: never. */
  readonly isShort?: () => boolean;
};

/** All but the first only grow. */
export type QueryCounters = {
  readonly underWay: number;
  readonly opened: number;
  /** Told to come later. */
  readonly refused: number;
  /** Past their deadline, and left by their clients. */
  readonly late: number;
  readonly abandoned: number;
};

export type StopReason = "deadline" | "abandoned" | "closing";

export class Queries {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly tiers: readonly ResolutionMs[];
  readonly #snapshot: () => Snapshot;
  readonly #queriesMax: number;
  readonly #isShort: () => boolean;
  readonly #running = new Set<Query>();
  #idle: PromiseWithResolvers<void> | undefined;
  #isClosed = false;
  readonly #counts = { opened: 0, refused: 0, late: 0, abandoned: 0 };

  constructor({ catalog, clock, snapshot, tiers, queriesMax, isShort }: QueriesOptions) {
    this.#queriesMax = queriesMax ?? limits.queriesMax;
    this.#isShort = isShort ?? (() => false);
    this.catalog = catalog;
    this.clock = clock;
    this.tiers = tiers;
    this.#snapshot = snapshot;
  }

  get underWay(): readonly Query[] {
    return [...this.#running];
  }

  get counters(): QueryCounters {
    return { underWay: this.#running.size, ...this.#counts };
  }

  /** Why one would be refused, for who asked. */
  get busy(): string {
    return this.#isShort()
      ? "memory is short, and no query is begun: try again later"
      : `${this.#queriesMax} queries are under way: try again in a second`;
  }

  /** A query that is to be disposed of; undefined where too many are under way, or memory is short. */
  open(): Query | undefined {
    if (this.#isClosed || this.#isShort() || this.#running.size >= this.#queriesMax) {
      this.#counts.refused += 1;
      return undefined;
    }
    this.#counts.opened += 1;
    const query = new Query(this.catalog, this.#snapshot(), (reason) => this.#ended(query, reason));
    const cancel = this.clock.after(limits.queryMs, () => query.stop("deadline"));
    query.defer(cancel);
    this.#running.add(query);
    return query;
  }

  /** Stops what is under way; resolves when nothing reads any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#running.size === 0) return;
    this.#idle = Promise.withResolvers();
    for (const query of this.#running) query.stop("closing");
    await this.#idle.promise;
  }

  #ended(query: Query, reason: StopReason | undefined): void {
    this.#running.delete(query);
    if (reason === "deadline") this.#counts.late += 1;
    if (reason === "abandoned") this.#counts.abandoned += 1;
    if (this.#running.size === 0) this.#idle?.resolve();
  }
}

export type Selected =
  | { readonly kind: "series"; readonly ids: readonly SeriesId[] }
  | { readonly kind: "tooMany"; readonly count: number };

export class Query implements Disposable {
  readonly catalog: Catalog;
  readonly snapshot: Snapshot;
  readonly report: ReadReport = createReadReport();
  readonly #parts = new DisposableStack();
  readonly #stopping = new AbortController();
  #reason: StopReason | undefined;

  constructor(
    catalog: Catalog,
    snapshot: Snapshot,
    onEnded: (reason: StopReason | undefined) => void,
  ) {
    this.catalog = catalog;
    this.snapshot = snapshot;
    this.#parts.defer(() => onEnded(this.#reason));
    this.#parts.use(snapshot);
  }

  /** Why it was stopped; undefined while it goes on. */
  get stopped(): StopReason | undefined {
    return this.#reason;
  }

  /** Aborted when it is stopped, for whoever waits for something else. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** It ends at its next breath. The first reason counts. */
  stop(reason: StopReason): void {
    if (this.#parts.disposed) return;
    this.#reason ??= reason;
    this.snapshot.pace.stop();
    this.#stopping.abort();
  }

  /** Called when it is disposed of. */
  defer(run: () => void): void {
    this.#parts.defer(run);
  }

  /** The series that one of `wheres` takes, by their ids; all are counted. O(series of the catalog). */
  async select(wheres: readonly WhereSpec[], max: number): Promise<Selected> {
    const ids: SeriesId[] = [];
    let count = 0;
    for await (const id of this.seriesFrom(0, wheres)) {
      count += 1;
      if (count <= max) ids.push(id);
    }
    return count > max ? { kind: "tooMany", count } : { kind: "series", ids };
  }

  /** The same one by one, from an id on. */
  async *seriesFrom(from: number, wheres: readonly WhereSpec[]): AsyncGenerator<SeriesId> {
    const { catalog, snapshot } = this;
    const takes = wheres.map((where) => takesSeries(catalog, where));
    for (let id = from; id < catalog.seriesCount; id++) {
      if (id % 1_024 === 1_023) await snapshot.pace.breathe();
      const series = seriesId(id);
      if (takes.some((take) => take(series))) yield series;
    }
  }

  [Symbol.dispose](): void {
    this.#parts.dispose();
  }
}
