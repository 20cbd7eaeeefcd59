/** What the table store says of itself, made fresh for each request. */

import type { Position } from "../../core/units.ts";
import { type Listing, type QuarantinedTable, readingsOf } from "./listing/quarantine.ts";
import type { TableFiles } from "./listing/table-files.ts";
import type { ListedTable, TableCounts } from "./listing/table-list.ts";

export type TableStoreStatus = ListedStatus & {
  /** Readings in memory that no table has yet. */
  readonly inMemory: number;
  /** Erasures whose readings may still be in files. */
  readonly tombstones: number;
  readonly flushes: number;
  readonly compactions: number;
  /** Written into tables by this process: by flushes, and by compactions. */
  readonly bytesFlushed: number;
  readonly bytesCompacted: number;
  /** Tables are not written at the moment; it is tried again. */
  readonly trouble: { readonly code: string; readonly message: string } | undefined;
};

type ListedStatus = {
  readonly tables: number;
  readonly bytes: number;
  /** Readings that listed tables stand for. */
  readonly inTables: number;
  /** The same by the class of the tables; what has none comes first. */
  readonly classes: readonly {
    readonly class: string | undefined;
    readonly tables: number;
    readonly bytes: number;
    readonly readings: number;
  }[];
  /** Accepted readings below this position are in tables, or gone. */
  readonly through: Position;
  readonly counts: TableCounts;
  /** Listed tables of which a part is damaged, as far as somebody came across it. */
  readonly damaged: readonly TroubledTable[];
  /** Listed tables that the disk failed to read: they may be whole. */
  readonly unreadable: readonly TroubledTable[];
  /** The last tables that damage took off the list; what was lost with them is in `counts`. */
  readonly quarantined: readonly (TroubledTable & { readonly why: QuarantinedTable["why"] })[];
  /** Files of those that are kept. */
  readonly quarantine: { readonly files: number; readonly bytes: number };
};

export type TroubledTable = {
  readonly id: number;
  /** What is damaged, and where. */
  readonly reason: string;
  /** That it stands for, lost or not. */
  readonly readings: number;
};

export function listedStatus(
  { head, tables, quarantined }: Listing,
  { notes, quarantine }: TableFiles,
): ListedStatus {
  const troubled = (reasonOf: (id: number) => string | undefined): TroubledTable[] =>
    tables.flatMap(({ id, readings }) => {
      const reason = reasonOf(id);
      return reason === undefined ? [] : [{ id, reason, readings }];
    });
  return {
    tables: tables.length,
    bytes: tables.reduce((sum, { bytes }) => sum + bytes, 0),
    inTables: readingsOf(tables),
    classes: byClass(tables),
    through: head.through,
    counts: head.counts,
    damaged: troubled((id) => notes.damage.get(id)?.reason),
    unreadable: troubled((id) => notes.unreadable(id)),
    quarantined: quarantined.map(({ why, reason, table: { id, readings } }) => {
      return { id, why, reason, readings };
    }),
    quarantine: { files: quarantine.files, bytes: quarantine.bytes },
  };
}

function byClass(tables: readonly ListedTable[]): ListedStatus["classes"] {
  return [...Map.groupBy(tables, ({ class: name }) => name)]
    .toSorted(([a = ""], [b = ""]) => (a < b ? -1 : Number(a > b)))
    .map(([name, of]) => ({
      class: name,
      tables: of.length,
      bytes: of.reduce((sum, { bytes }) => sum + bytes, 0),
      readings: readingsOf(of),
    }));
}
