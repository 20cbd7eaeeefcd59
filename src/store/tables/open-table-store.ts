/**
 * Opening the table store: what is listed and what files there are come together again.
 *
 *   file, not listed       a crash left it, or it was replaced: removed; into quarantine where damage
 *                          took it off the list
 *   listed, no file        off the list, its readings are lost; nothing waits for it
 *   missing, there again   back on the list, and its readings with it
 *   entry damaged          off the list, its readings are lost, its file into quarantine
 */

import { limits } from "../../core/limits.ts";
import type { Position } from "../../core/units.ts";
import { emittedKey } from "../state/kv-key.ts";
import { damaged } from "../state/stored-json.ts";
import { withoutDamaged } from "./listing/damaged-entries.ts";
import { changedListing, type Listing, readingsOf, readListing } from "./listing/quarantine.ts";
import { TableFiles, tableIdOf, tablePath } from "./listing/table-files.ts";
import { swapWrites } from "./listing/table-list.ts";
import { readTombstones } from "./listing/tombstones.ts";
import { TableStore } from "./table-store.ts";
import type { TableStoreOptions } from "./table-store-options.ts";

/** Faults: STORE_FAILED for a damaged list, what the disk says of the directory. */
export async function openTableStore(options: TableStoreOptions): Promise<TableStore> {
  const { disk, kv, store, directory, from } = options;
  await disk.makeDirectory(directory);
  const found = new Set<number>();
  for (const name of await disk.list(directory)) {
    const id = tableIdOf(name);
    if (id !== undefined) found.add(id);
  }
  const read = readListing(kv);
  if (read === undefined && found.size > 0 && kv.get(emittedKey) !== undefined) {
    // Files come after the list: it was there. Without it all of them would be taken for leftovers.
    throw damaged("the state store's tables", `it is missing, and ${directory} has ${found.size}`);
  }
  const whole = await (read === undefined
    ? beginListing(from, store)
    : withoutDamaged(read, { disk, store, directory, found }));
  const listing = await withFound(whole, found, options);
  const quarantineBytesMax = Math.min(limits.quarantineBytesMax, options.policy.bytesMax / 8);
  const files = new TableFiles(disk, directory, { quarantineBytesMax });
  files.openQuarantine();
  const listed = new Set(listing.tables.map(({ id }) => id));
  const setAside = new Set(listing.quarantined.map(({ table }) => table.id));
  const unlisted = [...found].filter((id) => !listed.has(id));
  files.drop(unlisted.filter((id) => !setAside.has(id)));
  files.setAside(unlisted.filter((id) => setAside.has(id)));
  await files.settle();
  return new TableStore(options, { listing, tombstones: readTombstones(kv), files });
}

async function beginListing(
  through: Position,
  store: TableStoreOptions["store"],
): Promise<Listing> {
  const counts = { flushed: 0, expired: 0, erased: 0, lost: 0 };
  const head = { next: 0, through, counts };
  await store.advance(swapWrites({ head, added: [], removed: [] }));
  return { head, tables: [], quarantined: [] };
}

/** Tables whose file is not there go; those that were missing and are there again come back. */
async function withFound(
  listing: Listing,
  found: ReadonlySet<number>,
  { store, directory }: TableStoreOptions,
): Promise<Listing> {
  const { head, tables, quarantined } = listing;
  const removed = tables.filter(({ id }) => !found.has(id));
  const added = quarantined
    .filter(({ why, table }) => why === "missing" && found.has(table.id))
    .map(({ table }) => table);
  if (removed.length + added.length === 0) return listing;
  const lost = head.counts.lost + readingsOf(removed) - readingsOf(added);
  const { after, writes } = changedListing(listing, {
    head: { ...head, counts: { ...head.counts, lost } },
    added,
    removed,
    quarantined: removed.map((table) => {
      return { why: "missing", reason: `${tablePath(directory, table.id)} is not there`, table };
    }),
  });
  await store.advance(writes);
  return after;
}
