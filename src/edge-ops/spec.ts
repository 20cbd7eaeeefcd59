/**
 * The part of the configuration that decides outputs, as it stands in the log: plain JSON with no
 * secrets and no defaults left open. The configuration file is translated into this by the agent.
 */

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
  | "last";

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

export type DataflowSpec = {
  readonly version: 1;
  readonly sources: readonly SourceSpec[];
  readonly pipelines: readonly PipelineSpec[];
  /** Readings of a series among which a resent one is recognised. */
  readonly duplicateRing: number;
  readonly seriesMax: number;
  readonly devicesMax: number;
  readonly keysMax: number;
};
