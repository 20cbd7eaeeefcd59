/**
 * How much operator state a configuration can come to, for `weir check`: bytes of one series, device
 * or key, and of all that the limits allow. Tables are reserved whole but the system gives memory
 * only to what is used, so these are what the resident memory may grow by, not what it starts with.
 */

import { limits } from "../../core/limits.ts";
import type {
  AggregateName,
  PipelineSpec,
  SourceSpec,
  WindowPipelineSpec,
} from "../../edge-ops/spec.ts";
import { columnsOf, createAggregates } from "../../edge-ops/windows/aggregate.ts";
import { type PaneGeometry, paneGeometryOf } from "../../edge-ops/windows/pane-geometry.ts";
import type { Config } from "./config.ts";

export type PipelineEstimate = {
  /** undefined for what has no panes. */
  readonly panes: PaneGeometry | undefined;
  /** What one more key (window) or series (EWMA) takes; 0 where state does not grow. */
  readonly bytesPerKey: number;
  readonly keysMax: number;
  /** At the limits. */
  readonly bytesMax: number;
};

/** Ring of resent readings: time, value and kind of each, and the heads. */
export function duplicateBytesPerSeries(config: Pick<Config, "duplicateRing">): number {
  return config.duplicateRing * 17 + 20;
}

export function estimatePipeline(spec: PipelineSpec, config: Config): PipelineEstimate {
  const series = config.seriesMax;
  switch (spec.kind) {
    case "ewma": {
      const bytesPerKey = EWMA_BYTES_PER_SERIES + KEY_INDEX_BYTES;
      return { panes: undefined, bytesPerKey, keysMax: series, bytesMax: bytesPerKey * series };
    }
    case "frequency": {
      const bytesMax = spec.depth * spec.width * 4 + KEY_INDEX_BYTES * series;
      return { panes: undefined, bytesPerKey: 0, keysMax: config.keysMax, bytesMax };
    }
    case "window":
      return estimateWindow(spec, config);
  }
}

/** The largest disorder among the sources that the pipeline takes, ms. */
export function disorderOf(spec: PipelineSpec, sources: readonly SourceSpec[]): number {
  const names = spec.where.sources;
  const taken = sources.filter(({ name }) => names.length === 0 || names.includes(name));
  return Math.max(0, ...taken.map(({ disorderMs }) => disorderMs));
}

const EWMA_BYTES_PER_SERIES = 5 * 8 + 3 * 4;
/** Of each series: its key index. */
const KEY_INDEX_BYTES = 4;
/** Of each key besides its panes: when it began, its newest and its closed pane, its watermark. */
const KEY_HEAD_BYTES = 48;
/** Of each pane besides its aggregates: settled readings, revisions, mark. */
const PANE_HEAD_BYTES = 9;
/** Of each session besides its aggregates: start, end, settled readings, revision, state. */
const SESSION_HEAD_BYTES = 32;

function estimateWindow(spec: WindowPipelineSpec, config: Config): PipelineEstimate {
  const { window, allowedLatenessMs } = spec;
  const disorderMs = disorderOf(spec, config.sources);
  const slotBytes = aggregateBytes(spec.aggregate);
  const panes =
    window.kind === "session"
      ? undefined
      : paneGeometryOf(window, { disorderMs, allowedLatenessMs });
  const slots =
    panes === undefined
      ? limits.sessionsPerKeyMax * (slotBytes + SESSION_HEAD_BYTES)
      : panes.ring * (slotBytes + PANE_HEAD_BYTES);
  const bytesPerKey = slots + KEY_HEAD_BYTES;
  const fitting = panes === undefined ? Infinity : Math.floor(limits.panesMax / panes.ring);
  const keysMax = Math.min(config.keysMax, fitting);
  return { panes, bytesPerKey, keysMax, bytesMax: bytesPerKey * keysMax };
}

function aggregateBytes(names: readonly AggregateName[]): number {
  const columns = columnsOf(createAggregates(names, 1), 1);
  return columns.reduce((bytes, { cells }) => bytes + cells.BYTES_PER_ELEMENT, 0);
}
