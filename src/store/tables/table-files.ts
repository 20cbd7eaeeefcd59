/**
 * The files of the table store: names, which are open, which may go.
 *
 *   hold    a table is open until it is let go; then it stays open while few are
 *   pin     a file stays on disk although compaction has replaced it: a query still reads it
 *
 * A replaced file is removed when nobody pins it; one that a crash leaves behind is removed when the
 * store is opened, since no table list names it.
 */

import { join } from "node:path";
import type { Disk } from "../../core/doors.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { openTable, type Table } from "./table-reader.ts";

export function tablePath(directory: string, id: number): string {
  return join(directory, `table-${String(id).padStart(10, "0")}.tbl`);
}

/** The id in a file's name, or undefined where it is no table's. */
export function tableIdOf(name: string): number | undefined {
  const digits = /^table-(\d{10,})\.tbl$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** A table that is open until it is disposed of. */
export type Held = Disposable & { readonly kind: "table"; readonly table: Table };
export type Damaged = { readonly kind: "damaged"; readonly reason: string };

type OpenTable = { readonly table: Table; holders: number };

export class TableFiles {
  readonly #disk: Disk;
  readonly #directory: string;
  /** In the order of their last use. */
  readonly #open = new Map<number, OpenTable>();
  readonly #opening = new Map<number, Promise<OpenTable | Damaged>>();
  readonly #pins = new Map<number, number>();
  /** Replaced, but pinned or open. */
  readonly #unwanted = new Set<number>();
  #work: Promise<void> = Promise.resolve();
  #removeFailures = 0;

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  get counters(): {
    readonly open: number;
    readonly unwanted: number;
    readonly removeFailures: number;
  } {
    return {
      open: this.#open.size,
      unwanted: this.#unwanted.size,
      removeFailures: this.#removeFailures,
    };
  }

  /** Opens the table unless it is open. Rejects with what the disk says, or FORMAT_TOO_NEW. */
  async hold(id: number): Promise<Held | Damaged> {
    const open = await this.#opened(id);
    if ("kind" in open) return open;
    open.holders += 1;
    let isHeld = true;
    return {
      kind: "table",
      table: open.table,
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        open.holders -= 1;
        this.#later(() => this.#closeUnused());
      },
    };
  }

  /** Keeps the files of these tables until the result is called. */
  pin(ids: readonly number[]): () => void {
    for (const id of ids) this.#pins.set(id, (this.#pins.get(id) ?? 0) + 1);
    return () => {
      for (const id of ids) {
        const left = (this.#pins.get(id) ?? 0) - 1;
        if (left > 0) this.#pins.set(id, left);
        else this.#pins.delete(id);
      }
      this.#later(() => this.#removeUnwanted());
    };
  }

  /** These tables are not listed any more: their files go as soon as nobody needs them. */
  drop(ids: readonly number[]): void {
    for (const id of ids) this.#unwanted.add(id);
    this.#later(() => this.#removeUnwanted());
  }

  /** Resolves when what was asked for so far is done. */
  async settle(): Promise<void> {
    await this.#work;
  }

  async close(): Promise<void> {
    await this.#work;
    for (const { table } of this.#open.values()) await table.close();
    this.#open.clear();
  }

  async #opened(id: number): Promise<OpenTable | Damaged> {
    const open = this.#open.get(id);
    if (open !== undefined) {
      this.#open.delete(id);
      this.#open.set(id, open);
      return open;
    }
    const opening = this.#opening.get(id) ?? this.#openNow(id);
    this.#opening.set(id, opening);
    try {
      return await opening;
    } finally {
      this.#opening.delete(id);
    }
  }

  async #openNow(id: number): Promise<OpenTable | Damaged> {
    const opened = await openTable(this.#disk, tablePath(this.#directory, id));
    if (opened.kind === "damaged") return opened;
    const open = { table: opened.table, holders: 0 };
    this.#open.set(id, open);
    return open;
  }

  async #closeUnused(): Promise<void> {
    for (const [id, { table, holders }] of this.#open) {
      if (this.#open.size <= limits.tablesOpenMax) return;
      if (holders > 0) continue;
      this.#open.delete(id);
      await table.close();
    }
  }

  async #removeUnwanted(): Promise<void> {
    for (const id of this.#unwanted) {
      const open = this.#open.get(id);
      if (this.#pins.has(id) || (open !== undefined && open.holders > 0)) continue;
      this.#open.delete(id);
      await open?.table.close();
      await this.#remove(id);
    }
  }

  /** A file that cannot be removed now is found, unlisted, when the store is opened again. */
  async #remove(id: number): Promise<void> {
    try {
      await this.#disk.remove(tablePath(this.#directory, id));
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
      if (error.code !== "ENOENT") this.#removeFailures += 1;
    }
    this.#unwanted.delete(id);
  }

  #later(run: () => Promise<void>): void {
    this.#work = this.#work.then(run);
  }
}
