/**
 * The table store: every accepted reading, from memory into immutable sorted files.
 *
 *   take -> memory table -> (full) -> frozen -> flush -> tables, listed in one transaction
 *
 * The log has what memory holds, so a crash costs nothing but filling it again: `through` says from
 * which position on. The log is recycled below both `through` and the operators' checkpoint. One
 * memory table is filled while at most one other is written; when both are full, senders wait.
 *
 * What runs beside the loop (flush, compaction) runs here, one thing at a time, in small steps; only a
 * flush, for which senders may wait, runs between two steps of a merge. A disk that fails is tried again.
 */

import type { Batch } from "../../core/batch.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { type Position, position } from "../../core/units.ts";
import type { Step } from "../../edge-ops/operator.ts";
import { type CompactionJob, eraseJob, planCompaction } from "./compaction/compaction-plan.ts";
import { mergeShareNow } from "./compaction/merge-share.ts";
import { flushMemory } from "./memory/flush.ts";
import { FlushedTimes } from "./memory/flushed-times.ts";
import { MemoryTable, SpareSlabs } from "./memory/memory-table.ts";
import { mergeAroundDamage } from "./compaction/merge-around-damage.ts";
import { nextDamaged, nextMending, readableTables } from "./compaction/damaged-tables.ts";
import { policyNow } from "./compaction/policy-now.ts";
import { Pace, Stopped } from "./pace.ts";
import {
  changedListing,
  type Listing,
  type QuarantinedTable,
  readingsOf,
} from "./listing/quarantine.ts";
import type { RefusedRows } from "./memory/refused-rows.ts";
import type { TableFiles } from "./listing/table-files.ts";
import type { ListedTable, TableCounts } from "./listing/table-list.ts";
import {
  erasedTable,
  type Tombstone,
  type Tombstones,
  tombstonesOver,
  tombstoneWrites,
} from "./listing/tombstones.ts";
import { troubleOf } from "./table-trouble.ts";
import { type Snapshot, takeSnapshot } from "./read/snapshot.ts";
import type { TableStoreOptions } from "./table-store-options.ts";
import { listedStatus, type TableStoreStatus } from "./table-store-status.ts";

type Frozen = { readonly memory: MemoryTable; readonly to: Position };

export class TableStore {
  readonly #options: TableStoreOptions;
  readonly #files: TableFiles;
  readonly #pace: Pace;
  readonly #refused: RefusedRows;
  readonly #rowsMax: number;
  readonly #spares: SpareSlabs;
  readonly #flushedTimes = new FlushedTimes();
  #listing: Listing;
  #tombstones: Tombstones;
  /** As the state store has them. */
  #storedTombstones: Tombstones;
  #active: MemoryTable;
  #frozen: Frozen | undefined;
  /** Everything below was taken. */
  #taken: Position;
  #nextId: number;
  #working: Promise<void> | undefined;
  #isAsked = false;
  #started = false;
  #closing = false;
  /** The state store broke: nothing is written until it is opened again. */
  #failure: Fault | undefined;
  #cancelLook: (() => void) | undefined;
  #trouble: TableStoreStatus["trouble"];
  #flushes = 0;
  #compactions = 0;
  #bytesFlushed = 0;
  #bytesCompacted = 0;
  #roomWanted: PromiseWithResolvers<void> | undefined;
  #onChanged: () => void = () => undefined;
  #onFailed: (fault: Fault) => void = () => undefined;

  /** Use openTableStore (open-table-store.ts). */
  constructor(
    options: TableStoreOptions,
    opened: {
      readonly listing: Listing;
      readonly tombstones: Tombstones;
      readonly files: TableFiles;
    },
  ) {
    const { listing, tombstones, files } = opened;
    this.#options = options;
    this.#listing = listing;
    this.#tombstones = tombstones;
    this.#storedTombstones = tombstones;
    this.#files = files;
    files.notes.onNoted(() => this.#work());
    this.#refused = options.refused;
    this.#rowsMax = options.rowsMax ?? limits.memoryTableRowsMax;
    this.#spares = new SpareSlabs(this.#rowsMax);
    this.#pace = new Pace(options.clock);
    this.#taken = listing.head.through;
    this.#active = new MemoryTable(this.#taken, this.#spares);
    this.#nextId = listing.head.next;
  }

  /** Replay for tables begins here; the log below is not needed for them. */
  get through(): Position {
    return this.#listing.head.through;
  }

  /** Memory is full and the one before is not written yet: no more is to be taken. */
  get isFull(): boolean {
    return this.#frozen !== undefined && this.#isDue();
  }

  /** Rows from `through` on that were not accepted, for the checkpoint. */
  encodeRefused(): Uint8Array {
    return this.#refused.encode();
  }

  get status(): TableStoreStatus {
    const memories = this.#memories();
    const erased = memories.reduce((sum, memory) => sum + memory.erased, 0);
    const lost = memories.reduce((sum, memory) => sum + memory.lost, 0);
    const listed = listedStatus(this.#listing, this.#files);
    return {
      ...listed,
      counts: {
        ...listed.counts,
        flushed: listed.counts.flushed + lost,
        erased: listed.counts.erased + erased,
        lost: listed.counts.lost + lost,
      },
      inMemory: memories.reduce((sum, { rows }) => sum + rows, 0) - erased,
      tombstones: this.#tombstones.all.length,
      flushes: this.#flushes,
      compactions: this.#compactions,
      bytesFlushed: this.#bytesFlushed,
      bytesCompacted: this.#bytesCompacted,
      trouble: this.#trouble,
    };
  }

  /** Called whenever there is room again, or `through` has moved. */
  onChanged(run: () => void): void {
    this.#onChanged = run;
  }

  /** Called once where the state store fails under it: no more is written, whatever is tried. */
  onFailed(run: (fault: Fault) => void): void {
    this.#onFailed = run;
  }

  /** Takes what was accepted of a frame that the dataflow applied; copies it. */
  take({ at, batch, accepted, acceptedCount }: Step): void {
    if (at + batch.rows <= this.#taken) return;
    this.#refused.note(at, batch.rows, accepted, acceptedCount);
    this.#add(at, batch, accepted, acceptedCount);
  }

  /** Takes a batch that lies before the operators' checkpoint, which knows what was refused of it. */
  replay(at: Position, batch: Batch): void {
    if (at + batch.rows <= this.#taken) return;
    const accepted = new Uint32Array(batch.rows);
    const count = this.#refused.acceptedOf(at, batch.rows, accepted);
    this.#add(at, batch, accepted, count);
  }

  /** The log has lost [from, to) before the checkpoint: what was accepted of it is in no table. */
  replayLost(from: Position, to: Position): void {
    const begin = Math.max(from, this.#taken);
    if (to <= begin) return;
    // The first position is a frame's own; where further ones are, nobody can tell any more.
    this.#active.noteLost(to - begin - 1 - this.#refused.countIn(begin, to));
    this.#taken = to;
  }

  /**
   * Resolves when there is room for more; at once where the disk does not take what is there. Rejects
   * where the state store failed.
   */
  async room(): Promise<void> {
    while (this.isFull && this.#trouble === undefined && !this.#closing) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#roomWanted ??= Promise.withResolvers();
      await this.#roomWanted.promise;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * These readings, as far as they were accepted before position `at`, are gone from every answer, and
   * from the files as soon as they are written anew. Call before the rows of the frame at `at` are
   * taken; in a replay again.
   */
  erase(tombstone: Tombstone): void {
    if (tombstone.at < this.through) return;
    for (const series of tombstone.series) this.#active.erase(series, tombstone.range);
    if (this.#tombstones.has(tombstone.at)) return;
    this.#tombstones = this.#tombstones.with(tombstone);
    this.#work();
  }

  /** From now on there is compaction, too. Call when everything is replayed. */
  start(): void {
    this.#started = true;
    this.#lookAgain();
  }

  /** Writes what is in memory as soon as possible: the log needs its room. */
  wantFlush(): void {
    this.#freeze();
  }

  /** Flushing and compaction let this go first; see Pace. */
  giveWayTo(work: Promise<unknown>): void {
    this.#pace.giveWayTo(work);
  }

  /** Everything there is now, for a query. */
  snapshot(): Snapshot {
    return takeSnapshot({
      tables: this.#listing.tables,
      memories: this.#memories(),
      files: this.#files,
      tombstones: this.#tombstones,
      pace: new Pace(this.#options.clock),
    });
  }

  /** Resolves when nothing is left to do at the moment. */
  async settle(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
    await this.#files.settle();
  }

  /** Stops what is under way; memory is in the log. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#cancelLook?.();
    this.#pace.stop();
    await this.#working;
    await this.#files.close();
  }

  #add(at: Position, batch: Batch, accepted: Uint32Array, count: number): void {
    this.#active.add(batch, accepted, count);
    this.#taken = position(at + batch.rows);
    if (this.#isDue() || this.#refused.isFull) this.#freeze();
  }

  /** Oldest first. */
  #memories(): readonly MemoryTable[] {
    return this.#frozen === undefined ? [this.#active] : [this.#frozen.memory, this.#active];
  }

  #isDue(): boolean {
    return this.#active.rows >= this.#rowsMax;
  }

  #freeze(): void {
    if (this.#frozen !== undefined || this.#taken === this.#listing.head.through) return;
    this.#active.freeze(this.#taken);
    this.#frozen = { memory: this.#active, to: this.#taken };
    this.#active = new MemoryTable(this.#taken, this.#spares);
    this.#work();
  }

  // ---- beside the loop ----

  /** Time passes and disks fill up although nothing is flushed. */
  #lookAgain(): void {
    this.#work();
    this.#cancelLook = this.#options.clock.after(limits.storeLookMs, () => this.#lookAgain());
  }

  #work(): void {
    this.#isAsked = true;
    if (this.#working !== undefined || this.#closing || this.#failure !== undefined) return;
    this.#working = this.#workNow().finally(() => {
      this.#working = undefined;
      // It may have been asked for after the last look at what there is to do.
      if (this.#isAsked) this.#work();
    });
  }

  async #workNow(): Promise<void> {
    while (!this.#closing) {
      this.#isAsked = false;
      const firstId = this.#nextId;
      try {
        const isMore = await this.#workStep();
        this.#trouble = undefined;
        if (!isMore) return;
      } catch (error) {
        const isStopped = error instanceof Stopped;
        if (!isStopped) this.#trouble = troubleOf(error);
        this.#tellRoom();
        if (error instanceof Fault && error.code === "STORE_FAILED") return this.#fail(error);
        this.#dropFrom(firstId);
        if (isStopped) return;
        await this.#pace.rest(limits.diskRetryMs);
      }
    }
  }

  /** What a failed flush or compaction wrote is of no use, unless a list names it by now. */
  #dropFrom(firstId: number): void {
    const ids = Array.from({ length: this.#nextId - firstId }, (_, n) => firstId + n);
    this.#files.drop(ids.filter((id) => !this.#listing.tables.some((table) => table.id === id)));
  }

  #tellRoom(): void {
    this.#roomWanted?.resolve();
    this.#roomWanted = undefined;
  }

  /**
   * Whether the list has changed nobody knows until the state store is opened again, so the files
   * stay: those that it does not name go then.
   */
  #fail(fault: Fault): void {
    this.#failure = fault;
    this.#onFailed(fault);
  }

  /** The most urgent of what is to do; false where there is nothing. */
  async #workStep(): Promise<boolean> {
    if (this.#frozen !== undefined) {
      await this.#flush(this.#frozen);
      return true;
    }
    if (this.#tombstones !== this.#storedTombstones) {
      await this.#swap({ added: [], removed: [], ...this.#listing.head });
      return true;
    }
    if (!this.#started) return false;
    const policy = await policyNow(this.#options, this.#files, () => this.status.bytes);
    const { notes } = this.#files;
    const tables = readableTables(this.#listing.tables, notes, this.#options.clock.monotonic());
    const damaged = nextDamaged(tables, notes);
    if (damaged !== undefined) {
      await this.#setAside(damaged);
      return true;
    }
    const erasing = await this.#nextErased(tables);
    const job = erasing ?? planCompaction(tables, policy, this.#options.clockNow());
    const last = job ?? nextMending(tables, notes);
    if (last !== undefined) await this.#compact(last);
    return last !== undefined || this.#tombstones !== this.#storedTombstones;
  }

  /** Where no table is left to be written without erased readings, their tombstones go. */
  async #nextErased(tables: readonly ListedTable[]): Promise<CompactionJob | undefined> {
    const table = await erasedTable(tables, this.#tombstones, this.#files);
    if (table !== undefined) return eraseJob(table);
    const waiting = this.#listing.tables.filter((listed) => !tables.includes(listed));
    const below = this.#frozen?.to;
    const over = tombstonesOver(this.#tombstones, waiting, below);
    if (over.length > 0) this.#tombstones = this.#tombstones.without(over);
    return undefined;
  }

  /** Unless it can be read by now. */
  async #setAside(table: ListedTable): Promise<void> {
    const { notes } = this.#files;
    const held = await this.#files.holdAgain(table.id);
    if (held.kind === "table") {
      held[Symbol.dispose]();
      notes.forget(table.id);
      return;
    }
    const why = notes.damage.get(table.id)?.extent === "missing" ? "missing" : "damaged";
    const { through, counts } = this.#listing.head; // as of now: it was waited before
    await this.#swap({
      added: [],
      removed: [table],
      quarantined: [{ why, reason: held.reason, table }],
      through,
      counts: { ...counts, lost: counts.lost + table.readings },
    });
  }

  async #flush({ memory, to }: Frozen): Promise<void> {
    const { disk, directory, deviceOf, classOf = () => undefined } = this.#options;
    const times = this.#flushedTimes;
    times.begin();
    const added = await flushMemory(memory, {
      disk,
      directory,
      pace: this.#pace,
      deviceOf,
      classOf,
      to,
      flushedThrough: (partition, series) => times.through(partition, series, this.#listing.tables),
      noteFlushed: (partition, series, time) => times.note(partition, series, time),
      nextId: () => this.#nextId++,
    });
    if (added.length > 0) await disk.syncDirectory(directory);
    const { counts } = this.#listing.head;
    await this.#swap({
      added,
      removed: [],
      through: to,
      counts: {
        ...counts,
        flushed: counts.flushed + memory.rows - memory.erased + memory.lost,
        erased: counts.erased + memory.erased,
        lost: counts.lost + memory.lost,
      },
    });
    times.settle(this.#listing.tables);
    this.#refused.forgetBelow(to);
    this.#frozen = undefined;
    memory.retire();
    this.#flushes += 1;
    this.#bytesFlushed += added.reduce((sum, { bytes }) => sum + bytes, 0);
    if (this.#isDue()) this.#freeze();
    this.#tellRoom();
    this.#onChanged();
  }

  async #compact({ kind, inputs, finest, level }: CompactionJob): Promise<void> {
    const { disk, directory, deviceOf, policy } = this.#options;
    const before = readingsOf(inputs);
    if (finest === undefined) {
      const { counts, through } = this.#listing.head;
      const expired = counts.expired + before;
      await this.#swap({ added: [], removed: inputs, through, counts: { ...counts, expired } });
      return;
    }
    if (!(await this.#files.canOpen(inputs))) return; // it is set aside first
    const files = this.#files;
    const { table, report } = await mergeAroundDamage(inputs, {
      disk,
      directory,
      files,
      tombstones: this.#tombstones,
      pace: { breathe: () => this.#giveWay() },
      deviceOf,
      nextId: () => this.#nextId++,
      level,
      finest,
      tiers: policy.tiers,
    });
    const added = table === undefined ? [] : [table];
    const damaged = inputs.filter(({ id }) => report.damaged.has(id));
    const isAskedFor = inputs.some(({ id }) => files.notes.damage.get(id)?.extent === "figures");
    if (kind === "mend" && damaged.length === 0 && !isAskedFor) {
      // It can be read by now.
      files.drop(added.map(({ id }) => id));
      for (const { id } of inputs) files.notes.forget(id);
      return;
    }
    if (added.length > 0) await disk.syncDirectory(directory);
    const { counts, through } = this.#listing.head; // a flush may have changed it meanwhile
    const erased = counts.erased + report.erased;
    const lost = counts.lost + before - (table?.readings ?? 0) - report.erased;
    const quarantined = damaged.map((input): QuarantinedTable => {
      return { why: "mended", reason: report.damaged.get(input.id) ?? "", table: input };
    });
    const moved = { ...counts, lost, erased };
    await this.#swap({ added, removed: inputs, quarantined, through, counts: moved });
    this.#compactions += 1;
    this.#bytesCompacted += table?.bytes ?? 0;
  }

  /** Between two steps of a merge: a full memory does not wait for its end. */
  async #giveWay(): Promise<void> {
    if (this.#frozen !== undefined) await this.#flush(this.#frozen);
    await this.#pace.breathe(() => mergeShareNow(this.#listing.tables, this.#options));
  }

  /** One transaction. */
  async #swap(change: {
    readonly added: readonly ListedTable[];
    readonly removed: readonly ListedTable[];
    /** Of those that are removed. */
    readonly quarantined?: readonly QuarantinedTable[];
    readonly through: Position;
    readonly counts: TableCounts;
  }): Promise<void> {
    const { added, removed, quarantined = [], through, counts } = change;
    const head = { next: this.#nextId, through, counts };
    const { after, writes } = changedListing(this.#listing, { head, added, removed, quarantined });
    // Whatever moves `through` on stores them, too: behind it no replay tells of them again.
    const tombstones = this.#tombstones;
    const written = tombstoneWrites(this.#storedTombstones, tombstones);
    await this.#options.store.advance([...writes, ...written]);
    this.#listing = after;
    this.#storedTombstones = tombstones;
    const setAside = new Set(quarantined.map(({ table }) => table.id));
    const ids = removed.map(({ id }) => id);
    this.#files.drop(ids.filter((id) => !setAside.has(id)));
    this.#files.setAside(ids.filter((id) => setAside.has(id)));
  }
}
