/**
 * What goes upstream. The identity of a record is pipeline / key / window start / resolution /
 * revision (for an alert: pipeline / key / event time); lane, sequence number and digest are given
 * later, per uplink. `pipeline` is its name, with `@2` and so on after its definition changed, so
 * that two versions never share an identity.
 */

import type { DeadLetter, Tags } from "./frame.ts";
import type { Millis, Position } from "./units.ts";

/** A mergeable aggregate of one key in one half-open window [start, end). */
export type Summary = {
  readonly kind: "summary";
  readonly pipeline: string;
  /** The tags of the pipeline's key, `metric` among them where it is part of the key. */
  readonly key: Tags;
  readonly start: Millis;
  readonly end: Millis;
  /** 0 for the first emission; n + 1 replaces n. A count of 0 withdraws the window. */
  readonly revision: number;
  readonly count: number;
  readonly fields: SummaryFields;
  /** Readings in it whose time is our arrival time: how good the summary's time is. */
  readonly arrivalTimed: number;
  /**
   * How many summaries of the pipeline's own windows it takes the place of: they were merged before
   * any of them was sent, and none of them will be. Absent where it is the window's own.
   */
  readonly merged?: number;
};

/** Present as the pipeline's `aggregate` says; absent where count is 0. */
export type SummaryFields = {
  readonly sum?: number;
  /** Low part of the error-compensated pair: the sum is `sum + sumError`. */
  readonly sumError?: number;
  readonly mean?: number;
  readonly min?: number;
  readonly max?: number;
  /** Population variance (divided by count). */
  readonly variance?: number;
  readonly first?: number;
  readonly firstTime?: Millis;
  readonly last?: number;
  readonly lastTime?: Millis;
  /** Percentiles by the nearest rank, of `quantiles`. */
  readonly p50?: number;
  readonly p90?: number;
  readonly p95?: number;
  readonly p99?: number;
  /** A KLL sketch of doubles, as Apache DataSketches stores one. Owned by the record. */
  readonly quantiles?: Uint8Array;
};

export type AlertReason = "ewma_high" | "ewma_low" | "heavy_symbol" | "rare_symbol";

export type Alert = {
  readonly kind: "alert";
  readonly pipeline: string;
  /** Tags of the series, `metric` included. */
  readonly key: Tags;
  readonly time: Millis;
  readonly reason: AlertReason;
  /** The reading: a number, or the text of a symbol. */
  readonly value: number | string;
  /** How far: for EWMA the distance from the centre in sigmas of the chart, for symbols the share or the count. */
  readonly score: number;
  /** What was expected: centre and limit of the chart, or the threshold. */
  readonly expected: number;
  readonly limit: number;
};

/**
 * Stands in a lane for records that were dropped unsent, because the outbox had no room for them. One
 * for all keys of a pipeline.
 */
export type Gap = {
  readonly kind: "gap";
  readonly pipeline: string;
  readonly lane: "alerts" | "summaries";
  /** The greatest number that a record it stands for had: what makes it one of its own. */
  readonly last: number;
  /** From the earliest start of a window to the latest end, or from the first alert to the last. */
  readonly start: Millis;
  readonly end: Millis;
  /** Summaries, each as its newest revision, or alerts. */
  readonly records: number;
  /** The counts of these summaries together; 0 for alerts. */
  readonly readings: number;
};

/**
 * A completeness marker: the windows of a pipeline and key that end by `through` are final, all of them
 * were emitted before it, and the counts of their latest revisions add up to `readings`.
 */
export type Complete = {
  readonly kind: "complete";
  readonly pipeline: string;
  readonly key: Tags;
  /** Windows that end by it are not counted; absent where all are. */
  readonly from?: Millis;
  readonly through: Millis;
  readonly readings: number;
};

/**
 * Readings of one series that were asked for, in order of time: one part of the answer to a request.
 * Not an output of operators: it is read from what is stored, whenever it is asked for.
 */
export type Raw = {
  readonly kind: "raw";
  /** Id of the request. */
  readonly request: string;
  /** 0 for the first of the answer, then one more each. */
  readonly part: number;
  readonly source: string;
  /** As the catalog names it. */
  readonly series: string;
  /** Of the readings, ascending. */
  readonly times: readonly Millis[];
  /** One for each time: a number, or the text of a symbol. */
  readonly values: readonly (number | string)[];
  /** Indexes of readings whose time is our arrival time. */
  readonly arrivalTimed: readonly number[];
  /** Times and values were erased before it was sent: it had so many. */
  readonly erased?: number;
};

/** What became of a request: the last record of its answer. */
export type Manifest = {
  readonly kind: "manifest";
  readonly request: string;
  readonly select: readonly string[];
  readonly from: Millis;
  readonly to: Millis;
  readonly outcome: RawOutcome;
  /** Why it is not complete; empty where it is. */
  readonly reason: string;
  /** How many raw records came before it. */
  readonly parts: number;
  readonly readings: number;
  /** Chain of digests over their JSON, in order of the parts. */
  readonly digest: string;
  /** Those that had readings, and the times of their first and last. */
  readonly series: readonly RawSeries[];
  /** Spans of which only aggregates are left, the finest in ms. */
  readonly coarser: readonly CoarserSpan[];
  /** Something in the range could not be read. */
  readonly damaged: boolean;
};

/** `partial`: something in the range is damaged, or left only as aggregates. */
export type RawOutcome = "complete" | "partial" | "refused" | "cancelled";

export type RawSeries = {
  readonly source: string;
  readonly series: string;
  readonly readings: number;
  readonly first: Millis;
  readonly last: Millis;
};

export type CoarserSpan = { readonly from: number; readonly to: number; readonly finest: number };

/** Where operators put what they found. Owned by the caller of `apply`; `at` is the position that caused it. */
export interface Sink {
  summary(at: Position, summary: Summary): void;
  alert(at: Position, alert: Alert): void;
  complete(at: Position, marker: Complete): void;
  deadLetter(at: Position, letter: DeadLetter): void;
}
