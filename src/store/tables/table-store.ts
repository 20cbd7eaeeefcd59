/**
 * The table store: every accepted reading, from memory into immutable sorted files.
 *
 *   take -> memory table -> (full) -> frozen -> flush -> tables, listed in one transaction
 *
 * The log has what memory holds, so a crash costs nothing but filling it again: `through` says from
 * which position on. The log is recycled below both `through` and the operators' checkpoint. One
 * memory table is filled while at most one other is written; when both are full the loop waits, and
 * with it the senders.
 *
 * What runs beside the loop (flush, compaction) runs here, one thing at a time, in small steps. A
 * disk that is full or broken is tried again; meanwhile the status says so.
 */

import type { Batch } from "../../core/batch.ts";
import type { Clock, Disk, Kv } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { type Position, position, type SeriesId } from "../../core/units.ts";
import type { Step } from "../../edge-ops/operator.ts";
import type { StateStore } from "../state-store.ts";
import { type CompactionJob, type CompactionPolicy, planCompaction } from "./compaction-plan.ts";
import { flushMemory } from "./flush.ts";
import { FlushedTimes } from "./flushed-times.ts";
import { MemoryTable } from "./memory-table.ts";
import { mergeTables } from "./merge-tables.ts";
import { Pace, Stopped } from "./pace.ts";
import type { RefusedRows } from "./refused-rows.ts";
import { TableFiles, tableIdOf } from "./table-files.ts";
import {
  type ListedTable,
  readTableList,
  swapWrites,
  type TableCounts,
  type TableHead,
} from "./table-list.ts";

export type TableStoreOptions = {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly kv: Kv;
  readonly store: StateStore;
  /** Its own; made where it does not exist. */
  readonly directory: string;
  /** Series of one device share their stamps. */
  readonly deviceOf: (series: SeriesId) => number;
  /** Where tables begin in a store that had none: the operators' checkpoint. */
  readonly from: Position;
  /** What the checkpoint knows of rows from `through` on. */
  readonly refused: RefusedRows;
  readonly policy: CompactionPolicy;
  /** Event time that is surely reached by the clock; undefined while nobody can tell. */
  readonly clockNow: () => number | undefined;
  /** Default limits.memoryTableRowsMax. */
  readonly rowsMax?: number;
};

export type TableStoreStatus = {
  readonly tables: number;
  readonly bytes: number;
  /** Readings in memory that no table has yet. */
  readonly inMemory: number;
  /** Readings that listed tables stand for. */
  readonly inTables: number;
  readonly through: Position;
  readonly counts: TableCounts;
  readonly flushes: number;
  readonly compactions: number;
  /** Written into tables by this process: by flushes, and by compactions. */
  readonly bytesFlushed: number;
  readonly bytesCompacted: number;
  /** Listed tables whose file is not there. */
  readonly missing: readonly number[];
  readonly trouble: { readonly code: string; readonly message: string } | undefined;
};

/** What a query looks at: it does not change while the query runs. Dispose of it afterwards. */
export type Snapshot = Disposable & {
  readonly tables: readonly ListedTable[];
  /** Oldest first. */
  readonly memories: readonly MemoryTable[];
  readonly files: TableFiles;
  /** The query's own: it breathes between blocks, and ends with Stopped once this is stopped. */
  readonly pace: Pace;
};

type Frozen = { readonly memory: MemoryTable; readonly to: Position };

/** Faults: STORE_FAILED for a damaged list, what the disk says of the directory. */
export async function openTableStore(options: TableStoreOptions): Promise<TableStore> {
  const { disk, kv, store, directory, from } = options;
  await disk.makeDirectory(directory);
  let list = readTableList(kv);
  if (list === undefined) {
    const counts = { flushed: 0, expired: 0, erased: 0, lost: 0 };
    list = { head: { next: 0, through: from, counts }, tables: [] };
    await store.advance(swapWrites({ head: list.head, added: [], removed: [] }));
  }
  const found = new Set<number>();
  for (const name of await disk.list(directory)) {
    const id = tableIdOf(name);
    if (id !== undefined) found.add(id);
  }
  const listed = new Set(list.tables.map(({ id }) => id));
  const files = new TableFiles(disk, directory);
  files.drop([...found].filter((id) => !listed.has(id)));
  await files.settle();
  const missing = [...listed].filter((id) => !found.has(id));
  return new TableStore(options, { head: list.head, tables: list.tables, missing, files });
}

export class TableStore {
  readonly #options: TableStoreOptions;
  readonly #files: TableFiles;
  readonly #pace: Pace;
  readonly #refused: RefusedRows;
  readonly #flushedTimes = new FlushedTimes();
  readonly #rowsMax: number;
  readonly #missing: readonly number[];
  #head: TableHead;
  #tables: readonly ListedTable[];
  #active: MemoryTable;
  #frozen: Frozen | undefined;
  /** Everything below was taken. */
  #taken: Position;
  #nextId: number;
  #working: Promise<void> | undefined;
  #started = false;
  #closing = false;
  #wakeEarly: (() => void) | undefined;
  #cancelLook: (() => void) | undefined;
  #trouble: TableStoreStatus["trouble"];
  #flushes = 0;
  #compactions = 0;
  #bytesFlushed = 0;
  #bytesCompacted = 0;
  #onChanged: () => void = () => undefined;

  /** Use openTableStore. */
  constructor(
    options: TableStoreOptions,
    opened: {
      readonly head: TableHead;
      readonly tables: readonly ListedTable[];
      readonly missing: readonly number[];
      readonly files: TableFiles;
    },
  ) {
    this.#options = options;
    this.#head = opened.head;
    this.#tables = opened.tables;
    this.#missing = opened.missing;
    this.#files = opened.files;
    this.#refused = options.refused;
    this.#rowsMax = options.rowsMax ?? limits.memoryTableRowsMax;
    this.#pace = new Pace(options.clock);
    this.#taken = this.#head.through;
    this.#active = new MemoryTable(this.#taken);
    this.#nextId = this.#head.next;
  }

  /** Replay for tables begins here; the log below is not needed for them. */
  get through(): Position {
    return this.#head.through;
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
    return {
      tables: this.#tables.length,
      bytes: this.#bytes,
      inMemory: this.#active.rows + (this.#frozen?.memory.rows ?? 0),
      inTables: this.#tables.reduce((sum, table) => sum + table.readings, 0),
      through: this.#head.through,
      counts: this.#head.counts,
      flushes: this.#flushes,
      compactions: this.#compactions,
      bytesFlushed: this.#bytesFlushed,
      bytesCompacted: this.#bytesCompacted,
      missing: this.#missing,
      trouble: this.#trouble,
    };
  }

  /** Called whenever there is room again, or `through` has moved. */
  onChanged(run: () => void): void {
    this.#onChanged = run;
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

  /** From now on there is compaction, too. Call when everything is replayed. */
  start(): void {
    this.#started = true;
    this.#lookAgain();
  }

  /** Writes what is in memory as soon as possible: the log needs its room. */
  wantFlush(): void {
    this.#freeze();
  }

  /** Everything there is now, for a query. */
  snapshot(): Snapshot {
    const tables = this.#tables;
    const unpin = this.#files.pin(tables.map(({ id }) => id));
    const memories = [...(this.#frozen === undefined ? [] : [this.#frozen.memory]), this.#active];
    const pace = new Pace(this.#options.clock);
    return { tables, memories, files: this.#files, pace, [Symbol.dispose]: unpin };
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
    this.#wakeEarly?.();
    await this.#working;
    await this.#files.close();
  }

  #add(at: Position, batch: Batch, accepted: Uint32Array, count: number): void {
    this.#active.add(batch, accepted, count);
    this.#taken = position(at + batch.rows);
    if (this.#isDue() || this.#refused.isFull) this.#freeze();
  }

  #isDue(): boolean {
    return this.#active.rows >= this.#rowsMax;
  }

  #freeze(): void {
    if (this.#frozen !== undefined || this.#taken === this.#head.through) return;
    this.#frozen = { memory: this.#active, to: this.#taken };
    this.#active = new MemoryTable(this.#taken);
    this.#work();
  }

  // ---- beside the loop ----

  /** Time passes and disks fill up although nothing is flushed. */
  #lookAgain(): void {
    this.#work();
    this.#cancelLook = this.#options.clock.after(limits.storeLookMs, () => this.#lookAgain());
  }

  #work(): void {
    if (this.#working !== undefined || this.#closing) return;
    this.#working = this.#workNow().finally(() => {
      this.#working = undefined;
      if (this.#frozen !== undefined) this.#work(); // frozen as the work came to its end
    });
  }

  async #workNow(): Promise<void> {
    while (!this.#closing) {
      try {
        if (!(await this.#workStep()) && this.#frozen === undefined) return;
        this.#trouble = undefined;
      } catch (error) {
        if (error instanceof Stopped) return;
        this.#trouble = troubleOf(error);
        await this.#afterMs(limits.diskRetryMs);
      }
    }
  }

  /** The most urgent of what is to do; false where there is nothing. */
  async #workStep(): Promise<boolean> {
    if (this.#frozen !== undefined) {
      await this.#flush(this.#frozen);
      return true;
    }
    if (!this.#started) return false;
    const job = planCompaction(this.#tables, await this.#policyNow(), this.#timeReached());
    if (job === undefined) return false;
    await this.#compact(job);
    return true;
  }

  /** Where the disk has less free space than is left to others, tables may take that much less. */
  async #policyNow(): Promise<CompactionPolicy> {
    const { disk, directory, policy } = this.#options;
    await this.#files.settle(); // what was replaced is gone, if no query reads it
    if (this.#files.counters.unwanted > 0) return policy;
    const lacking = policy.freeBytesMin - (await disk.freeBytes(directory));
    if (lacking <= 0) return policy;
    return { ...policy, bytesMax: Math.min(policy.bytesMax, this.#bytes - lacking) };
  }

  get #bytes(): number {
    return this.#tables.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * What is older than it is kept is judged by the clock and by the newest reading, whichever is
   * earlier: neither a clock that was set wrong nor a device from the future makes readings expire.
   */
  #timeReached(): number | undefined {
    const now = this.#options.clockNow();
    if (now === undefined) return undefined;
    const newest = this.#tables.reduce((time, table) => Math.max(time, table.timeLast), -Infinity);
    return Math.min(now, newest);
  }

  async #flush({ memory, to }: Frozen): Promise<void> {
    const { disk, directory, deviceOf } = this.#options;
    const times = this.#flushedTimes;
    times.begin();
    const added = await flushMemory(memory, {
      disk,
      directory,
      pace: this.#pace,
      deviceOf,
      flushedThrough: (partition, series) => times.through(partition, series, this.#tables),
      noteFlushed: (partition, series, time) => times.note(partition, series, time),
      nextId: () => this.#nextId++,
    });
    if (added.length > 0) await disk.syncDirectory(directory);
    const { counts } = this.#head;
    await this.#swap({
      added,
      removed: [],
      through: to,
      counts: { ...counts, flushed: counts.flushed + memory.rows },
    });
    times.settle(this.#tables);
    this.#refused.forgetBelow(to);
    this.#frozen = undefined;
    this.#flushes += 1;
    this.#bytesFlushed += added.reduce((sum, { bytes }) => sum + bytes, 0);
    if (this.#isDue()) this.#freeze();
    this.#onChanged();
  }

  async #compact({ inputs, finest, level }: CompactionJob): Promise<void> {
    const { disk, directory, deviceOf, policy } = this.#options;
    const before = inputs.reduce((sum, { readings }) => sum + readings, 0);
    const { counts, through } = this.#head;
    if (finest === undefined) {
      const expired = counts.expired + before;
      await this.#swap({ added: [], removed: inputs, through, counts: { ...counts, expired } });
      return;
    }
    const { table } = await mergeTables(inputs, {
      disk,
      directory,
      files: this.#files,
      pace: this.#pace,
      deviceOf,
      id: this.#nextId++,
      level,
      finest,
      tiers: policy.tiers,
    });
    const added = table === undefined ? [] : [table];
    if (added.length > 0) await disk.syncDirectory(directory);
    const lost = counts.lost + before - (table?.readings ?? 0);
    await this.#swap({ added, removed: inputs, through, counts: { ...counts, lost } });
    this.#compactions += 1;
    this.#bytesCompacted += table?.bytes ?? 0;
  }

  /** One transaction; after a failed one the new files are of no use. */
  async #swap(change: {
    readonly added: readonly ListedTable[];
    readonly removed: readonly ListedTable[];
    readonly through: Position;
    readonly counts: TableCounts;
  }): Promise<void> {
    const { added, removed, through, counts } = change;
    const head = { next: this.#nextId, through, counts };
    try {
      await this.#options.store.advance(swapWrites({ head, added, removed }));
    } catch (error) {
      this.#files.drop(added.map(({ id }) => id));
      throw error;
    }
    this.#head = head;
    this.#tables = [...this.#tables.filter((table) => !removed.includes(table)), ...added];
    this.#files.drop(removed.map(({ id }) => id));
  }

  #afterMs(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(delayMs, resolve);
      this.#wakeEarly = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** An environment failure in a sentence; a bug is thrown on. */
function troubleOf(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof Fault) return { code: error.code, message: error.message };
  if (!isEnvironmental(error)) throw error;
  const { code } = error;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return full
    ? {
        code: "DISK_FULL",
        message:
          "there is no space left for tables of readings; free some space and they are written by themselves",
      }
    : {
        code: "DISK_FAILED",
        message: `tables of readings cannot be written (${code}); check the disk: it is tried again by itself`,
      };
}
