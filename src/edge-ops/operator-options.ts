/**
 * What every operator is made from, and how it finds its place among the series and in the ledger.
 *
 *   SeriesId --PipelineRows--> key index --> Tags      one Int32 per series, filled at its first row
 *   counts[COUNT_*] += n                               one row of the ledger, shared with it
 *
 * An operator counts each accepted row of a step exactly once, so that after each `apply`
 * accepted = filtered + refused + late + open + closed holds for its pipeline. A detector, which has
 * no windows, counts the readings it has taken as closed.
 */

import type { Catalog } from "../core/catalog.ts";
import type { Tags } from "../core/frame.ts";
import type { DeviceId, Millis, SeriesId } from "../core/units.ts";

/** Cells of one pipeline's row in the ledger; what is in it is durable with the ledger. */
export type PipelineCounts = Float64Array;

/** Rows the pipeline was given. Counted by the dataflow, not by the operator. */
export const COUNT_ACCEPTED = 0;
/** Rows that `where` does not take, or whose value the operator cannot use. */
export const COUNT_FILTERED = 1;
/** Rows of a key beyond keysMax. */
export const COUNT_REFUSED = 2;
/** Rows too late for every window they belong to. */
export const COUNT_LATE = 3;
/** Rows in windows whose latest revision does not have them yet. A level, not a total. */
export const COUNT_OPEN = 4;
/** Rows in the counts of latest revisions. */
export const COUNT_CLOSED = 5;
/** Information: summaries of revision 0, of later revisions, and windows closed before their time. */
export const COUNT_WINDOWS = 6;
export const COUNT_CORRECTIONS = 7;
export const COUNT_FORCED = 8;
/** Information: alerts that left, and alerts that were beyond limits.alertsPerSecondMax. */
export const COUNT_ALERTS = 9;
export const COUNT_SUPPRESSED = 10;
export const PIPELINE_CELLS = 11;

/** `PipelineRows.keyOf`: the pipeline does not take this series. */
export const FILTERED = -1;
/** `PipelineRows.keyOf`: it does, but keysMax keys exist already. */
export const REFUSED = -2;
/** `PipelineRows.peek`: no row of this series has come to the pipeline yet. */
export const UNKNOWN = -3;

/** Which series a pipeline takes and under which key. Its state is listed and restored by the dataflow. */
export interface PipelineRows {
  /** Keys so far; key indexes are [0, keyCount). */
  readonly keyCount: number;
  /** Key index of the series, FILTERED or REFUSED; decided once, at its first row. O(1). */
  keyOf(series: SeriesId | number): number;
  /** The same without deciding: UNKNOWN before the first row. */
  peek(series: SeriesId | number): number;
  /** Tags of a key, sorted by name, `metric` among them where it is part of the key. */
  tagsOf(key: number): Tags;
}

/** The devices as the accept stage left them at the end of the last frame; for `restore` only. */
export interface DeviceTimes {
  /** False until a row of the device was accepted. */
  isSeen(device: DeviceId | number): boolean;
  isIdle(device: DeviceId | number): boolean;
  watermarkOf(device: DeviceId | number): Millis;
}

export type OperatorOptions<Spec> = {
  readonly spec: Spec;
  /** Name of the pipeline in what it emits and in the names of its tables: `name`, `name@2`, ... */
  readonly pipeline: string;
  readonly catalog: Catalog;
  readonly counts: PipelineCounts;
  readonly rows: PipelineRows;
  readonly devices: DeviceTimes;
  /** Largest `disorderMs` of the sources it takes. */
  readonly disorderMs: number;
  readonly dataflow: {
    readonly seriesMax: number;
    readonly devicesMax: number;
    readonly keysMax: number;
  };
};

/** Tags of one series with its metric, sorted by name: the key of what is said about a series. */
export function tagsOfSeries(catalog: Catalog, series: SeriesId): Tags {
  const { device, metric } = catalog.series(series);
  const tags: [string, string][] = catalog
    .device(device)
    .tags.map(([name, value]) => [name, value]);
  tags.push(["metric", metric]);
  return tags.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
}
