/**
 * The cases of the operators benchmark: each operator, the accept stage and the rival, made ready to
 * take a stream of readings, with a checksum of what they emit.
 */

import { limits } from "../src/core/limits.ts";
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { hashOfPair } from "../src/core/hash.ts";
import type { Alert, Sink, Summary } from "../src/core/record.ts";
import { millis, position, seriesId, sourceId } from "../src/core/units.ts";
import { createDataflow } from "../src/edge-ops/dataflow.ts";
import { createEwma } from "../src/edge-ops/detect/ewma.ts";
import type { Emitter, Operator } from "../src/edge-ops/operator.ts";
import type { OperatorOptions } from "../src/edge-ops/operator-options.ts";
import { COUNT_SKETCHES_LOST, PIPELINE_CELLS } from "../src/edge-ops/pipeline-counts.ts";
import { SeriesKeys } from "../src/edge-ops/series-keys.ts";
import { createFrequency } from "../src/edge-ops/sketch/frequency.ts";
import type {
  AggregateName,
  DataflowSpec,
  EwmaPipelineSpec,
  FrequencyPipelineSpec,
  PipelineSpec,
  WindowPipelineSpec,
  WindowSpec,
} from "../src/edge-ops/spec.ts";
import { paneGeometryOf } from "../src/edge-ops/windows/pane-geometry.ts";
import { createPaneWindows } from "../src/edge-ops/windows/panes.ts";
import { createSessionWindows } from "../src/edge-ops/windows/session.ts";
import { NaiveWindows } from "./naive-windows.ts";
import { clockOf, type Stream } from "./stream.ts";

export type CaseName =
  | "accept"
  | "tumbling"
  | "quantiles"
  | "sliding"
  | "session"
  | "ewma"
  | "count_min"
  | "naive_map";

/** One case at work on one stream. */
export type Subject = {
  readonly kind: "number" | "symbol";
  /** Takes the whole stream. */
  run(): void;
  /** Bytes of state per series. */
  bytes(): number;
  /** Emits what is open and gives the checksum of everything emitted. */
  finish(): number;
};

const SIZE_MS = 10_000;
const TUMBLING: WindowSpec = { kind: "tumbling", sizeMs: SIZE_MS };
const SLIDING: WindowSpec = { kind: "sliding", sizeMs: 60_000, slideMs: SIZE_MS };
const SESSION: WindowSpec = { kind: "session", gapMs: 5_000, maxMs: 3_600_000 };
const base = { where: { sources: [], metrics: [], tags: {} }, key: ["device", "metric"] };

const ewma: EwmaPipelineSpec = {
  ...base,
  kind: "ewma",
  name: "ewma",
  key: [],
  lambda: 0.2,
  sigmas: 3,
  warmup: 20,
  baseline: 0.01,
  sigmaMin: 0.01,
  rearm: 10,
};

const frequency: FrequencyPipelineSpec = {
  ...base,
  kind: "frequency",
  name: "count_min",
  depth: 4,
  width: 4_096,
  heavyShare: 0.01,
  rareCount: 0,
  minimum: 1_000,
  periodMs: 60_000,
};

export const cases: Readonly<Record<CaseName, (stream: Stream) => Subject>> = {
  accept: acceptSubject,
  tumbling: (stream) => windowSubject(stream, TUMBLING),
  quantiles: (stream) => windowSubject(stream, TUMBLING, ["p50", "quantiles"]),
  sliding: (stream) => windowSubject(stream, SLIDING),
  session: (stream) => windowSubject(stream, SESSION),
  ewma: (stream) => subjectOf(stream, ewma, createEwma),
  count_min: (stream) => subjectOf(stream, frequency, createFrequency),
  naive_map: naiveSubject,
};
export const caseNames: readonly CaseName[] = Object.keys(cases) as CaseName[];

function acceptSubject({ catalog, steps, readings }: Stream): Subject {
  const { seriesCount, deviceCount, sourceCount } = catalog;
  const spec: DataflowSpec = {
    version: 1,
    sources: Array.from({ length: sourceCount }, (_, i) => ({
      name: catalog.source(sourceId(i)),
      disorderMs: 0,
      idleMs: 60_000,
      futureMs: 60_000,
    })),
    pipelines: [],
    duplicateRing: 64,
    seriesMax: seriesCount,
    devicesMax: deviceCount,
    keysMax: seriesCount,
  };
  const dataflow = createDataflow(spec, catalog);
  const sink: Sink = {
    summary: () => {},
    alert: () => {},
    complete: () => {},
    deadLetter: () => {},
  };
  const rest = { clockTrusted: true, definitions: [], counts: [], deadLetters: [] };
  let round = 0;
  return {
    kind: "number",
    run() {
      for (const step of steps) {
        const at = position(round * (readings + steps.length) + step.at);
        dataflow.apply({ ...rest, clock: clockOf(step), batch: step.batch }, at, sink);
      }
      round += 1;
    },
    bytes() {
      let total = 0;
      dataflow.encodeDirty((_table, _chunk, bytes) => {
        total += bytes.length;
      });
      return total / seriesCount;
    },
    finish() {
      const [source] = dataflow.ledger.view().sources;
      return source?.readings.accepted ?? 0;
    },
  };
}

function windowSubject(
  stream: Stream,
  window: WindowSpec,
  more: readonly AggregateName[] = [],
): Subject {
  const spec: WindowPipelineSpec = {
    ...base,
    kind: "window",
    name: window.kind,
    window,
    aggregate: ["count", "sum", "mean", "min", "max", "variance", ...more],
    allowedLatenessMs: 0,
  };
  return subjectOf(stream, spec, createWindows);
}

function createWindows(options: OperatorOptions<WindowPipelineSpec>): Operator {
  const { window, allowedLatenessMs } = options.spec;
  if (window.kind === "session") return createSessionWindows(options);
  const geometry = paneGeometryOf(window, { disorderMs: options.disorderMs, allowedLatenessMs });
  return createPaneWindows(options, geometry);
}

function subjectOf<Spec extends PipelineSpec>(
  { catalog, steps }: Stream,
  spec: Spec,
  create: (options: OperatorOptions<Spec>) => Operator,
): Subject {
  const { seriesCount, deviceCount } = catalog;
  const { name: pipeline, where, key } = spec;
  const capacity = { seriesMax: seriesCount, devicesMax: deviceCount, keysMax: seriesCount };
  const keys = new SeriesKeys(catalog, { pipeline, where, key, ...capacity });
  const counts = new Float64Array(PIPELINE_CELLS);
  const operator = create({
    spec,
    pipeline,
    catalog,
    counts,
    keys,
    devices: { isSeen: () => true, isIdle: () => false, watermarkOf: () => millis(0) },
    disorderMs: 0,
    capacity,
    markerMs: limits.markerIntervalMs,
  });
  const sum = new Checksum();
  const emitter: Emitter = {
    at: position(0),
    summary: (summary) => sum.addSummary(summary),
    alert: (alert) => sum.addAlert(alert),
    complete: () => {},
  };
  return {
    kind: spec.kind === "frequency" ? "symbol" : "number",
    run() {
      for (const step of steps) {
        operator.tick(clockOf(step), emitter);
        operator.apply(step, emitter);
      }
    },
    bytes() {
      let total = 0;
      for (const table of [keys.table, ...operator.tables]) {
        table.encodeDirty((_chunk, bytes) => {
          total += bytes.length;
        });
      }
      return total / seriesCount;
    },
    finish() {
      operator.drain(emitter);
      assert.equal(counts[COUNT_SKETCHES_LOST], 0, "every window has what is measured");
      return sum.value;
    },
  };
}

function naiveSubject({ catalog, steps }: Stream): Subject {
  const { seriesCount } = catalog;
  const sum = new Checksum();
  const names = Array.from({ length: seriesCount }, (_, i) => catalog.seriesName(seriesId(i)));
  const windows = new NaiveWindows(
    TUMBLING.kind === "tumbling" ? TUMBLING.sizeMs : 0,
    (_, window) => sum.add(window.start, window.count, window.min, window.max),
  );
  return {
    kind: "number",
    run() {
      for (const { batch } of steps) {
        for (let row = 0; row < batch.rows; row++) {
          windows.add(names[batch.series[row]!]!, batch.time[row]!, batch.value[row]!);
        }
      }
    },
    bytes: () => naiveBytes(names),
    finish() {
      windows.drain();
      return sum.value;
    },
  };
}

/** Heap bytes per series of the rival with one open window each; names are not counted. */
function naiveBytes(names: readonly string[]): number {
  const copies = Math.ceil(100_000 / names.length);
  const before = heapBytes();
  const kept = Array.from({ length: copies }, () => {
    const windows = new NaiveWindows(1, () => {});
    for (const [i, name] of names.entries()) windows.add(name, 0.5, i + 0.5);
    return windows;
  });
  const bytes = heapBytes() - before;
  for (const windows of kept) windows.drain();
  return bytes / (copies * names.length);
}

function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
  return process.memoryUsage().heapUsed;
}

/** A checksum of what was emitted, whatever its order. */
class Checksum {
  value = 0;
  readonly #number = new Float64Array(1);
  readonly #halves = new Uint32Array(this.#number.buffer);

  add(...numbers: readonly number[]): void {
    let hash = 0;
    for (const number of numbers) {
      this.#number[0] = number;
      hash = hashOfPair(hashOfPair(hash, this.#halves[0]!), this.#halves[1]!);
    }
    this.value = (this.value + hash) >>> 0;
  }

  addSummary({ start, count, fields }: Summary): void {
    this.add(start, count, fields.min ?? 0, fields.max ?? 0);
    if (fields.p50 !== undefined) this.add(start, count, fields.p50, fields.quantiles?.length ?? 0);
  }

  addAlert({ time, score, expected, limit }: Alert): void {
    this.add(time, score, expected, limit);
  }
}
