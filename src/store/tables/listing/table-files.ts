/**
 * The files of the table store: names, which are open, which may go.
 *
 *   hold    a table is open until it is let go; then it stays open while few are
 *   pin     a file stays on disk although compaction has replaced it: a query still reads it
 *
 * A replaced file is removed when nobody pins it, or moved into quarantine where it is damaged; one that
 * a crash leaves behind is removed when the store is opened, since no table list names it.
 */

import { join } from "node:path";
import type { Disk } from "../../../core/doors.ts";
import { isEnvironmental } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { QuarantineFiles } from "./quarantine-files.ts";
import { TableNotes } from "./table-notes.ts";
import { type OpenedTable, openTable, type Table, type TableFile } from "../file/table-reader.ts";

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
  /** Replaced, but pinned or open; and what becomes of the file. */
  readonly #unwanted = new Map<number, "removed" | "quarantined">();
  /** What reading has found out. */
  readonly notes: TableNotes = new TableNotes();
  readonly quarantine: QuarantineFiles;
  #work: Promise<void> = Promise.resolve();
  #removeFailures = 0;

  constructor(
    disk: Disk,
    directory: string,
    { quarantineBytesMax }: { readonly quarantineBytesMax: number },
  ) {
    this.#disk = disk;
    this.#directory = directory;
    this.quarantine = new QuarantineFiles(disk, directory, { bytesMax: quarantineBytesMax });
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

  /**
   * Opens the table unless it is open; a file that is missing is damage. Rejects with what the disk
   * says, or FORMAT_TOO_NEW.
   */
  async hold(id: number): Promise<Held | Damaged> {
    const open = await this.#held(id);
    if ("kind" in open) return open;
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

  /** As hold, but what an opening that is under way finds does not count. */
  async holdAgain(id: number): Promise<Held | Damaged> {
    await this.#opening.get(id);
    return await this.hold(id);
  }

  /** False where one of them is damaged altogether. Rejects as `hold`. */
  async canOpen(tables: readonly { readonly id: number }[]): Promise<boolean> {
    for (const { id } of tables) {
      const held = await this.hold(id);
      if (held.kind === "damaged") return false;
      held[Symbol.dispose]();
    }
    return true;
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
    this.#letGo(ids, "removed");
  }

  /** The same for damaged tables: their files go into quarantine. */
  setAside(ids: readonly number[]): void {
    this.#letGo(ids, "quarantined");
  }

  /** Looks what is in quarantine; where that fails, it is done when something comes there. */
  openQuarantine(): void {
    this.#later(() => this.quarantine.open());
  }

  /** Removes files from quarantine; gives the bytes that became free, `bytes` or what there was. */
  async giveWay(bytes: number): Promise<number> {
    let freed = 0;
    this.#later(async () => {
      freed = await this.quarantine.giveWay(bytes);
    });
    await this.#work;
    return freed;
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

  /** Counts the holder at once: between two steps, what nobody holds is closed. */
  async #held(id: number): Promise<OpenTable | Damaged> {
    const open = this.#open.get(id);
    if (open !== undefined) {
      this.#open.delete(id);
      this.#open.set(id, open);
      open.holders += 1;
      return open;
    }
    const opening = this.#opening.get(id) ?? this.#openNow(id);
    this.#opening.set(id, opening);
    try {
      const opened = await opening;
      if (!("kind" in opened)) opened.holders += 1;
      return opened;
    } finally {
      this.#opening.delete(id);
    }
  }

  #letGo(ids: readonly number[], fate: "removed" | "quarantined"): void {
    for (const id of ids) {
      this.#unwanted.set(id, fate);
      this.notes.forget(id);
    }
    this.#later(() => this.#removeUnwanted());
  }

  async #openNow(id: number): Promise<OpenTable | Damaged> {
    const path = tablePath(this.#directory, id);
    const opened = await this.#noting(id, () => this.#openFile(id, path));
    if (opened.kind !== "table") {
      const { kind, reason } = opened;
      this.notes.noteDamage(id, { extent: kind === "missing" ? kind : "whole", reason });
      return { kind: "damaged", reason };
    }
    const open = { table: opened.table, holders: 0 };
    this.#open.set(id, open);
    return open;
  }

  async #openFile(
    id: number,
    path: string,
  ): Promise<OpenedTable | { readonly kind: "missing"; readonly reason: string }> {
    const open = async (): Promise<TableFile> => {
      const file = await this.#disk.open(path, { create: false });
      return {
        read: (target, offset) => this.#noting(id, () => file.read(target, offset)),
        size: () => file.size(),
        close: () => file.close(),
      };
    };
    try {
      return await openTable({ open }, path);
    } catch (error) {
      if (!isEnvironmental(error) || error.code !== "ENOENT") throw error;
      return { kind: "missing", reason: `${path} is not there` };
    }
  }

  /** Notes where the disk fails, which says nothing about the table. */
  async #noting<Answer>(id: number, ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (error) {
      if (isEnvironmental(error) && error.code === "EIO") {
        this.notes.noteUnreadable(id, `${tablePath(this.#directory, id)} (${error.code})`);
      }
      throw error;
    }
  }

  async #closeUnused(): Promise<void> {
    for (const [id, { table, holders }] of this.#open) {
      if (this.#open.size <= limits.tablesOpenMax) return;
      if (holders > 0 || this.#opening.has(id)) continue;
      this.#open.delete(id);
      await table.close();
    }
  }

  async #removeUnwanted(): Promise<void> {
    for (const [id, fate] of this.#unwanted) {
      const open = this.#open.get(id);
      if (this.#pins.has(id) || this.#opening.has(id) || (open?.holders ?? 0) > 0) continue;
      this.#open.delete(id);
      await open?.table.close();
      await this.#remove(id, fate);
    }
  }

  /** A file that cannot be removed now is found, unlisted, when the store is opened again. */
  async #remove(id: number, fate: "removed" | "quarantined"): Promise<void> {
    const path = tablePath(this.#directory, id);
    try {
      if (fate === "removed") await this.#disk.remove(path);
      else await this.quarantine.take(path);
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
      if (error.code !== "ENOENT") this.#removeFailures += 1;
    }
    this.#unwanted.delete(id);
  }

  #later(run: () => Promise<void>): void {
    this.#work = this.#work.then(run).catch((error: unknown) => {
      if (!isEnvironmental(error)) throw error;
      this.#removeFailures += 1;
    });
  }
}
