/**
 * Windows over messages: the numbers of each key, by event time or arrival, in tumbling, hopping or
 * session windows of weir's operators. Two outputs: results, and messages that came too late.
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import type { Summary } from "../../../src/core/record.ts";
import type { AggregateName, WindowPipelineSpec, WindowSpec } from "../../../src/edge-ops/spec.ts";
import { paneGeometryOf } from "../../../src/edge-ops/windows/pane-geometry.ts";
import type { Settings } from "../migrations.ts";
import type { Message, Outputs } from "../red.ts";
import { choiceIn, numberIn, someOf } from "../settings.ts";
import { type Machine, nothing, type Started } from "./machine.ts";
import type { PropertyReader } from "./reading.ts";
import { type Found, openStream, type Stream, takesKeys } from "./stream.ts";
import {
  parsed,
  refuseAhead,
  SECONDS_MAX,
  type StreamSettings,
  streamSettings,
} from "./stream-settings.ts";

/** `stddev` is the root of the population variance. */
export const windowAggregates = [
  "count",
  "sum",
  "mean",
  "min",
  "max",
  "stddev",
  "variance",
  "first",
  "last",
  "p50",
  "p90",
  "p95",
  "p99",
] as const;

type WindowAggregate = (typeof windowAggregates)[number];

const PIPELINE = "window";

export function startWindow(
  settings: Settings,
  kept: string | undefined,
  context: { readonly read: PropertyReader; readonly now: number },
): Started {
  const aggregates = someOf(settings, "aggregates", windowAggregates);
  const windows: Windows = {
    window: windowOf(settings),
    aggregate: aggregatesOf(aggregates),
    allowedLatenessMs: numberIn(settings, "latenessSeconds", { min: 0, max: SECONDS_MAX }) * 1_000,
    resultOf: (key, summary) => resultOf(key, summary, aggregates),
  };
  return startWindows(windows, { settings, kept, ...context });
}

/** Windows, and the message that a closed one makes. */
export type Windows = Pick<WindowPipelineSpec, "window" | "aggregate" | "allowedLatenessMs"> & {
  readonly resultOf: (key: string, summary: Summary) => Message;
};

/** The machine of these windows. Throws an Error that names the setting which is wrong. */
export function startWindows(
  { resultOf: messageOf, ...windows }: Windows,
  from: {
    readonly settings: Settings;
    readonly kept: string | undefined;
    readonly read: PropertyReader;
    readonly now: number;
  },
): Started {
  const shared = streamSettings(from.settings, from.read);
  const pipeline: WindowPipelineSpec = { kind: "window", name: PIPELINE, ...takesKeys, ...windows };
  checkRoom(pipeline, shared.options);
  const options = { ...shared.options, pipeline, duplicateRing: 0 };
  const { stream, leftover, trouble } = openStream(options, parsed(from.kept), from.now);
  const results = (found: readonly Found[]): readonly Message[] =>
    found.flatMap(({ key, record }) => (record.kind === "summary" ? [messageOf(key, record)] : []));
  return {
    machine: new WindowMachine(stream, shared.readingOf, results),
    leftover: [results(leftover)],
    ...(trouble === undefined ? {} : { trouble }),
  };
}

class WindowMachine implements Machine {
  readonly #stream: Stream;
  readonly #readingOf: StreamSettings["readingOf"];
  readonly #resultsOf: (found: readonly Found[]) => readonly Message[];
  #late = 0;

  constructor(
    stream: Stream,
    readingOf: StreamSettings["readingOf"],
    resultsOf: (found: readonly Found[]) => readonly Message[],
  ) {
    this.#stream = stream;
    this.#readingOf = readingOf;
    this.#resultsOf = resultsOf;
  }

  take(message: Message, now: number): Outputs {
    const reading = this.#readingOf(message);
    const { outcome, found } = this.#stream.take(reading, now);
    if (outcome === "ahead") refuseAhead(reading);
    const results = this.#resultsOf(found);
    if (outcome !== "late") return results.length === 0 ? nothing : [results];
    this.#late += 1;
    return [results, [{ ...message, late: { key: reading.key, time: reading.time } }]];
  }

  wake(now: number): Outputs {
    return [this.#resultsOf(this.#stream.wake(now))];
  }

  wakeAt(): number {
    return this.#stream.wakeAt();
  }

  keep(): string | undefined {
    const kept = this.#stream.keep();
    return kept === undefined ? undefined : JSON.stringify(kept);
  }

  counts(): Readonly<Record<string, number>> {
    return { keys: this.#stream.keyCount, open: this.#stream.openCount, late: this.#late };
  }
}

/** `{ topic, payload: { count, mean, ... }, window: { key, start, end, revision } }`; times in ms. */
function resultOf(key: string, summary: Summary, aggregates: readonly WindowAggregate[]): Message {
  const payload = Object.fromEntries(aggregates.map((name) => [name, valueOf(summary, name)]));
  return { topic: key, payload, window: spanOf(key, summary) };
}

/** Which window of which key a result is of; times in ms. */
export function spanOf(key: string, { start, end, revision, count }: Summary): object {
  return { key, start, end, revision, count };
}

function valueOf({ count, fields }: Summary, name: WindowAggregate): number | undefined {
  if (name === "count") return count;
  if (name !== "stddev") return fields[name];
  return fields.variance === undefined ? undefined : Math.sqrt(fields.variance);
}

function aggregatesOf(names: readonly WindowAggregate[]): readonly AggregateName[] {
  const wanted = names.map((name) => (name === "stddev" ? "variance" : name));
  return [...new Set(wanted)];
}

function windowOf(settings: Settings): WindowSpec {
  const range = { min: 0.1, max: SECONDS_MAX };
  const kind = choiceIn(settings, "window", ["tumbling", "hopping", "session"]);
  if (kind === "session") {
    const gapMs = millisIn(settings, "gapSeconds", range);
    const maxMs = Math.max(millisIn(settings, "sizeSeconds", range), gapMs);
    return { kind, gapMs, maxMs };
  }
  const sizeMs = millisIn(settings, "sizeSeconds", range);
  if (kind === "tumbling") return { kind, sizeMs };
  const slideMs = millisIn(settings, "hopSeconds", range);
  if (slideMs > sizeMs) {
    throw new Error("hopSeconds is more than sizeSeconds: messages between windows would be lost");
  }
  return { kind: "sliding", sizeMs, slideMs };
}

function millisIn(
  settings: Settings,
  name: string,
  range: { readonly min: number; readonly max: number },
): number {
  const value = numberIn(settings, name, range) * 1_000;
  if (Number.isInteger(value)) return value;
  throw new Error(`${name} is ${value / 1_000}: set whole milliseconds`);
}

/** What the windows may take in memory, and that a slot is never given away while they are open. */
function checkRoom(
  { window, allowedLatenessMs }: WindowPipelineSpec,
  { keysMax, forgetMs, disorderMs }: StreamSettings["options"],
): void {
  const waits = { disorderMs, allowedLatenessMs };
  const reachMs = (window.kind === "session" ? window.maxMs : window.sizeMs) + allowedLatenessMs;
  if (forgetMs > 0 && forgetMs < reachMs + disorderMs) {
    throw new Error(
      `forgetSeconds is ${forgetMs / 1_000}: set 0, or at least the ${(reachMs + disorderMs) / 1_000} s that a window of a key may be open`,
    );
  }
  if (window.kind === "session") return;
  if (window.kind === "sliding" && panesOf(window) > flowLimits.panesPerWindowMax) {
    throw new Error(
      `a window of ${window.sizeMs / 1_000} s each ${window.slideMs / 1_000} s has ${panesOf(window)} parts, over ${flowLimits.panesPerWindowMax}: set a longer hop`,
    );
  }
  const { ring } = paneGeometryOf(window, waits);
  if (ring * keysMax <= flowLimits.panesMax) return;
  throw new Error(
    `${keysMax} keys with ${ring} open windows each are over ${flowLimits.panesMax}: set fewer keys, less lateness or a longer hop`,
  );
}

function panesOf({ sizeMs, slideMs }: { sizeMs: number; slideMs: number }): number {
  let [a, b] = [sizeMs, slideMs];
  while (b !== 0) [a, b] = [b, a % b];
  return sizeMs / a;
}
