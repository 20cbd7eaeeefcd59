/**
 * The part of the configuration that decides outputs, as it stands in the log: plain JSON with no
 * secrets and no defaults left open. The configuration file is translated into this by the agent.
 */

import { Fault } from "../core/faults.ts";

export type SourceSpec = {
  readonly name: string;
  /** How far behind its newest reading a device may still deliver in order, ms. */
  readonly disorderMs: number;
  /** A device silent for so long no longer holds windows open, ms of gateway clock. */
  readonly idleMs: number;
  /** A reading stamped further ahead of the gateway clock than this is quarantined, ms. */
  readonly futureMs: number;
};

/** Which readings a pipeline takes; all conditions must hold. Globs know `*` (any run of characters). */
export type WhereSpec = {
  /** Names of sources; empty takes all. */
  readonly sources: readonly string[];
  /** Globs of metrics; empty takes all. */
  readonly metrics: readonly string[];
  /** Tag name to glob. */
  readonly tags: Readonly<Record<string, string>>;
};

export type AggregateName =
  | "count"
  | "sum"
  | "mean"
  | "min"
  | "max"
  | "variance"
  | "first"
  | "last"
  | PercentileName
  | "quantiles";

/** By the nearest rank; exact up to 200 readings, else as kll.ts says. */
export type PercentileName = "p50" | "p90" | "p95" | "p99";

export type WindowSpec =
  | { readonly kind: "tumbling"; readonly sizeMs: number }
  | { readonly kind: "sliding"; readonly sizeMs: number; readonly slideMs: number }
  | { readonly kind: "session"; readonly gapMs: number; readonly maxMs: number };

type PipelineBase = {
  readonly name: string;
  readonly where: WhereSpec;
  /** Tag names, `metric` for the metric; readings with equal values share a window. Sorted. */
  readonly key: readonly string[];
};

/** Numeric readings into windows; symbols are filtered out. */
export type WindowPipelineSpec = PipelineBase & {
  readonly kind: "window";
  readonly window: WindowSpec;
  readonly aggregate: readonly AggregateName[];
  readonly allowedLatenessMs: number;
};

/** EWMA control chart, one per series (`key` is not used and empty). */
export type EwmaPipelineSpec = PipelineBase & {
  readonly kind: "ewma";
  /** Weight of the newest reading in the chart statistic, in (0, 1]. */
  readonly lambda: number;
  /** Control limit in sigmas of the statistic. */
  readonly sigmas: number;
  /** Readings that only train the baseline. */
  readonly warmup: number;
  /** Weight of the newest reading in the baseline mean and variance, in (0, 1]. */
  readonly baseline: number;
  /** Smallest sigma believed, in the unit of the series: a constant series is not infinitely sure. */
  readonly sigmaMin: number;
  /** After an alert the series stays quiet until it has been inside the limits for so many readings. */
  readonly rearm: number;
};

/** Count-Min over symbol readings; numbers are filtered out. The counted item is key + symbol. */
export type FrequencyPipelineSpec = PipelineBase & {
  readonly kind: "frequency";
  readonly depth: number;
  readonly width: number;
  /** Alert when an item's share of the period reaches this, in (0, 1]; 0 is off. */
  readonly heavyShare: number;
  /** Alert when an item is seen at most so often in the period; 0 is off. */
  readonly rareCount: number;
  /** No alert before the period has so many readings. */
  readonly minimum: number;
  /** Counters start again at each multiple of this of the gateway clock, ms. */
  readonly periodMs: number;
};

export type PipelineSpec = WindowPipelineSpec | EwmaPipelineSpec | FrequencyPipelineSpec;

/** The largest disorder among the sources that the pipeline takes, ms. */
export function disorderOf({ where }: PipelineSpec, sources: readonly SourceSpec[]): number {
  const taken = sources.filter(
    ({ name }) => where.sources.length === 0 || where.sources.includes(name),
  );
  return Math.max(0, ...taken.map(({ disorderMs }) => disorderMs));
}

export type DataflowSpec = {
  readonly version: 1;
  readonly sources: readonly SourceSpec[];
  readonly pipelines: readonly PipelineSpec[];
  /** Readings of a series among which a resent one is recognised. */
  readonly duplicateRing: number;
  readonly seriesMax: number;
  readonly devicesMax: number;
  readonly keysMax: number;
  /** Event time between two completeness markers of a key, ms; absent: limits.markerIntervalMs. */
  readonly markerMs?: number;
};

/** A specification with what must be kept beside the chunks of a checkpoint, as JSON. */
export type DataflowState = DataflowSpec & {
  /** How many definitions each pipeline name has had. */
  readonly generations?: Readonly<Record<string, number>>;
  /** Room of the tables: it never shrinks. */
  readonly capacity?: Pick<DataflowSpec, "seriesMax" | "devicesMax" | "keysMax">;
};

/** What a pipeline is called in what it emits: each further definition of its name has another one. */
export function emittedName(name: string, generation = 1): string {
  return generation === 1 ? name : `${name}@${generation}`;
}

/** The name in the configuration of what a pipeline is called there. */
export function configuredName(emitted: string): string {
  return emitted.replace(/@\d+$/, "");
}

const VERSION = 1;

/**
 * A specification as a log record or a checkpoint holds it. An agent checked it before it wrote it,
 * so only its version is to be told. Faults: FORMAT_TOO_NEW, FORMAT_UNKNOWN.
 */
export function decodeSpec(json: string): DataflowState {
  const value = parsed(json);
  if (isSpec(value)) return value;
  if (hasVersion(value) && Number(value.version) > VERSION) {
    throw new Fault(
      "FORMAT_TOO_NEW",
      `the configuration in force has version ${String(value.version)}, this weir knows up to ${VERSION}; start the newer weir again`,
    );
  }
  throw new Fault(
    "FORMAT_UNKNOWN",
    "the configuration in force is of a version that this weir does not know; start the version that wrote it, or start with a fresh data directory",
  );
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function isSpec(value: unknown): value is DataflowState {
  return hasVersion(value) && value.version === VERSION;
}

function hasVersion(value: unknown): value is { readonly version: unknown } {
  return typeof value === "object" && value !== null && "version" in value;
}
