/**
 * Where the rows of one series come from, block by block: a table, or memory. What is damaged is left
 * out and counted: the rest is answered.
 */

import type { SeriesId } from "../../../core/units.ts";
import type { MemoryTable } from "../memory/memory-table.ts";
import { RowsMerge } from "./merge-rows.ts";
import { borrowRows, returnRows } from "./rows-pool.ts";
import {
  createRows,
  type ResolutionMs,
  readings,
  type Rows,
  type TimeRange,
  isWithin,
} from "../rows.ts";
import type { Tombstones } from "../listing/tombstones.ts";
import { WithoutErased } from "./without-erased.ts";
import type { TableFiles } from "../listing/table-files.ts";
import type { TableNotes } from "../listing/table-notes.ts";
import type { ListedTable } from "../listing/table-list.ts";
import type { BlockCursor, Table } from "../file/table-reader.ts";

/** What reading has cost, and what it could not read. */
export type ReadReport = {
  tables: number;
  blocks: number;
  rows: number;
  /** Blocks and whole tables that are damaged, and the rows of those blocks. */
  damagedBlocks: number;
  damagedRows: number;
  readonly damaged: Map<number, string>;
  /** Tables in the range of which only resolutions are left that are coarser than what was asked for. */
  readonly coarser: Set<ListedTable>;
  /** Readings that were left out because they were erased. */
  erased: number;
};

export function createReadReport(): ReadReport {
  return {
    tables: 0,
    blocks: 0,
    rows: 0,
    damagedBlocks: 0,
    damagedRows: 0,
    damaged: new Map(),
    coarser: new Set(),
    erased: 0,
  };
}

/**
 * Blocks in ascending order of time. A block is valid until the next is asked for, or the source is
 * disposed of.
 */
export interface BlockSource extends Disposable {
  next(): Promise<Rows | undefined>;
}

/** Where tables are, and what of them was erased. */
export type Readable = { readonly files: TableFiles; readonly tombstones: Tombstones };

/**
 * The blocks of the series in one section of a table that reach into `range`, without what was erased;
 * undefined where it has none, or cannot be read, which is then reported.
 */
export async function openTableSource(
  { files, tombstones }: Readable,
  listed: ListedTable,
  wanted: {
    readonly series: SeriesId;
    readonly resolution: ResolutionMs;
    readonly range: TimeRange;
    /** Only the last of them, where nothing was erased. */
    readonly last?: boolean;
    /** How the table is read; as it is by default. */
    readonly view?: (table: Table) => Table;
  },
  report: ReadReport,
): Promise<BlockSource | undefined> {
  const { series, resolution, range, last = false, view } = wanted;
  const erased = tombstones.erasedIn(series, listed.to);
  const held = await files.hold(listed.id);
  if (held.kind === "damaged") {
    report.damaged.set(listed.id, held.reason);
    return undefined;
  }
  const table = view?.(held.table) ?? held.table;
  const found = table.mayHold(series)
    ? await table.entries(resolution, series)
    : ({ kind: "entries", entries: [] } as const);
  if (found.kind === "damaged") {
    report.damaged.set(listed.id, found.reason);
    files.notes.noteDamage(listed.id, { extent: "part", reason: found.reason });
  }
  const all = found.kind === "entries" ? found.entries : [];
  const reaching = all.filter(
    (entry) => entry.timeLast >= range.from && entry.timeFirst < range.to,
  );
  const entries = last && erased.length === 0 ? reaching.slice(-1) : reaching;
  if (entries.length === 0) {
    held[Symbol.dispose]();
    return undefined;
  }
  report.tables += 1;
  const { id } = listed;
  const cursor = table.cursor(resolution, entries);
  const parts = { id, table, cursor, resolution, report, held, notes: files.notes };
  const source = new TableSource(parts);
  if (erased.length === 0) return source;
  return new WithoutErased(source, { resolution, erased, report });
}

type TableSourceParts = {
  readonly id: number;
  readonly table: Table;
  readonly cursor: BlockCursor;
  readonly resolution: ResolutionMs;
  readonly report: ReadReport;
  readonly held: Disposable;
  readonly notes: TableNotes;
};

class TableSource implements BlockSource {
  readonly #parts: TableSourceParts;
  readonly #block: Rows;
  #hasEnded = false;

  constructor(parts: TableSourceParts) {
    this.#parts = parts;
    this.#block = borrowRows(parts.resolution);
  }

  async next(): Promise<Rows | undefined> {
    const { id, table, cursor, resolution, report, notes } = this.#parts;
    for (;;) {
      const block = await cursor.next(this.#block);
      if (block === undefined) return undefined;
      report.blocks += 1;
      if (block.kind === "read") {
        report.rows += this.#block.rows;
        return this.#block;
      }
      report.damagedBlocks += 1;
      report.damagedRows += block.entry.rows;
      const reason = `${table.path}: the block at ${block.entry.valuesAt}, section ${resolution}`;
      report.damaged.set(id, reason);
      notes.noteDamage(id, { extent: "part", reason });
    }
  }

  [Symbol.dispose](): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    returnRows(this.#block);
    this.#parts.held[Symbol.dispose]();
  }
}

/** The rows that memory has of the series, without what was erased; undefined where there are none. */
export function openMemorySource(
  { tombstones }: Pick<Readable, "tombstones">,
  memory: MemoryTable,
  wanted: { readonly series: SeriesId; readonly range: TimeRange },
  report: ReadReport,
): BlockSource | undefined {
  const rows = memoryRowsOf({ tombstones }, memory, wanted);
  if (rows.length === 0) return undefined;
  const block = createRows(readings);
  let at = 0;
  return {
    next: () => {
      if (at === rows.length) return Promise.resolve(undefined);
      at += memory.copy(rows.subarray(at), block);
      report.rows += block.rows;
      return Promise.resolve(block);
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** Their numbers. A table that is being written was not cut; one that is filled was. */
export function memoryRowsOf(
  { tombstones }: Pick<Readable, "tombstones">,
  memory: MemoryTable,
  { series, range }: { readonly series: SeriesId; readonly range: TimeRange },
): Uint32Array {
  const rows = memory.rowsOf(series, range);
  const erased = memory.to === undefined ? [] : tombstones.erasedIn(series, memory.to);
  if (erased.length === 0) return rows;
  return rows.filter((row) => !erased.some((gone) => isWithin(gone, memory.timeOf(row))));
}

/**
 * The rows of all sources in order, in blocks: of one alone its own, else merged. Sources are given
 * oldest first; readings of equal time keep that order, rows of one bucket are added up.
 */
export async function* mergedBlocks(
  sources: readonly BlockSource[],
  resolution: ResolutionMs,
): AsyncGenerator<Rows> {
  const [only] = sources;
  if (only !== undefined && sources.length === 1) {
    for (let block = await only.next(); block !== undefined; block = await only.next()) yield block;
    return;
  }
  const merge = new RowsMerge(resolution, sources.length);
  const target = borrowRows(resolution);
  try {
    for (;;) {
      const step = merge.advance(target);
      if (step.kind === "block") {
        merge.give(step.input, await sources[step.input]!.next());
        continue;
      }
      if (target.rows > 0) yield target;
      target.rows = 0;
      if (step.kind === "end") return;
    }
  } finally {
    returnRows(target);
  }
}
