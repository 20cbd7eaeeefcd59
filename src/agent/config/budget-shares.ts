/**
 * How the budget of the disk is shared: the log has what `limits.log` says, the state store an eighth
 * within its bounds, the reserve what it always has, the tables all the rest. Shares are fixed, so that a
 * full outbox takes nothing from the readings, and many readings nothing from the outbox.
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
/** Of the state's share, which also holds a checkpoint beside its predecessor. */
const OUTBOX_SHARE = 2;

export function budgetSharesOf({
  store,
  logBytesMax,
}: Pick<Config, "store" | "logBytesMax">): BudgetShares {
  const { kvBytesMax, outboxBytesMax, reserveBytes } = limits;
  const share = Math.floor(store.budgetBytes / STATE_SHARE);
  const stateBytes = Math.min(Math.max(share, stateBytesMin(store.outboxBytes)), kvBytesMax);
  const outboxBytes = store.outboxBytes ?? Math.floor(stateBytes / OUTBOX_SHARE);
  return {
    logBytes: logBytesMax,
    stateBytes,
    outboxBytes: Math.min(outboxBytesMax, outboxBytes),
    tablesBytes: store.budgetBytes - logBytesMax - stateBytes - reserveBytes,
  };
}

/** `outboxBytes`: as it is configured, if it is. */
export function stateBytesMin(outboxBytes = 0): number {
  return Math.max(limits.kvBytesMin, OUTBOX_SHARE * outboxBytes);
}
