/**
 * A running pipeline: its definition, the operator that was made from it, its keys and its cells of
 * the ledger. `createOperator` is the registry of operators: a new one is a file and a case here.
 */

import type { Catalog } from "../core/catalog.ts";
import { unreachable } from "../core/assert.ts";
import { limits } from "../core/limits.ts";
import { createEwma } from "./detect/ewma.ts";
import type { Operator } from "./operator.ts";
import {
  type DeviceTimes,
  type OperatorOptions,
  PIPELINE_CELLS,
  type PipelineCounts,
} from "./operator-options.ts";
import { SeriesKeys } from "./pipeline-rows.ts";
import { createFrequency } from "./sketch/frequency.ts";
import type { PipelineSpec, SourceSpec } from "./spec.ts";
import { StateTable } from "./state-table.ts";
import { type PaneGeometry, paneGeometryOf } from "./windows/pane-geometry.ts";
import { createPaneWindows } from "./windows/panes.ts";
import { createSessionWindows } from "./windows/session.ts";

/** Room of the tables; more than a table's limit where ids say so. */
export type Capacity = {
  readonly seriesMax: number;
  readonly devicesMax: number;
  readonly keysMax: number;
};

export type Pipeline = {
  /** Name in outputs: of the definition, with `@2` and so on after it changed. */
  readonly name: string;
  readonly spec: PipelineSpec;
  /** What besides the definition decides the layout of its state. */
  readonly shape: string;
  readonly counts: PipelineCounts;
  readonly countsTable: StateTable;
  readonly keys: SeriesKeys;
  readonly operator: Operator;
  readonly tables: readonly StateTable[];
};

export type PipelineOptions = {
  readonly spec: PipelineSpec;
  readonly name: string;
  readonly catalog: Catalog;
  readonly devices: DeviceTimes;
  readonly sources: readonly SourceSpec[];
  /** Keys the configuration allows; at most capacity.keysMax. */
  readonly keysMax: number;
  readonly capacity: Capacity;
};

export function createPipeline(options: PipelineOptions): Pipeline {
  const { spec, name, catalog, devices } = options;
  const disorderMs = disorderOf(spec, options.sources);
  const panes = panesOf(spec, disorderMs);
  const capacity = panes === undefined ? options.capacity : fitPanes(options.capacity, panes);
  const keys = new SeriesKeys(catalog, {
    pipeline: name,
    where: spec.where,
    key: spec.key,
    seriesMax: capacity.seriesMax,
    keysMax: Math.min(options.keysMax, capacity.keysMax),
  });
  const counts = new Float64Array(PIPELINE_CELLS);
  const countsTable = new StateTable({
    name: `${name}/counts`,
    version: 1,
    rowsMax: 1,
    rowsPerChunk: 1,
    columns: [{ cells: counts, stride: PIPELINE_CELLS }],
  });
  const operator = createOperator(
    { pipeline: name, catalog, counts, rows: keys, devices, disorderMs, dataflow: capacity },
    spec,
    panes,
  );
  return {
    name,
    spec,
    shape: shapeOf(spec, options.sources),
    counts,
    countsTable,
    keys,
    operator,
    tables: [countsTable, keys.table, ...operator.tables],
  };
}

/** Equal for two definitions of one pipeline whose state has the same layout. */
export function shapeOf(spec: PipelineSpec, sources: readonly SourceSpec[]): string {
  return JSON.stringify(panesOf(spec, disorderOf(spec, sources)) ?? {});
}

/** Rebuilds what is derived after the tables were loaded. */
export function restorePipeline({ keys, operator }: Pipeline): void {
  keys.restore();
  operator.restore();
}

/** Takes over the state of the same pipeline with less room. */
export function adoptPipeline(pipeline: Pipeline, smaller: Pipeline): void {
  for (const [i, table] of pipeline.tables.entries()) table.adopt(smaller.tables[i]!);
  restorePipeline(pipeline);
}

function createOperator(
  options: Omit<OperatorOptions<PipelineSpec>, "spec">,
  spec: PipelineSpec,
  panes: PaneGeometry | undefined,
): Operator {
  switch (spec.kind) {
    case "window":
      return panes === undefined
        ? createSessionWindows({ ...options, spec })
        : createPaneWindows({ ...options, spec }, panes);
    case "ewma":
      return createEwma({ ...options, spec });
    case "frequency":
      return createFrequency({ ...options, spec });
    default:
      return unreachable(spec);
  }
}

/** The largest disorder among the sources the pipeline takes. */
function disorderOf(spec: PipelineSpec, sources: readonly SourceSpec[]): number {
  const names = spec.where.sources;
  return sources
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .reduce((most, { disorderMs }) => Math.max(most, disorderMs), 0);
}

function panesOf(spec: PipelineSpec, disorderMs: number): PaneGeometry | undefined {
  if (spec.kind !== "window" || spec.window.kind === "session") return undefined;
  const { allowedLatenessMs } = spec;
  return paneGeometryOf(spec.window, { disorderMs, allowedLatenessMs });
}

/** Many panes per key leave room for fewer keys; what is beyond is refused and counted. */
function fitPanes(capacity: Capacity, panes: PaneGeometry): Capacity {
  const keysMax = Math.min(capacity.keysMax, Math.floor(limits.panesMax / panes.ring));
  return { ...capacity, keysMax };
}
