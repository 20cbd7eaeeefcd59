/**
 * How the budget of the disk is shared: the log has what `limits.log` says, the state store an eighth
 * within its bounds, the tables all the rest. Shares are fixed, so that a full outbox takes nothing
 * from the readings, and many readings nothing from the outbox.
 */

import { limits } from "../../core/limits.ts";
import type { Config } from "./config.ts";

export type BudgetShares = {
  readonly logBytes: number;
  /** LMDB, the outbox in it. */
  readonly stateBytes: number;
  readonly outboxBytes: number;
  readonly tablesBytes: number;
};

const STATE_SHARE = 8;

export function budgetSharesOf({
  store,
  logBytesMax,
}: Pick<Config, "store" | "logBytesMax">): BudgetShares {
  const { kvBytesMin, kvBytesMax, outboxBytesMax } = limits;
  const share = Math.floor(store.budgetBytes / STATE_SHARE);
  const stateBytes = Math.min(Math.max(share, kvBytesMin), kvBytesMax);
  return {
    logBytes: logBytesMax,
    stateBytes,
    outboxBytes: Math.min(outboxBytesMax, Math.floor(stateBytes / 2)),
    tablesBytes: store.budgetBytes - logBytesMax - stateBytes,
  };
}
