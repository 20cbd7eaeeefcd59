/**
 * The table list: which files of the table store are live, in the state store. It changes in one
 * transaction: what a flush or a compaction made appears as what it replaces goes.
 *
 *   tables               {"next":12,"through":5001234,"rows":{"flushed":..,"expired":..,...}}
 *   table/<id>           {"level":1,"run":"main","partition":20420,...}
 *
 * A file that no entry names is what a crash left behind, or was replaced: it is deleted when the
 * store is opened.
 */

import type { Kv, KvWrite } from "../../../core/doors.ts";
import { type Position, position } from "../../../core/units.ts";
import { numberOfKey, tableKey, tablesKey } from "../../state/kv-key.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  listOf,
  numberOf,
  objectOf,
  type StoredObject,
  textOf,
  wholeOf,
} from "../../state/stored-json.ts";
import type { TableSummary } from "../file/table-format.ts";

/** Late readings, which overlap in time what is flushed already, have tables of their own. */
export type TableRun = "main" | "late";

export type ListedTable = {
  readonly id: number;
  /** 0 from memory, 1 and more by compaction. */
  readonly level: number;
  readonly run: TableRun;
  /** Name of the class that its series had when it was written; undefined: of none. */
  readonly class: string | undefined;
  /** All of its rows are in this partition of time; undefined where they are in several. */
  readonly partition: number | undefined;
  /** Of the file. */
  readonly bytes: number;
  /** Readings it stands for, also where only their resolutions are left. */
  readonly readings: number;
  /** All of its readings were accepted below this position of the log. */
  readonly to: Position;
  /** Oldest and newest event time. */
  readonly timeFirst: number;
  readonly timeLast: number;
  /** Its sections, ascending; 0 stands for the readings themselves. */
  readonly resolutions: readonly number[];
};

/** Readings by what became of them, since the beginning. */
export type TableCounts = {
  /** Written from memory into tables. */
  readonly flushed: number;
  /** Gone by retention or for the budget, their resolutions too. */
  readonly expired: number;
  readonly erased: number;
  /** In tables or parts of the log that turned out to be damaged. */
  readonly lost: number;
};

export type TableHead = {
  /** Id of the next table. */
  readonly next: number;
  /** Accepted readings below this position are in tables, or expired. */
  readonly through: Position;
  readonly counts: TableCounts;
};

export type TableList = { readonly head: TableHead; readonly tables: readonly ListedTable[] };

/** The list as it was found; `damagedTables`: ids of entries that cannot be read. */
export type ReadTableList = TableList & { readonly damagedTables: readonly number[] };

const tablesPerRead = 256;

/** The entry of a table that was written; `readings` where it has no section of them. */
export function listedTable(
  { bytes, sections, timeFirst, timeLast }: TableSummary,
  placed: Pick<ListedTable, "id" | "level" | "run" | "class" | "partition" | "to"> & {
    readonly readings?: number;
  },
): ListedTable {
  return {
    ...placed,
    bytes,
    readings: placed.readings ?? sections[0]?.rows ?? 0,
    timeFirst,
    timeLast,
    resolutions: sections.map(({ resolution }) => resolution),
  };
}

/** The head alone; undefined before there was a list. Faults: STORE_FAILED. */
export function readTableHead(kv: Kv): TableHead | undefined {
  const value = kv.get(tablesKey);
  return value && headOf(decodeJson(value, "the state store's tables"));
}

/** The list as it is stored; undefined before there was one. Faults: STORE_FAILED. */
export function readTableList(kv: Kv): ReadTableList | undefined {
  const head = readTableHead(kv);
  if (head === undefined) return undefined;
  const tables: ListedTable[] = [];
  const damagedTables: number[] = [];
  for (;;) {
    const last = Math.max(tables.at(-1)?.id ?? -1, damagedTables.at(-1) ?? -1);
    const before = damagedTables.length;
    const entries = kv.range({
      from: tableKey(last + 1),
      to: tableKey(Number.MAX_SAFE_INTEGER),
      limit: tablesPerRead,
      onDamaged: (key) => damagedTables.push(numberOfKey(key)),
    });
    if (entries.length + damagedTables.length === before) return { head, tables, damagedTables };
    for (const { key, value: entry } of entries) {
      tables.push(listedTableOf(numberOfKey(key), decodeJson(entry, `the state store's ${key}`)));
    }
  }
}

/** What makes `added` live in the place of `removed`. */
export function swapWrites(change: {
  readonly head: TableHead;
  readonly added: readonly ListedTable[];
  readonly removed: readonly ListedTable[];
}): readonly KvWrite[] {
  return [
    { key: tablesKey, value: encodeJson(change.head) },
    ...change.removed.map(({ id }) => ({ key: tableKey(id), value: undefined })),
    ...change.added.map(({ id, ...entry }) => ({ key: tableKey(id), value: encodeJson(entry) })),
  ];
}

function headOf(stored: StoredObject): TableHead {
  const counts = objectOf(stored.fields["counts"], `${stored.place}, counts`);
  return {
    next: wholeOf(stored, "next"),
    through: position(wholeOf(stored, "through")),
    counts: {
      flushed: wholeOf(counts, "flushed"),
      expired: wholeOf(counts, "expired"),
      erased: wholeOf(counts, "erased"),
      lost: wholeOf(counts, "lost"),
    },
  };
}

/** An entry as it is stored. Faults: STORE_FAILED. */
export function listedTableOf(id: number, stored: StoredObject): ListedTable {
  const run = textOf(stored, "run");
  if (run !== "main" && run !== "late") throw damaged(stored.place, `its run is ${run}`);
  const { partition } = stored.fields;
  if (partition !== undefined && !Number.isSafeInteger(partition)) {
    throw damaged(stored.place, "its partition is not a whole number");
  }
  return {
    id,
    level: wholeOf(stored, "level"),
    run,
    class: stored.fields["class"] === undefined ? undefined : textOf(stored, "class"),
    partition: partition === undefined ? undefined : numberOf(stored, "partition"),
    bytes: wholeOf(stored, "bytes"),
    readings: wholeOf(stored, "readings"),
    to: position(wholeOf(stored, "to")),
    timeFirst: numberOf(stored, "timeFirst"),
    timeLast: numberOf(stored, "timeLast"),
    resolutions: listOf(stored, "resolutions").map((item) => resolutionOf(item, stored.place)),
  };
}

function resolutionOf(item: unknown, place: string): number {
  if (typeof item === "number" && Number.isSafeInteger(item) && item >= 0) return item;
  throw damaged(place, "a resolution is not a whole number of milliseconds");
}
