/**
 * A merge that makes the best of damaged inputs. Where a coarser section is damaged and a finer one is
 * not, the coarser is made anew from the finer:
 *
 *   first    every section from the coarsest that will do                 mostly all there is to it
 *   again    damaged inputs by their finest section alone                 where anything was damaged
 *
 * The result with more readings stays; of equal ones the second, since all of its sections are of the
 * same readings.
 */

import type { ListedTable } from "../listing/table-list.ts";
import { type Merged, type MergeOptions, mergeTables } from "./merge-tables.ts";

/** As mergeTables; the report is that of the first try. `nextId` gives the id of a new table. */
export async function mergeAroundDamage(
  inputs: readonly ListedTable[],
  { nextId, ...options }: Omit<MergeOptions, "id"> & { readonly nextId: () => number },
): Promise<Merged> {
  const first = await mergeTables(inputs, { ...options, id: nextId() });
  const { damaged } = first.report;
  const isFiner = ({ id, resolutions }: ListedTable): boolean =>
    damaged.has(id) && resolutions.length > 1;
  if (!inputs.some(isFiner)) return first;
  const finest = inputs.map((input) =>
    isFiner(input) ? { ...input, resolutions: input.resolutions.slice(0, 1) } : input,
  );
  const drop = ({ table }: Merged): void => options.files.drop(table ? [table.id] : []);
  const again = await mergeTables(finest, { ...options, id: nextId() }).catch((error: unknown) => {
    drop(first);
    throw error;
  });
  const [better, worse] =
    (first.table?.readings ?? 0) > (again.table?.readings ?? 0) ? [first, again] : [again, first];
  drop(worse);
  return { table: better.table, report: first.report };
}
