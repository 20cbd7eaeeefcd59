/**
 * Entries of the table list of which both copies are damaged. What class a table is of and from where
 * in the log its readings are, only its entry says, so such a table cannot be listed again: it comes
 * into quarantine, where its file is kept. How many readings are lost, the head of the list tells: all
 * that was flushed and is nowhere else.
 */

import { quarantineKey } from "../../state/kv-key.ts";
import type { StateStore } from "../../state/state-store.ts";
import { openTable, type TableDisk } from "../file/table-reader.ts";
import { readings } from "../rows.ts";
import {
  changedListing,
  type Listing,
  type QuarantinedTable,
  type ReadListing,
  readingsOf,
} from "./quarantine.ts";
import { tablePath } from "./table-files.ts";

/** JSON has no number for the ends of time. */
const ANY_TIME_MS = Number.MAX_SAFE_INTEGER;

type Places = {
  readonly disk: TableDisk;
  readonly store: Pick<StateStore, "advance">;
  readonly directory: string;
  /** Ids of the files that are there. */
  readonly found: ReadonlySet<number>;
};

/** Rejects with what the disk says, and with the faults of the state store. */
export async function withoutDamaged(listing: ReadListing, places: Places): Promise<Listing> {
  const { damagedTables, damagedNotes, ...whole } = listing;
  if (damagedTables.length + damagedNotes.length === 0) return whole;
  const entries: QuarantinedTable[] = [];
  let left = missingReadings(whole);
  for (const id of damagedTables) {
    const entry = await entryMadeOf(id, places, whole);
    const isLast = id === damagedTables.at(-1);
    const count = isLast ? left : Math.min(left, entry.table.readings);
    left -= count;
    entries.push({ ...entry, table: { ...entry.table, readings: count } });
  }
  const { head } = whole;
  const lost = head.counts.lost + readingsOf(entries.map(({ table }) => table));
  const { after, writes } = changedListing(whole, {
    head: { ...head, counts: { ...head.counts, lost } },
    added: [],
    removed: entries.map(({ table }) => table),
    quarantined: entries,
  });
  const notes = damagedNotes.map((id) => ({ key: quarantineKey(id), value: undefined }));
  await places.store.advance([...notes, ...writes]);
  return after;
}

/** Readings that were flushed and are in no table, nor counted as gone. */
export function missingReadings({ head, tables }: Pick<Listing, "head" | "tables">): number {
  const { flushed, expired, erased, lost } = head.counts;
  return Math.max(0, flushed - expired - erased - lost - readingsOf(tables));
}

/** What the file says of itself; where it cannot, the table may have had readings of any time. */
async function entryMadeOf(
  id: number,
  { disk, directory, found }: Places,
  { head }: Pick<Listing, "head">,
): Promise<QuarantinedTable> {
  const opened = found.has(id) ? await openTable(disk, tablePath(directory, id)) : undefined;
  const summary = opened?.kind === "table" ? opened.table.summary : undefined;
  if (opened?.kind === "table") await opened.table.close();
  const [first] = summary?.sections ?? [];
  return {
    why: "damaged",
    reason: "its entry in the state store is damaged",
    table: {
      id,
      level: 0,
      run: "main",
      class: undefined,
      partition: undefined,
      bytes: summary?.bytes ?? 0,
      readings: first?.resolution === readings ? first.rows : 0,
      to: head.through,
      timeFirst: summary?.timeFirst ?? -ANY_TIME_MS,
      timeLast: summary?.timeLast ?? ANY_TIME_MS,
      resolutions: summary?.sections.map(({ resolution }) => resolution) ?? [],
    },
  };
}
