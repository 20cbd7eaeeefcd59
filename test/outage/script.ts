/**
 * A scenario by a seed, of so many minutes: everything that can go wrong between devices, an agent, its
 * disk and its cluster, at random times and at once, as often as an hour of it says.
 */

import { fractions } from "../support/seeded-random.ts";

export type ScriptOptions = {
  readonly seed: number;
  readonly minutes: number;
  readonly devices: number;
  /** "host:port" of the cluster. */
  readonly bootstrap: string;
  /** Shell commands that end the broker without warning, and bring it back. */
  readonly broker: { readonly kill: string; readonly start: string };
};

type Kind = {
  readonly name: string;
  readonly perHour: number;
  /** How long, in seconds. */
  readonly lasts: readonly [least: number, most: number];
  readonly step: string;
};

/** All is well for so long in the beginning and in the end, in seconds. */
const marginSeconds = 5;
/** In an hour; a shorter one has as much of it. */
const longestCutMinutes = 10;

/** The text of a scenario file. */
export function scriptOf(options: ScriptOptions): string {
  const { seed, minutes, devices, bootstrap, broker } = options;
  const random = fractions(seed);
  const run = `run: ${JSON.stringify(broker.kill)}, after: ${JSON.stringify(broker.start)}`;
  const kinds: readonly Kind[] = [
    // Some meet an agent that is away already.
    { name: "kill", perHour: 220, lasts: [0, 2], step: "agent: kill" },
    { name: "stop", perHour: 10, lasts: [0, 5], step: "agent: stop" },
    { name: "hold", perHour: 6, lasts: [1, 40], step: "agent: hang" },
    { name: "short cut", perHour: 60, lasts: [1, 5], step: "link: cut" },
    { name: "cut", perHour: 6, lasts: [20, 120], step: "link: cut" },
    { name: "hang", perHour: 8, lasts: [5, 60], step: "link: hang" },
    { name: "loss", perHour: 8, lasts: [20, 60], step: "link: { loss: 30% }" },
    { name: "delay", perHour: 8, lasts: [20, 60], step: "link: { delay: 2s }" },
    { name: "slow", perHour: 6, lasts: [30, 120], step: "link: { bandwidth: 4kB }" },
    { name: "devices", perHour: 20, lasts: [1, 30], step: "devices: cut" },
    { name: "radio", perHour: 10, lasts: [5, 40], step: "devices: { loss: 10%, delay: 300ms }" },
    { name: "full", perHour: 8, lasts: [5, 40], step: "disk: full" },
    { name: "broker", perHour: 8, lasts: [2, 30], step: run },
  ];
  const end = 60 * minutes - marginSeconds;
  const steps = kinds.flatMap(({ perHour, lasts: [least, most], step }) =>
    Array.from({ length: Math.max(1, Math.round((perHour * minutes) / 60)) }, () => {
      const at = marginSeconds + random() * (end - 2 * marginSeconds);
      const lasts = Math.min(least + random() * (most - least), end - at);
      return `  - { at: ${millis(at)}, for: ${millis(lasts)}, ${step} }`;
    }),
  );
  const longest = (60 * longestCutMinutes * minutes) / 60;
  const from = marginSeconds + random() * (end - longest - marginSeconds);
  return `version: 1
seed: ${seed}
for: ${minutes}m
fleet: { devices: ${devices} }
upstream:
  kafka:
    brokers: ["${bootstrap}"]
    timeouts: { connect: 5s, request: 15s, transaction: 40s }
steps:
  - { at: ${millis(from)}, for: ${millis(longest)}, link: cut }
${steps.join("\n")}
`;
}

function millis(seconds: number): string {
  return `${Math.round(seconds * 1_000)}ms`;
}
