/** `keep`: how long readings and each tier are kept, of the store and of its classes. */

import { type ResolutionMs, readings } from "../../store/tables/rows.ts";
import type { Finding, Path } from "./fault.ts";
import { suggestion } from "./nearest.ts";
import { durationPattern, durationText, millisOf } from "./quantity.ts";
import type { StoreSection } from "./store-section.ts";

/** Key of the readings themselves. */
const READINGS_KEY = "readings";

export type Kept = Pick<StoreSection, "tiers" | "keep">;

/** A resolution that is not named is kept as long as it may be: as the next coarser one that is. */
export function keepMsOf({ tiers, keep }: Kept): ReadonlyMap<ResolutionMs, number> {
  const named = new Map(Object.entries(keep).map(([key, time]) => [resolutionOf(key), time]));
  const times: [resolution: ResolutionMs, time: "forever" | number][] = [];
  let time: "forever" | number = "forever";
  for (const resolution of [readings, ...tiers].reverse()) {
    time = named.get(resolution) ?? time;
    times.unshift([resolution, time]);
  }
  return new Map(times.flatMap(([at, kept]) => (kept === "forever" ? [] : [[at, kept] as const])));
}

/** `at`: where it is in the file. */
export function keepFindings(kept: Kept, at: Path): Finding[] {
  const findings: Finding[] = [];
  const named = new Map<ResolutionMs, NamedTime>();
  for (const [key, time] of Object.entries(kept.keep)) {
    const resolution = resolutionOf(key);
    const before = resolution === undefined ? undefined : named.get(resolution);
    const path = [...at, key];
    if (resolution === undefined || !isKnown(resolution, kept)) {
      findings.push({ path, isKey: true, message: unknownKey(key, kept) });
    } else if (before !== undefined) {
      findings.push({ path, isKey: true, message: `is the tier of ${before.key} already` });
    } else {
      named.set(resolution, { key, resolution, time });
    }
  }
  const ascending = [...named.values()].sort((a, b) => a.resolution - b.resolution);
  return [...findings, ...orderFindings(ascending, at)];
}

type NamedTime = {
  readonly key: string;
  readonly resolution: ResolutionMs;
  readonly time: "forever" | number;
};

/** From the readings to the coarsest tier. */
function orderFindings(ascending: readonly NamedTime[], at: Path): Finding[] {
  const findings: Finding[] = [];
  let finer: NamedTime | undefined;
  for (const named of ascending) {
    const { key, resolution, time } = named;
    const path = [...at, key];
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

function isKnown(resolution: ResolutionMs, { tiers }: Kept): boolean {
  return resolution === readings || tiers.includes(resolution);
}

function unknownKey(key: string, { tiers }: Kept): string {
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
