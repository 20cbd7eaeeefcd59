/**
 * Classes: series that are kept by rules of their own. A table has the series of one class, and keeps
 * the class that it was written with, also where it is merged:
 *
 *   its class is configured    it is kept by the rules of that
 *   its class is gone          it is kept as what has no class, until the class is there again
 *   a series changes class     what is written stays where it is, what comes goes to the new one
 *
 * So a change of the configuration rewrites nothing, and one that was a mistake can be taken back.
 */

import type { ResolutionMs } from "../rows.ts";
import type { ListedTable } from "../listing/table-list.ts";

export type ClassPolicy = {
  /** How long a section is kept, in milliseconds from its newest event time; absent: for ever. */
  readonly keepMs: ReadonlyMap<ResolutionMs, number>;
  /** Who gives way first when there is too little room: the lower. What has no class has 0. */
  readonly priority: number;
};

/** The rules by which the table is kept. */
export function ruleOf(
  { class: name }: ListedTable,
  {
    classes,
    keepMs,
  }: Pick<ClassPolicy, "keepMs"> & { readonly classes: ReadonlyMap<string, ClassPolicy> },
): ClassPolicy {
  return (name === undefined ? undefined : classes.get(name)) ?? { keepMs, priority: 0 };
}
