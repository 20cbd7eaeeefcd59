/**
 * Tables that are not listed any more because of damage, as the state store remembers them: whoever
 * asks is told which readings are missing from the answers, and why.
 *
 *   quarantine/<id>   {"why":"damaged","reason":"..","table":{"level":1,..}}
 *
 *   damaged   nothing of it can be read: all of its readings are lost
 *   missing   its file is not there; where it comes back, so do its readings
 *   mended    a table with what could be read of it has taken its place
 *
 * Its file, where there is one, is kept in a folder beside the tables (quarantine-files.ts). An entry
 * comes in the transaction that takes the table off the list, so a crash before its file is moved
 * leaves a file that an entry names: it is moved when the store is opened.
 */

import type { Kv, KvWrite } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import { numberOfKey, quarantineKey } from "../../state/kv-key.ts";
import { damaged, decodeJson, encodeJson, objectOf, textOf } from "../../state/stored-json.ts";
import {
  type ListedTable,
  listedTableOf,
  type ReadTableList,
  readTableList,
  swapWrites,
  type TableHead,
  type TableList,
} from "./table-list.ts";

export type QuarantinedTable = {
  readonly why: "damaged" | "missing" | "mended";
  /** What is damaged, and where. */
  readonly reason: string;
  /** Its entry when it was listed. */
  readonly table: ListedTable;
};

/** In the order of their ids. Faults: STORE_FAILED. */
function readQuarantined(kv: Kv, onDamaged: (key: string) => void): readonly QuarantinedTable[] {
  return kv
    .range({
      from: quarantineKey(0),
      to: quarantineKey(Number.MAX_SAFE_INTEGER),
      limit: limits.quarantinedTablesMax,
      onDamaged,
    })
    .map(({ key, value }) => {
      const place = `the state store's ${key}`;
      const stored = decodeJson(value, place);
      const why = textOf(stored, "why");
      if (why !== "damaged" && why !== "missing" && why !== "mended") {
        throw damaged(place, `${why} is no reason`);
      }
      const entry = objectOf(stored.fields["table"], `${place}, table`);
      return {
        why,
        reason: textOf(stored, "reason"),
        table: listedTableOf(numberOfKey(key), entry),
      };
    });
}

/** All that the state store knows of tables. */
export type Listing = TableList & {
  /** The last few. */
  readonly quarantined: readonly QuarantinedTable[];
};

/** As it was found: with the ids of entries, here and in the list, that cannot be read. */
export type ReadListing = Listing & ReadTableList & { readonly damagedNotes: readonly number[] };

/** Undefined before there was a list. Faults: STORE_FAILED. */
export function readListing(kv: Kv): ReadListing | undefined {
  const list = readTableList(kv);
  if (list === undefined) return undefined;
  const damagedNotes: number[] = [];
  const quarantined = readQuarantined(kv, (key) => damagedNotes.push(numberOfKey(key)));
  return { ...list, quarantined, damagedNotes };
}

/** What becomes live, what goes, and what of that is remembered as damaged. */
export type ListChange = {
  readonly head: TableHead;
  readonly added: readonly ListedTable[];
  readonly removed: readonly ListedTable[];
  readonly quarantined: readonly QuarantinedTable[];
};

/** The listing after a change, and the writes that make it so. */
export function changedListing(
  before: Pick<Listing, "tables" | "quarantined">,
  { head, added, removed, quarantined }: ListChange,
): { readonly after: Listing; readonly writes: readonly KvWrite[] } {
  const listed = new Set(added.map(({ id }) => id));
  const known = before.quarantined.filter(({ table }) => !listed.has(table.id));
  const kept = [...known, ...quarantined].slice(-limits.quarantinedTablesMax);
  return {
    after: {
      head,
      tables: [...before.tables.filter((table) => !removed.includes(table)), ...added],
      quarantined: kept,
    },
    writes: [
      ...swapWrites({ head, added, removed }),
      ...before.quarantined
        .filter((entry) => !kept.includes(entry))
        .map(({ table }) => ({ key: quarantineKey(table.id), value: undefined })),
      ...quarantined
        .filter((entry) => kept.includes(entry))
        .map(({ why, reason, table: { id, ...table } }) => ({
          key: quarantineKey(id),
          value: encodeJson({ why, reason, table }),
        })),
    ],
  };
}

export function readingsOf(tables: readonly ListedTable[]): number {
  return tables.reduce((sum, { readings }) => sum + readings, 0);
}
