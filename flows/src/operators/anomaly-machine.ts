/**
 * An EWMA control chart for each key, as weir's detectors compute it: it learns what is usual, then finds
 * small lasting shifts. Two outputs: messages that are an anomaly, and all others.
 */

import type { EwmaPipelineSpec } from "../../../src/edge-ops/spec.ts";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import type { Settings } from "../migrations.ts";
import type { Message, Outputs } from "../red.ts";
import { numberIn, wholeIn } from "../settings.ts";
import type { Machine, Started } from "./machine.ts";
import type { PropertyReader } from "./reading.ts";
import { openStream, type Stream, takesKeys } from "./stream.ts";
import { parsed, refuseAhead, type StreamSettings, streamSettings } from "./stream-settings.ts";

export function startAnomaly(
  settings: Settings,
  kept: string | undefined,
  { read, now }: { readonly read: PropertyReader; readonly now: number },
): Started {
  const shared = streamSettings(settings, read);
  const weight = { min: 1e-6, max: 1 };
  const pipeline: EwmaPipelineSpec = {
    kind: "ewma",
    name: "anomaly",
    where: takesKeys.where,
    key: [],
    lambda: numberIn(settings, "lambda", weight),
    sigmas: numberIn(settings, "sigmas", { min: 0.1, max: 1_000 }),
    warmup: wholeIn(settings, "warmup", { min: 2, max: flowLimits.chartReadingsMax }),
    baseline: numberIn(settings, "baseline", weight),
    sigmaMin: numberIn(settings, "sigmaMin", { min: 0, max: 1e150 }),
    rearm: wholeIn(settings, "rearm", { min: 1, max: flowLimits.chartReadingsMax }),
  };
  const options = { ...shared.options, pipeline, duplicateRing: 0 };
  const { stream, trouble } = openStream(options, parsed(kept), now);
  return {
    machine: new AnomalyMachine(stream, shared.readingOf),
    // What a chart has learnt under other settings is no result.
    leftover: [],
    ...(trouble === undefined ? {} : { trouble }),
  };
}

class AnomalyMachine implements Machine {
  readonly #stream: Stream;
  readonly #readingOf: StreamSettings["readingOf"];
  #alerts = 0;
  #late = 0;

  constructor(stream: Stream, readingOf: StreamSettings["readingOf"]) {
    this.#stream = stream;
    this.#readingOf = readingOf;
  }

  take(message: Message, now: number): Outputs {
    const reading = this.#readingOf(message);
    const { outcome, found } = this.#stream.take(reading, now);
    if (outcome === "ahead") refuseAhead(reading);
    if (outcome === "late") this.#late += 1;
    const alert = found.find(({ record }) => record.kind === "alert")?.record;
    if (alert?.kind !== "alert") return [[], [message]];
    this.#alerts += 1;
    const { time, value, score, expected, limit } = alert;
    const reason = alert.reason === "ewma_high" ? "high" : "low";
    const anomaly = { key: reading.key, time, value, reason, score, expected, limit };
    return [[{ ...message, anomaly }], []];
  }

  /** A chart knows readings only. */
  wake(): Outputs {
    return [];
  }

  wakeAt(): number {
    return Number.POSITIVE_INFINITY;
  }

  keep(): string | undefined {
    const kept = this.#stream.keep();
    return kept === undefined ? undefined : JSON.stringify(kept);
  }

  counts(): Readonly<Record<string, number>> {
    return { keys: this.#stream.keyCount, alerts: this.#alerts, late: this.#late };
  }
}
