/** The settings that all nodes with a stream share: time, keys, and what makes a stream of them. */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import type { Settings } from "../migrations.ts";
import { choiceIn, numberIn, textIn, wholeIn } from "../settings.ts";
import type { Message } from "../red.ts";
import { keyOf, numberOf, type PropertyReader, timeOf } from "./reading.ts";
import { Refused } from "./machine.ts";
import type { Reading, StreamOptions } from "./stream.ts";

/** The longest that a setting in seconds may say: a year. */
export const SECONDS_MAX = 31_536_000;

export type StreamSettings = {
  readonly options: Omit<StreamOptions, "pipeline" | "duplicateRing">;
  /** The reading of a message. Throws Refused where it has none. */
  readonly readingOf: (message: Message) => Reading;
};

export function streamSettings(settings: Settings, read: PropertyReader): StreamSettings {
  const time = choiceIn(settings, "timeFrom", ["arrival", "message"]);
  const seconds = { min: 0, max: SECONDS_MAX };
  const keyPath = textIn(settings, "keyProperty", true);
  const valuePath = textIn(settings, "valueProperty");
  const timePath = time === "message" ? textIn(settings, "timeProperty") : undefined;
  const options = {
    time,
    keysMax: wholeIn(settings, "keysMax", { min: 1, max: flowLimits.keysMax }),
    forgetMs: numberIn(settings, "forgetSeconds", seconds) * 1_000,
    disorderMs: numberIn(settings, "disorderSeconds", seconds) * 1_000,
    idleMs: numberIn(settings, "idleSeconds", { min: 1, max: SECONDS_MAX }) * 1_000,
    futureMs: numberIn(settings, "futureSeconds", seconds) * 1_000,
  };
  const readingOf = (message: Message): Reading => {
    const key = keyOf(read, message, keyPath);
    const value = numberOf(read, message, valuePath);
    if (timePath === undefined) return { key, value };
    return { key, value, time: timeOf(read, message, timePath) };
  };
  return { options, readingOf };
}

/** A reading whose time is too far ahead of the clock: believed, it would close every window. */
export function refuseAhead(reading: Reading): never {
  const time = new Date(reading.time ?? 0).toISOString();
  throw new Refused(
    `the time of the message, ${time}, is too far ahead of this machine's clock: set the device's clock, or the node's limit for it`,
  );
}

/** What was kept, as JSON; undefined where it is none. */
export function parsed(kept: string | undefined): unknown {
  if (kept === undefined) return undefined;
  try {
    return JSON.parse(kept);
  } catch {
    return {};
  }
}
