/**
 * Times and steps as a query says them.
 *
 *   time    `now`, `-7d` before now, milliseconds since 1970, `2026-11-28`, `2026-11-28T10:00:00Z`;
 *           UTC where no zone is given
 *   step    `10m`; or chosen so that a span has about as many buckets as there are points to draw
 */

import { durationPattern, millisOf } from "../config/quantity.ts";
import { MILLIS_MAX, millisOfText } from "../ingest/decode/time.ts";
import type { ResolutionMs, TimeRange } from "../../store/tables/rows.ts";

/** Milliseconds since 1970, or undefined for what is no time. */
export function timeOf(text: string, now: number): number | undefined {
  const time = timeOrNaN(text, now);
  return Math.abs(time) <= MILLIS_MAX ? time : undefined;
}

function timeOrNaN(text: string, now: number): number {
  if (text === "now") return now;
  if (text.startsWith("-") && durationPattern.test(text.slice(1))) {
    return now - millisOf(text.slice(1));
  }
  if (/^-?\d{1,16}(\.\d{1,6})?$/.test(text)) return Number(text);
  const whole = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00` : text;
  const bytes = Buffer.from(whole);
  return millisOfText(bytes, 0, bytes.length, true);
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Steps that people can read off an axis. */
const niceSteps: readonly ResolutionMs[] = [
  ...[0.001, 0.01, 0.1, 1, 2, 5, 10, 20, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 5, 10, 20, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000].map((days) => days * DAY),
];

/**
 * A nice step that cuts the range into at most `points` buckets. Up to twice as long a one is taken
 * where it is a multiple of a coarser tier: then the answer is in fewer rows.
 */
export function stepFor(
  range: TimeRange,
  { points, tiers }: { readonly points: number; readonly tiers: readonly ResolutionMs[] },
): ResolutionMs {
  // Both ends may lie within a bucket.
  const fits = (step: number): boolean => bucketsIn(aligned(range, step), step) <= points;
  const steps = [...new Set([...niceSteps, ...tiers])].toSorted((a, b) => a - b);
  const shortest = steps.find(fits);
  if (shortest === undefined) return Math.ceil((range.to - range.from) / DAY + 1) * DAY;
  const wanted = tiers.findLast((tier) => tier <= shortest);
  if (wanted === undefined || shortest % wanted === 0) return shortest;
  const better = steps.find(
    (step) => step > shortest && step <= 2 * shortest && step % wanted === 0,
  );
  return better ?? shortest;
}

/** The range with both ends moved out to multiples of the step. */
export function aligned({ from, to }: TimeRange, step: ResolutionMs): TimeRange {
  return { from: Math.floor(from / step) * step, to: Math.ceil(to / step) * step };
}

export function bucketsIn({ from, to }: TimeRange, step: ResolutionMs): number {
  return Math.round((to - from) / step);
}
