/**
 * The dataflow: the one pure step from a frame of the log to what leaves the gateway.
 *
 *   frame -> definitions -> counts, dead letters -> clock -> accept -> each pipeline -> sink
 *
 * Everything it decides follows from the frames alone, in the order of their positions: the same log
 * gives the same outputs, the same ledger and the same state, however it was cut into frames of the
 * same clocks and wherever it was interrupted. State is in tables, written as changed chunks
 * (`encodeDirty`) and read back (`load`, then `restore`).
 *
 * A `config` definition replaces the specification: a pipeline whose definition is the same goes on;
 * one that changed or is gone emits what it has open and ends, and a changed one starts anew under
 * `name@2`, so that two versions never share the identity of a record.
 */

import { isDeepStrictEqual } from "node:util";
import { createBatch } from "../core/batch.ts";
import type { Catalog } from "../core/catalog.ts";
import type { Frame, Tags } from "../core/frame.ts";
import { limits } from "../core/limits.ts";
import type { Sink } from "../core/record.ts";
import { deviceId, millis, type Position, position, type SeriesId } from "../core/units.ts";
import { type AcceptedRows, acceptRows, createAcceptedRows } from "./accept.ts";
import { DuplicateRing } from "./duplicates.ts";
import { Emissions } from "./emissions.ts";
import { GatewayClock } from "./gateway-clock.ts";
import { Ledger } from "./ledger.ts";
import type { Step } from "./operator.ts";
import type { Capacity } from "./operator-options.ts";
import { Origins } from "./origins.ts";
import {
  adoptPipeline,
  createPipeline,
  type Pipeline,
  restorePipeline,
  shapeOf,
} from "./pipeline.ts";
import { COUNT_ACCEPTED } from "./pipeline-counts.ts";
import {
  type DataflowSpec,
  type DataflowState,
  decodeSpec,
  emittedName,
  type PipelineSpec,
} from "./spec.ts";
import type { StateTable } from "./state-table.ts";
import { DeviceWatermarks } from "./watermarks.ts";

/** Before the first configuration of a log. */
export const emptySpec: DataflowSpec = {
  version: 1,
  sources: [],
  pipelines: [],
  duplicateRing: limits.duplicateRing,
  seriesMax: 0,
  devicesMax: 0,
  keysMax: 0,
};

/** A key of a pipeline, by the name that the pipeline has in what it emits. */
export type PipelineKey = { readonly pipeline: string; readonly key: Tags };

/** Keys of erased series: those of no others, and those whose state holds something of them still. */
export type ErasedKeys = { readonly own: PipelineKey[]; readonly shared: PipelineKey[] };

/** Capacities are multiples of this, so that every chunk of a table is whole and tables can grow. */
const CAPACITY_STEP = 256;

/**
 * A dataflow without history. The catalog is shared with whoever defines; `apply` defines again what
 * the frames say. To go on from a checkpoint: create it from the saved `spec`, `load` every chunk,
 * then `restore`.
 */
export function createDataflow(spec: DataflowState, catalog: Catalog): Dataflow {
  return new Dataflow(spec, catalog);
}

/** What every reading passes before the pipelines. */
type Stage = {
  readonly origins: Origins;
  readonly watermarks: DeviceWatermarks;
  readonly ring: DuplicateRing;
};

export class Dataflow {
  readonly ledger: Ledger;
  readonly #catalog: Catalog;
  readonly #clock = new GatewayClock();
  readonly #emissions = new Emissions();
  readonly #rows: AcceptedRows = createAcceptedRows(createBatch(1), limits.batchRowsMax);
  #spec: DataflowSpec;
  #generations: Map<string, number>;
  #capacity: Capacity;
  #stage: Stage;
  #pipelines: readonly Pipeline[];

  constructor(state: DataflowState, catalog: Catalog) {
    const { generations = {}, capacity, ...spec } = state;
    this.#catalog = catalog;
    this.#spec = spec;
    this.#generations = new Map(Object.entries(generations));
    this.ledger = new Ledger(catalog);
    const needed = capacityOf(spec, catalog);
    this.#capacity = capacity === undefined ? needed : largest(capacity, needed);
    this.#stage = createStage(spec, catalog, this.#capacity);
    this.#pipelines = spec.pipelines.map((pipeline) => {
      const generation = this.#generations.get(pipeline.name) ?? 1;
      this.#generations.set(pipeline.name, generation);
      return this.#create(pipeline);
    });
    this.ledger.setPipelines(this.#pipelines);
  }

  /** Kept as JSON beside the chunks of a checkpoint; `createDataflow` takes it back. */
  get spec(): DataflowState {
    const generations = Object.fromEntries(this.#generations);
    return { ...this.#spec, generations, capacity: this.#capacity };
  }

  /** Names of all state tables: state of any other table is stale. */
  get tables(): readonly string[] {
    return this.#tables().map(({ name }) => name);
  }

  /**
   * Applies the frame at its position; row i is at `at + 1 + i`. Outputs reach the sink in order. The
   * result is what was accepted of the batch, valid until the next call.
   * Faults, on replay: FORMAT_TOO_NEW, FORMAT_UNKNOWN for a specification of another weir.
   */
  apply(frame: Frame, at: Position, sink: Sink): Step {
    for (const definition of frame.definitions) {
      this.#catalog.define(definition);
      if (definition.kind === "config") this.#applySpec(decodeSpec(definition.json), at);
    }
    this.#stage.origins.follow();
    for (const counts of frame.counts) this.ledger.countMessages(counts);
    for (const letter of frame.deadLetters) sink.deadLetter(at, letter);
    if (this.#clock.observe(frame.clock, frame.clockTrusted)) this.#tick(at);
    this.#applyRows(frame, position(at + 1));
    this.#emissions.flush(sink);
    return this.#rows;
  }

  /**
   * Leaves no trace of these series in state that is theirs alone; see Operator.erase. It is no step of
   * the log: call it where everything that was applied is committed, and commit what it emits with a
   * checkpoint before more is applied. `at` is the position of the next frame. O(series known).
   */
  erase(series: readonly SeriesId[], at: Position, sink: Sink): ErasedKeys {
    const chosen = new Set(series);
    const erased: ErasedKeys = { own: [], shared: [] };
    this.#emissions.at = at;
    for (const [rank, pipeline] of this.#pipelines.entries()) {
      const { name, spec, keys, operator, countsTable } = pipeline;
      const { own, shared } = keys.keysOf(chosen);
      this.#emissions.from(rank);
      operator.erase({ series, keys: own }, this.#emissions);
      countsTable.touch(0);
      if (spec.kind === "ewma") continue; // its state is by series
      const named = (key: number): PipelineKey => ({ pipeline: name, key: keys.tagsOf(key) });
      erased.own.push(...own.map(named));
      // A sketch is of all keys together.
      erased.shared.push(...(spec.kind === "frequency" ? [...own, ...shared] : shared).map(named));
    }
    for (const one of series) this.#stage.ring.forget(one);
    this.#emissions.flush(sink);
    return erased;
  }

  /**
   * Gives up what hardware before this one has sent (Operator.concede). `throughOf`: of a pipeline, as it is
   * called in outputs, and a key; undefined where nothing is. It is no step of the log: call it before
   * the first frame, and store the state with the ledger. O(keys).
   */
  concede(throughOf: (of: PipelineKey) => number | undefined): void {
    for (const { name, keys, operator, countsTable } of this.#pipelines) {
      for (let key = 0; key < keys.keyCount; key++) {
        const through = throughOf({ pipeline: name, key: keys.tagsOf(key) });
        if (through !== undefined) operator.concede?.(key, through);
      }
      countsTable.touch(0);
    }
  }

  /** Rows that may be resends and are older than what duplicates are told by; see DuplicateRing. */
  olderRows(batch: Frame["batch"], older: Uint32Array): number {
    return this.#stage.ring.olderRows(batch, older);
  }

  /** The wall clock at which a frame without rows would change something; Infinity if never. */
  wakeAt(): number {
    let deadline = this.ledger.isOpen ? this.#stage.watermarks.idleAt() : Number.POSITIVE_INFINITY;
    for (const { operator } of this.#pipelines) deadline = Math.min(deadline, operator.wakeAt());
    return deadline === Number.POSITIVE_INFINITY ? deadline : this.#clock.wallAt(deadline);
  }

  /** Gives each chunk changed since the last call as bytes the receiver owns. */
  encodeDirty(visit: (table: string, chunk: number, bytes: Uint8Array) => void): void {
    for (const table of this.#tables()) {
      table.encodeDirty((chunk, bytes) => visit(table.name, chunk, bytes));
    }
  }

  /** Loads a chunk; false where there is no such table or the bytes are of another version. */
  load(table: string, chunk: number, bytes: Uint8Array): boolean {
    const found = this.#tables().find(({ name }) => name === table);
    return found?.load(chunk, bytes) ?? false;
  }

  /** Call once after the last `load`. */
  restore(): void {
    this.#stage.watermarks.restore();
    for (const pipeline of this.#pipelines) restorePipeline(pipeline);
  }

  #tick(at: Position): void {
    const { watermarks } = this.#stage;
    const { steady } = this.#clock;
    const expiredCount = watermarks.expire(steady);
    this.#emissions.at = at;
    for (const [rank, { operator, countsTable }] of this.#pipelines.entries()) {
      this.#emissions.from(rank);
      operator.tick(millis(steady), this.#emissions);
      for (let i = 0; i < expiredCount; i++) {
        operator.deviceIdle(deviceId(watermarks.expired[i]!), this.#emissions);
      }
      countsTable.touch(0);
    }
  }

  #applyRows(frame: Frame, at: Position): void {
    const { steady } = this.#clock;
    acceptRows(this.#rows, frame, at, { ...this.#stage, ledger: this.ledger, steady });
    if (frame.batch.rows === 0) return;
    for (const [rank, { operator, counts, countsTable }] of this.#pipelines.entries()) {
      this.#emissions.from(rank);
      operator.apply(this.#rows, this.#emissions);
      counts[COUNT_ACCEPTED]! += this.#rows.acceptedCount;
      countsTable.touch(0);
    }
  }

  #applySpec(spec: DataflowSpec, at: Position): void {
    if (isDeepStrictEqual(spec, this.#spec)) return;
    const before = {
      capacity: this.#capacity,
      keysMax: this.#spec.keysMax,
      markerMs: this.#spec.markerMs,
      pipelines: this.#pipelines,
    };
    this.#drainChanged(spec, at);
    this.#spec = spec;
    this.#capacity = largest(before.capacity, capacityOf(spec, this.#catalog));
    const grew = !isDeepStrictEqual(this.#capacity, before.capacity);
    this.#stage = grew
      ? growStage(this.#stage, createStage(spec, this.#catalog, this.#capacity))
      : changeStage(this.#stage, spec, this.#capacity);
    this.#pipelines = spec.pipelines.map((definition) => {
      const kept = before.pipelines.find((pipeline) => this.#continues(pipeline, definition, spec));
      const isSame = spec.keysMax === before.keysMax && spec.markerMs === before.markerMs;
      if (kept !== undefined && !grew && isSame) return kept;
      const created = this.#create(definition);
      if (kept !== undefined) adoptPipeline(created, kept);
      return created;
    });
    this.ledger.setPipelines(this.#pipelines);
  }

  /** Ends the pipelines that do not go on, and gives the changed names their next generation. */
  #drainChanged(spec: DataflowSpec, at: Position): void {
    this.#emissions.at = at;
    for (const [rank, pipeline] of this.#pipelines.entries()) {
      if (spec.pipelines.some((next) => this.#continues(pipeline, next, spec))) continue;
      this.#emissions.from(rank);
      pipeline.operator.drain(this.#emissions);
    }
    for (const definition of spec.pipelines) {
      if (this.#pipelines.some((pipeline) => this.#continues(pipeline, definition, spec))) continue;
      const generation = this.#generations.get(definition.name) ?? 0;
      this.#generations.set(definition.name, generation + 1);
    }
  }

  #continues(pipeline: Pipeline, next: PipelineSpec, spec: DataflowSpec): boolean {
    return isDeepStrictEqual(pipeline.spec, next) && pipeline.shape === shapeOf(next, spec.sources);
  }

  #create(spec: PipelineSpec): Pipeline {
    return createPipeline({
      spec,
      name: emittedName(spec.name, this.#generations.get(spec.name)),
      catalog: this.#catalog,
      devices: this.#stage.watermarks,
      sources: this.#spec.sources,
      keysMax: this.#spec.keysMax,
      capacity: this.#capacity,
      markerMs: this.#spec.markerMs ?? limits.markerIntervalMs,
    });
  }

  #tables(): readonly StateTable[] {
    const { watermarks, ring } = this.#stage;
    return [
      this.#clock.table,
      this.ledger.table,
      watermarks.table,
      ...ring.tables,
      ...this.#pipelines.flatMap(({ tables }) => tables),
    ];
  }
}

function createStage(spec: DataflowSpec, catalog: Catalog, capacity: Capacity): Stage {
  const { seriesMax, devicesMax } = capacity;
  const origins = new Origins(catalog, { sources: spec.sources, seriesMax, devicesMax });
  return {
    origins,
    watermarks: new DeviceWatermarks(origins, devicesMax),
    ring: new DuplicateRing({ seriesMax, size: spec.duplicateRing }),
  };
}

function growStage(smaller: Stage, stage: Stage): Stage {
  stage.watermarks.table.adopt(smaller.watermarks.table);
  stage.ring.adopt(smaller.ring);
  return stage;
}

function changeStage(stage: Stage, spec: DataflowSpec, { seriesMax }: Capacity): Stage {
  stage.origins.setSources(spec.sources);
  stage.watermarks.restore();
  if (stage.ring.size === spec.duplicateRing) return stage;
  const ring = new DuplicateRing({ seriesMax, size: spec.duplicateRing });
  ring.adopt(stage.ring);
  return { ...stage, ring };
}

/** Room for what the configuration allows and for what the catalog has already. */
function capacityOf(spec: DataflowSpec, catalog: Catalog): Capacity {
  return {
    seriesMax: roundUp(Math.max(spec.seriesMax, catalog.seriesCount)),
    devicesMax: roundUp(Math.max(spec.devicesMax, catalog.deviceCount)),
    keysMax: roundUp(spec.keysMax),
  };
}

function roundUp(rows: number): number {
  return Math.max(1, Math.ceil(rows / CAPACITY_STEP)) * CAPACITY_STEP;
}

function largest(a: Capacity, b: Capacity): Capacity {
  return {
    seriesMax: Math.max(a.seriesMax, b.seriesMax),
    devicesMax: Math.max(a.devicesMax, b.devicesMax),
    keysMax: Math.max(a.keysMax, b.keysMax),
  };
}
