/**
 * One operator on the bench: a catalog of its own, rows and ticks in, what it emitted out, its state
 * as chunks. Everything else of the dataflow is left away: each row given is an accepted one.
 */

import { limits } from "../../src/core/limits.ts";
import { type Batch, createBatch, KIND_SYMBOL, sliceOfBatch } from "../../src/core/batch.ts";
import { Catalog } from "../../src/core/catalog.ts";
import type { Tags } from "../../src/core/frame.ts";
import type { Alert, Complete, Summary } from "../../src/core/record.ts";
import {
  deviceId,
  millis,
  type Position,
  position,
  seriesId,
  sourceId,
  symbolId,
} from "../../src/core/units.ts";
import type { Emitter, Operator, Step } from "../../src/edge-ops/operator.ts";
import type { OperatorOptions } from "../../src/edge-ops/operator-options.ts";
import { PIPELINE_CELLS } from "../../src/edge-ops/pipeline-counts.ts";
import { SeriesKeys } from "../../src/edge-ops/series-keys.ts";
import type { PipelineSpec } from "../../src/edge-ops/spec.ts";
import type { StateTable } from "../../src/edge-ops/state-table.ts";

/** A row: a text value is a symbol. */
export type Row = {
  readonly series: number;
  readonly time: number;
  readonly value: number | string;
};

export type Emitted = { readonly at: Position; readonly record: Alert | Summary };

/** A completeness marker, and how many records were emitted before it. */
export type Marked = { readonly marker: Complete; readonly after: number };

/** What a checkpoint would hold: chunks by table, and the operator's row of the ledger. */
export type Saved = {
  readonly chunks: ReadonlyMap<string, Uint8Array>;
  readonly counts: Float64Array;
  readonly at: Position;
};

export type RigOptions<Spec> = {
  readonly create: (options: OperatorOptions<Spec>) => Operator;
  readonly spec: Spec;
  readonly catalog: Catalog;
  readonly keysMax?: number;
  readonly markerMs?: number;
};

export type OperatorRig = {
  readonly operator: Operator;
  readonly counts: Float64Array;
  readonly emitted: readonly Emitted[];
  readonly markers: readonly Marked[];
  alerts(): readonly Alert[];
  /** Applies rows in one step, or in steps of at most so many rows each, in turn. */
  apply(rows: readonly Row[], sizes?: readonly number[]): void;
  /** Applies a batch in one step. */
  applyBatch(batch: Batch): void;
  tick(clock: number): void;
  /** All chunks that were ever touched, as they are now. */
  save(): Saved;
};

/** A new operator; one that continues from `saved` where that is given. */
export function createRig<Spec extends PipelineSpec>(
  options: RigOptions<Spec>,
  saved?: Saved,
): OperatorRig {
  const { create, spec, catalog } = options;
  const counts = new Float64Array(PIPELINE_CELLS);
  const seriesMax = Math.max(catalog.seriesCount, 1);
  const keysMax = options.keysMax ?? seriesMax;
  const capacity = { seriesMax, devicesMax: Math.max(catalog.deviceCount, 1), keysMax };
  const { name: pipeline, where, key } = spec;
  const keys = new SeriesKeys(catalog, { pipeline, where, key, ...capacity });
  const operator = create({
    spec,
    pipeline,
    catalog,
    counts,
    keys,
    devices: { isSeen: () => false, isIdle: () => false, watermarkOf: () => millis(0) },
    disorderMs: 0,
    capacity,
    markerMs: options.markerMs ?? limits.markerIntervalMs,
  });
  const tables = [keys.table, ...operator.tables];
  const emitted: Emitted[] = [];
  const markers: Marked[] = [];
  const emitter: Emitter = {
    at: position(0),
    summary: (record) => void emitted.push({ at: emitter.at, record }),
    alert: (record) => void emitted.push({ at: emitter.at, record }),
    complete: (marker) => void markers.push({ marker, after: emitted.length }),
  };
  const chunks = new Map<string, Uint8Array>();
  let at = 0;
  if (saved) {
    at = saved.at;
    counts.set(saved.counts);
    for (const [name, bytes] of saved.chunks) chunks.set(name, bytes);
    loadChunks(tables, chunks);
    keys.restore();
    operator.restore();
  }

  function applyBatch(batch: Batch): void {
    operator.apply(stepOf(batch, position(at), catalog), emitter);
    at += batch.rows;
  }

  return {
    operator,
    counts,
    emitted,
    markers,
    alerts: () => emitted.flatMap(({ record }) => (record.kind === "alert" ? [record] : [])),
    apply(rows, sizes = [rows.length]) {
      const batch = batchOf(rows, catalog);
      for (let from = 0, turn = 0; from < rows.length; turn++) {
        const to = Math.min(from + Math.max(sizes[turn % sizes.length] ?? 1, 1), rows.length);
        applyBatch(sliceOfBatch(batch, { from, to }));
        from = to;
      }
    },
    applyBatch,
    tick(clock) {
      emitter.at = position(at++);
      operator.tick(millis(clock), emitter);
    },
    save() {
      for (const table of tables) {
        table.encodeDirty((chunk, bytes) => chunks.set(`${table.name}#${chunk}`, bytes));
      }
      return { chunks: new Map(chunks), counts: counts.slice(), at: position(at) };
    },
  };
}

/** A catalog of one source with these series, one device for each set of tags. */
export function catalogOf(
  series: readonly { readonly metric: string; readonly tags: Tags }[],
  symbols: readonly string[] = [],
): Catalog {
  const catalog = new Catalog();
  const source = sourceId(0);
  catalog.define({ kind: "source", id: source, name: "plant" });
  for (const { metric, tags } of series) {
    const known = catalog.findDevice(source, tags);
    const device = known ?? deviceId(catalog.deviceCount);
    if (known === undefined) catalog.define({ kind: "device", id: device, source, tags });
    catalog.define({ kind: "series", id: seriesId(catalog.seriesCount), device, metric });
  }
  for (const text of symbols) {
    if (catalog.findSymbol(text) !== undefined) continue;
    catalog.define({ kind: "symbol", id: symbolId(catalog.symbolCount), text });
  }
  return catalog;
}

function loadChunks(tables: readonly StateTable[], chunks: ReadonlyMap<string, Uint8Array>): void {
  for (const [key, bytes] of chunks) {
    const [name, chunk] = key.split("#");
    const table = tables.find((candidate) => candidate.name === name);
    if (!table?.load(Number(chunk), bytes)) throw new Error(`${key} does not load`);
  }
}

function batchOf(rows: readonly Row[], catalog: Catalog): Batch {
  const batch = createBatch(Math.max(rows.length, 1));
  for (const [row, { series, time, value }] of rows.entries()) {
    const symbol = typeof value === "string" ? catalog.findSymbol(value) : undefined;
    if (typeof value === "string" && symbol === undefined) throw new Error(`no symbol ${value}`);
    batch.series[row] = series;
    batch.time[row] = time;
    batch.value[row] = typeof value === "string" ? symbol! : value;
    batch.kind[row] = typeof value === "string" ? KIND_SYMBOL : 0;
  }
  batch.rows = rows.length;
  return batch;
}

/** A step in which every row is accepted. */
function stepOf(batch: Batch, at: Position, catalog: Catalog): Step {
  const { rows } = batch;
  return {
    batch,
    at,
    accepted: Uint32Array.from({ length: rows }, (_, row) => row),
    acceptedCount: rows,
    device: Uint32Array.from(batch.series, (series) => catalog.series(seriesId(series)).device),
    watermark: new Float64Array(rows),
  };
}
