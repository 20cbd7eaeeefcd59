/**
 * A running pipeline: its definition, the operator that was made from it, its keys and its cells of
 * the ledger. `createOperator` is the registry of operators: a new one is a file and a case here.
 */

import { unreachable } from "../core/assert.ts";
import type { Catalog } from "../core/catalog.ts";
import { limits } from "../core/limits.ts";
import { createEwma } from "./detect/ewma.ts";
import type { DeviceTimes } from "./device-times.ts";
import type { Operator } from "./operator.ts";
import type { Capacity, OperatorOptions } from "./operator-options.ts";
import { PIPELINE_CELLS, type PipelineCounts } from "./pipeline-counts.ts";
import { SeriesKeys } from "./series-keys.ts";
import { createFrequency } from "./sketch/frequency.ts";
import { disorderOf, type PipelineSpec, type SourceSpec } from "./spec.ts";
import { cellTable, type StateTable } from "./state-table.ts";
import { type PaneGeometry, paneGeometryOf } from "./windows/pane-geometry.ts";
import { createPaneWindows } from "./windows/panes.ts";
import { createSessionWindows } from "./windows/session.ts";

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
  /** Event time between two completeness markers of a key. */
  readonly markerMs: number;
};

export function createPipeline(options: PipelineOptions): Pipeline {
  const { spec, name, catalog, devices, markerMs } = options;
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
  const countsTable = cellTable(`${name}/counts`, counts);
  const operator = createOperator(
    { pipeline: name, catalog, counts, keys, devices, disorderMs, capacity, markerMs },
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

/** The panes of the windows that have some. */
export function panesOf(spec: PipelineSpec, disorderMs: number): PaneGeometry | undefined {
  if (spec.kind !== "window" || spec.window.kind === "session") return undefined;
  const { allowedLatenessMs } = spec;
  return paneGeometryOf(spec.window, { disorderMs, allowedLatenessMs });
}

/** Many panes per key leave room for fewer keys; what is beyond is refused and counted. */
export function fitPanes(capacity: Capacity, panes: PaneGeometry): Capacity {
  const keysMax = Math.min(capacity.keysMax, Math.floor(limits.panesMax / panes.ring));
  return { ...capacity, keysMax };
}
