/** What the configuration means for the tables. */

import { limits } from "../../core/limits.ts";
import type { CompactionPolicy } from "../../store/tables/compaction/compaction-plan.ts";
import { budgetSharesOf } from "./budget-shares.ts";
import type { Config } from "./config.ts";

export function compactionPolicyOf(
  config: Pick<Config, "store" | "logBytesMax">,
): CompactionPolicy {
  const { tiers, keepMs, classes, freeBytes } = config.store;
  const { tablesBytes } = budgetSharesOf(config);
  return {
    tiers,
    keepMs,
    classes: new Map(classes.map(({ name, ...policy }) => [name, policy])),
    bytesMax: tablesBytes,
    freeBytesMin: freeBytes,
    mergeTablesMin: limits.mergeTablesMin,
  };
}
