/** The steps of a scenario as moments in their order: what begins, what ends. Pure, by the seed. */

import { Chance } from "./chance.ts";
import type { Weather } from "./weather.ts";

export type Action =
  | { readonly kind: "link" | "devices"; readonly weather: Weather }
  | { readonly kind: "agent"; readonly how: "kill" | "stop" | "hang" }
  | { readonly kind: "disk" }
  | { readonly kind: "run"; readonly command: string; readonly after: string | undefined };

export type Step = {
  readonly action: Action;
  readonly when:
    | { readonly kind: "once"; readonly atMs: number }
    | {
        readonly kind: "again";
        readonly everyMs: number;
        readonly fromMs: number;
        readonly untilMs: number;
      };
  readonly jitterMs: number;
  readonly forMs: number;
  /** As a person would say it. */
  readonly text: string;
};

export type Moment = {
  readonly atMs: number;
  readonly phase: "begin" | "end";
  /** Tells its beginning and its end from those of others. */
  readonly occurrence: number;
  readonly step: Step;
};

/** More in one scenario would be a mistake. */
export const momentsMax = 200_000;

/** What begins before `endMs`; nothing lasts longer than that. */
export function timelineOf(
  steps: readonly Step[],
  { seed, endMs }: { readonly seed: number; readonly endMs: number },
): readonly Moment[] {
  const chance = new Chance(seed);
  const moments: Moment[] = [];
  let occurrence = 0;
  for (const step of steps) {
    for (const planned of timesOf(step)) {
      const atMs = planned + Math.floor(chance.fraction() * step.jitterMs);
      if (atMs >= endMs || moments.length >= momentsMax) continue;
      moments.push({ atMs, phase: "begin", occurrence, step });
      moments.push({ atMs: Math.min(atMs + step.forMs, endMs), phase: "end", occurrence, step });
      occurrence += 1;
    }
  }
  return moments.toSorted((a, b) => a.atMs - b.atMs || a.occurrence - b.occurrence);
}

function* timesOf({ when }: Step): Generator<number> {
  if (when.kind === "once") yield when.atMs;
  else for (let at = when.fromMs; at <= when.untilMs; at += when.everyMs) yield at;
}
