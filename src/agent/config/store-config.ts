/** The effective `store` section, and what of it depends on several values. */

import { limits } from "../../core/limits.ts";
import { type StoreConfig, storeDefaults } from "./config.ts";
import { stateBytesMin } from "./budget-shares.ts";
import type { LimitsSection } from "./config-file.ts";
import type { Finding } from "./fault.ts";
import { bytesText, durationText } from "./quantity.ts";
import { classFindings, storeClasses } from "./store-classes.ts";
import { keepFindings, keepMsOf } from "./store-keep.ts";
import type { StoreSection } from "./store-section.ts";

/** `bounds`: undefined where they have findings of their own. */
export function checkStore(
  section: StoreSection,
  bounds: Pick<LimitsSection, "log"> | undefined,
): Finding[] {
  return [
    ...(bounds === undefined ? [] : budgetFindings(section, bounds)),
    ...tierFindings(section),
    ...keepFindings(section, ["store", "keep"]),
    ...classFindings(section),
  ];
}

/** `section` has passed all checks. */
export function storeConfig(section: StoreSection): StoreConfig {
  const { budget, freeSpace, outbox, writesPerDay, whenOutboxFull, tiers } = section;
  return {
    budgetBytes: budget,
    freeBytes: freeSpace,
    ...(writesPerDay === undefined ? {} : { writesPerDay }),
    ...(outbox === undefined ? {} : { outboxBytes: outbox }),
    whenOutboxFull,
    tiers,
    keepMs: keepMsOf(section),
    classes: storeClasses(section),
  };
}

// ---- checks ----

/** At the log where the budget is the default: there may be no `store` in the file. */
function budgetFindings(
  { budget, outbox }: StoreSection,
  { log }: Pick<LimitsSection, "log">,
): Finding[] {
  const { reserveBytes, tablesBytesMin } = limits;
  const state = stateBytesMin(outbox);
  const least = log + state + reserveBytes + tablesBytesMin;
  if (budget >= least) return [];
  const path = budget === storeDefaults.budgetBytes ? ["limits", "log"] : ["store", "budget"];
  const of = state === limits.kvBytesMin ? "" : " (twice store.outbox)";
  const parts = `${bytesText(log)} of log (limits.log), ${bytesText(state)} of state${of}, ${bytesText(reserveBytes)} of reserve and ${bytesText(tablesBytesMin)} of tables`;
  const message = `store.budget, ${bytesText(budget)}, cannot hold ${parts}: set it to ${bytesText(least)} at least, or make the log smaller`;
  return [{ path, message }];
}

function tierFindings({ tiers }: StoreSection): Finding[] {
  return tiers.flatMap((tier, index) => {
    const before = tiers[index - 1];
    if (before === undefined || (tier > before && tier % before === 0)) return [];
    const message = `${durationText(tier)} ${misfit(tier, before)}, ${durationText(before)}`;
    return [{ path: ["store", "tiers", index], message }];
  });
}

function misfit(tier: number, before: number): string {
  if (tier === before) return "is the one before already";
  return `is ${tier < before ? "finer than" : "no multiple of"} the one before`;
}
