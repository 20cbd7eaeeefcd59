/** What is to be done about damage, as far as somebody noticed it. */

import type { ListedTable } from "../listing/table-list.ts";
import type { TableNotes } from "../listing/table-notes.ts";
import { type CompactionJob, mendJob } from "./compaction-plan.ts";

/** Tables but those that the disk failed to read a short while ago: the rest goes on. `now` is monotonic. */
export function readableTables(
  tables: readonly ListedTable[],
  notes: TableNotes,
  now: number,
): readonly ListedTable[] {
  return tables.filter(({ id }) => !notes.isLeftAlone(id, now));
}

/** A table of which nothing can be read, or whose file is missing. */
export function nextDamaged(
  tables: readonly ListedTable[],
  { damage }: Pick<TableNotes, "damage">,
): ListedTable | undefined {
  return tables.find(({ id }) => {
    const extent = damage.get(id)?.extent;
    return extent === "whole" || extent === "missing";
  });
}

/** A table that is to be written again without its damage. */
export function nextMending(
  tables: readonly ListedTable[],
  { damage }: Pick<TableNotes, "damage">,
): CompactionJob | undefined {
  const damaged = tables.find(({ id }) => damage.has(id));
  return damaged && mendJob(damaged);
}
