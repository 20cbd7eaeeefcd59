/** The effective `store` section, and what of it depends on several values. */

import { limits } from "../../core/limits.ts";
import { type ResolutionMs, readings } from "../../store/tables/rows.ts";
import { type StoreConfig, storeDefaults } from "./config.ts";
import type { LimitsSection } from "./config-file.ts";
import type { Finding } from "./fault.ts";
import { suggestion } from "./nearest.ts";
import { bytesText, durationPattern, durationText, millisOf } from "./quantity.ts";
import type { StoreSection } from "./store-section.ts";

/** Key of `keep` of the readings themselves. */
const READINGS_KEY = "readings";

/** `bounds`: undefined where they have findings of their own. */
export function checkStore(
  section: StoreSection,
  bounds: Pick<LimitsSection, "log"> | undefined,
): Finding[] {
  return [
    ...(bounds === undefined ? [] : budgetFindings(section, bounds)),
    ...tierFindings(section),
    ...keepFindings(section),
  ];
}

/** `section` has passed all checks. */
export function storeConfig(section: StoreSection): StoreConfig {
  const { budget, freeSpace, tiers } = section;
  return { budgetBytes: budget, freeBytes: freeSpace, tiers, keepMs: keepMsOf(section) };
}

/** A resolution that is not named is kept as long as it may be: as the next coarser one that is. */
function keepMsOf({ tiers, keep }: StoreSection): ReadonlyMap<ResolutionMs, number> {
  const named = new Map(Object.entries(keep).map(([key, time]) => [resolutionOf(key), time]));
  const times: [resolution: ResolutionMs, time: "forever" | number][] = [];
  let time: "forever" | number = "forever";
  for (const resolution of [readings, ...tiers].reverse()) {
    time = named.get(resolution) ?? time;
    times.unshift([resolution, time]);
  }
  return new Map(times.flatMap(([at, kept]) => (kept === "forever" ? [] : [[at, kept] as const])));
}

// ---- checks ----

/** At the log where the budget is the default: there may be no `store` in the file. */
function budgetFindings({ budget }: StoreSection, { log }: Pick<LimitsSection, "log">): Finding[] {
  const { kvBytesMin, tablesBytesMin } = limits;
  const least = log + kvBytesMin + tablesBytesMin;
  if (budget >= least) return [];
  const path = budget === storeDefaults.budgetBytes ? ["limits", "log"] : ["store", "budget"];
  const parts = `${bytesText(log)} of log (limits.log), ${bytesText(kvBytesMin)} of state and ${bytesText(tablesBytesMin)} of tables`;
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

function keepFindings(section: StoreSection): Finding[] {
  const findings: Finding[] = [];
  const named = new Map<ResolutionMs, NamedTime>();
  for (const [key, time] of Object.entries(section.keep)) {
    const resolution = resolutionOf(key);
    const before = resolution === undefined ? undefined : named.get(resolution);
    const path = ["store", "keep", key];
    if (resolution === undefined || !isKnown(resolution, section)) {
      findings.push({ path, isKey: true, message: unknownKey(key, section) });
    } else if (before !== undefined) {
      findings.push({ path, isKey: true, message: `is the tier of ${before.key} already` });
    } else {
      named.set(resolution, { key, resolution, time });
    }
  }
  const ascending = [...named.values()].sort((a, b) => a.resolution - b.resolution);
  return [...findings, ...orderFindings(ascending)];
}

type NamedTime = {
  readonly key: string;
  readonly resolution: ResolutionMs;
  readonly time: "forever" | number;
};

/** From the readings to the coarsest tier. */
function orderFindings(ascending: readonly NamedTime[]): Finding[] {
  const findings: Finding[] = [];
  let finer: NamedTime | undefined;
  for (const named of ascending) {
    const { key, resolution, time } = named;
    const path = ["store", "keep", key];
    if (millisOfTime(time) < resolution) {
      const message = `a row of ${key} is longer than the ${timeText(time)} for which it would be kept`;
      findings.push({ path, message });
    } else if (finer !== undefined && millisOfTime(time) < millisOfTime(finer.time)) {
      const message = `${key} for ${timeText(time)} is shorter than ${finer.key} for ${timeText(finer.time)}: what is coarser is kept at least as long as what is finer`;
      findings.push({ path, message });
    } else {
      finer = named;
    }
  }
  return findings;
}

// ---- keys and times of `keep` ----

/** undefined for what is neither `readings` nor a duration. */
function resolutionOf(key: string): ResolutionMs | undefined {
  if (key === READINGS_KEY) return readings;
  const millis = durationPattern.test(key) ? millisOf(key) : 0;
  return millis === 0 ? undefined : millis;
}

function isKnown(resolution: ResolutionMs, { tiers }: StoreSection): boolean {
  return resolution === readings || tiers.includes(resolution);
}

function unknownKey(key: string, { tiers }: StoreSection): string {
  const known = [READINGS_KEY, ...tiers.map(durationText)];
  if (resolutionOf(key) === undefined) return `unknown key; ${suggestion(key, known)}`;
  const all = tiers.length === 0 ? "there are none" : `they are ${known.slice(1).join(", ")}`;
  return `${key} is none of the tiers; ${all}`;
}

function millisOfTime(time: "forever" | number): number {
  return time === "forever" ? Number.POSITIVE_INFINITY : time;
}

function timeText(time: "forever" | number): string {
  return time === "forever" ? "ever" : durationText(time);
}
