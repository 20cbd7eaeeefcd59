/** How much of its time a merge takes for itself. */

import type { ListedTable } from "../listing/table-list.ts";
import type { TableStoreOptions } from "../table-store-options.ts";

/**
 * `mergeShare`, so that whoever publishes meanwhile hardly waits; all of it where tables come faster than
 * that: where twice as many wait as a merge takes.
 */
export function mergeShareNow(
  tables: readonly ListedTable[],
  { policy, mergeShare = 1 }: Pick<TableStoreOptions, "policy" | "mergeShare">,
): number {
  const fresh = tables.filter(({ level }) => level === 0);
  const groups = Map.groupBy(fresh, ({ partition, class: name }) => `${partition} ${name}`);
  const isBehind = [...groups.values()].some(({ length }) => length >= 2 * policy.mergeTablesMin);
  return isBehind ? 1 : mergeShare;
}
