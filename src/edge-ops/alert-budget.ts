/**
 * How many alerts a pipeline may still emit in this second of the gateway clock: a badly set
 * detector over many series must not flood the outbox. What goes beyond is suppressed and counted
 * in the ledger; the detector's own state goes on as if the alert had left.
 *
 * The second begins with the tick that found the last one over, so what is suppressed depends on
 * the rows and ticks of the log, not on how it was cut into batches. The budget is checkpointed. It
 * never asks to be woken: it matters only when rows come, and a tick comes before them.
 */

import { limits } from "../core/limits.ts";
import type { Millis } from "../core/units.ts";
import { COUNT_ALERTS, COUNT_SUPPRESSED, type PipelineCounts } from "./pipeline-counts.ts";
import { cellTable, type StateTable } from "./state-table.ts";

export type AlertBudget = {
  readonly table: StateTable;
  /** Cells: SPENT in this second; OVER_AT, when it ends, Millis. */
  readonly cells: Float64Array;
};

const SPENT = 0;
const OVER_AT = 1;
const SECOND_MS = 1_000;

/** `pipeline` names the state table: `<pipeline>/alerts`. */
export function createAlertBudget(pipeline: string): AlertBudget {
  const cells = new Float64Array(2);
  return { table: cellTable(`${pipeline}/alerts`, cells), cells };
}

/** Whether one more alert may leave; counts it as an alert or as suppressed. */
export function spendAlert({ table, cells }: AlertBudget, counts: PipelineCounts): boolean {
  if (cells[SPENT]! >= limits.alertsPerSecondMax) {
    counts[COUNT_SUPPRESSED]! += 1;
    return false;
  }
  counts[COUNT_ALERTS]! += 1;
  cells[SPENT]! += 1;
  table.touch(0);
  return true;
}

/** Takes the gateway clock as the log has it. */
export function renewAlerts({ table, cells }: AlertBudget, clock: Millis): void {
  if (cells[SPENT] === 0 || clock < cells[OVER_AT]!) return;
  cells[SPENT] = 0;
  cells[OVER_AT] = clock + SECOND_MS;
  table.touch(0);
}
