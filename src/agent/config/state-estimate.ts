/**
 * How much operator state a configuration can come to, for `weir check`: bytes of one series or key,
 * and of all that the limits allow. Counted in the tables that the operators themselves make, for one
 * key or series and for two. Tables are reserved whole but the system gives memory only to what is
 * used, so these are what the resident memory may grow by, not what it starts with. Indexes that are
 * derived from the tables are not counted: some twenty bytes of each key and of each series.
 */

import { limits } from "../../core/limits.ts";
import { Catalog } from "../../core/catalog.ts";
import { millis } from "../../core/units.ts";
import type { DeviceTimes } from "../../edge-ops/device-times.ts";
import { DuplicateRing } from "../../edge-ops/duplicates.ts";
import type { Capacity } from "../../edge-ops/operator-options.ts";
import { createPipeline, fitPanes, panesOf } from "../../edge-ops/pipeline.ts";
import { disorderOf, type PipelineSpec } from "../../edge-ops/spec.ts";
import type { StateTable } from "../../edge-ops/state-table.ts";
import type { PaneGeometry } from "../../edge-ops/windows/pane-geometry.ts";
import type { Config } from "./config.ts";

export type PipelineEstimate = {
  /** undefined for what has no panes. */
  readonly panes: PaneGeometry | undefined;
  /** What one more key takes, or in an EWMA pipeline one more series; 0 where state does not grow. */
  readonly bytesPerKey: number;
  readonly keysMax: number;
  /** At the limits. */
  readonly bytesMax: number;
};

/** Readings among which resent ones are recognised. */
export function duplicateBytesPerSeries({ duplicateRing }: Pick<Config, "duplicateRing">): number {
  return bytesOf(new DuplicateRing({ seriesMax: 1, size: duplicateRing }).tables);
}

export function estimatePipeline(spec: PipelineSpec, config: Config): PipelineEstimate {
  const panes = panesOf(spec, disorderOf(spec, config.sources));
  const { keysMax, seriesMax } = panes === undefined ? config : fitPanes(config, panes);
  const tablesFor = (room: Pick<Capacity, "keysMax" | "seriesMax">): readonly StateTable[] =>
    tablesOf(spec, { config, capacity: { ...room, devicesMax: 1 } });
  const one = tablesFor({ keysMax: 1, seriesMax: 1 });
  const two = tablesFor({ keysMax: 2, seriesMax: 1 });
  const least = bytesOf(one);
  const perKey = bytesOf(two) - least;
  const perSeries = bytesOf(tablesFor({ keysMax: 1, seriesMax: 2 })) - least;
  const atMost = least + perKey * (keysMax - 1) + perSeries * (seriesMax - 1);
  const bytesMax = atMost - sharedBytes(one, two, keysMax);
  return spec.kind === "ewma"
    ? { panes, bytesPerKey: perSeries, keysMax: seriesMax, bytesMax }
    : { panes, bytesPerKey: perKey, keysMax, bytesMax };
}

/** What the sketches of so many keys do not come to, because they share limits.quantileBlocksMax. */
function sharedBytes(
  one: readonly StateTable[],
  two: readonly StateTable[],
  keysMax: number,
): number {
  const of = (tables: readonly StateTable[]): StateTable | undefined =>
    tables.find(({ name }) => name.endsWith("/sketches"));
  const [first, second] = [of(one), of(two)];
  if (first === undefined || second === undefined) return 0;
  const rows = second.rowsMax - first.rowsMax;
  const beyond = Math.max(0, first.rowsMax + rows * (keysMax - 1) - limits.quantileBlocksMax);
  return (beyond * first.bytesMax) / first.rowsMax;
}

function tablesOf(
  spec: PipelineSpec,
  { config, capacity }: { readonly config: Config; readonly capacity: Capacity },
): readonly StateTable[] {
  const { keysMax } = capacity;
  const { sources } = config;
  const name = spec.name;
  const catalog = new Catalog();
  const markerMs = limits.markerIntervalMs;
  const options = { spec, name, catalog, devices: noDevices, sources, keysMax, capacity, markerMs };
  return createPipeline(options).tables;
}

function bytesOf(tables: readonly StateTable[]): number {
  return tables.reduce((bytes, table) => bytes + table.bytesMax, 0);
}

const noDevices: DeviceTimes = {
  isSeen: () => false,
  isIdle: () => false,
  watermarkOf: () => millis(0),
};
