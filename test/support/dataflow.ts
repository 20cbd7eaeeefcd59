/**
 * For the tests of the dataflow: frames from plain readings, frames cut into pieces, and a sink that
 * remembers. The catalog is defined by the frames themselves.
 */

import { createBatch, KIND_SEQUENCE, sliceOfBatch } from "../../src/core/batch.ts";
import type { Definition, Frame } from "../../src/core/frame.ts";
import type { Complete, Sink, Summary } from "../../src/core/record.ts";
import {
  deviceId,
  millis,
  type Position,
  position,
  seriesId,
  sourceId,
} from "../../src/core/units.ts";
import type { Dataflow } from "../../src/edge-ops/dataflow.ts";
import type { DataflowSpec, SourceSpec, WindowPipelineSpec } from "../../src/edge-ops/spec.ts";

export type Reading = {
  readonly series: number;
  readonly time: number;
  readonly value: number;
  readonly kind?: number;
  readonly sequence?: number;
};

export const sourceSpec: SourceSpec = { name: "plant", disorderMs: 0, idleMs: 1e9, futureMs: 1e9 };

export function specOf(
  pipelines: DataflowSpec["pipelines"],
  source: Partial<SourceSpec> = {},
): DataflowSpec {
  return {
    version: 1,
    sources: [{ ...sourceSpec, ...source }],
    pipelines,
    duplicateRing: 8,
    seriesMax: 100,
    devicesMax: 100,
    keysMax: 100,
  };
}

export const tumbling: WindowPipelineSpec = {
  kind: "window",
  name: "w",
  where: { sources: [], metrics: [], tags: {} },
  key: ["device", "metric"],
  window: { kind: "tumbling", sizeMs: 10_000 },
  aggregate: ["count", "sum", "mean", "min", "max", "variance", "first", "last"],
  allowedLatenessMs: 0,
};

/** One source `plant`; each device d with tags `device=d`, `line=d % 2`; metrics m0, m1, ... */
export function definitionsOf(devices: number, metricsPerDevice: number): Definition[] {
  const definitions: Definition[] = [{ kind: "source", id: sourceId(0), name: "plant" }];
  for (let d = 0; d < devices; d++) {
    definitions.push({
      kind: "device",
      id: deviceId(d),
      source: sourceId(0),
      tags: [
        ["device", `d${d}`],
        ["line", `${d % 2}`],
      ],
    });
    for (let m = 0; m < metricsPerDevice; m++) {
      const id = seriesId(d * metricsPerDevice + m);
      definitions.push({ kind: "series", id, device: deviceId(d), metric: `m${m}` });
    }
  }
  return definitions;
}

export function frameOf(
  clock: number,
  readings: readonly Reading[],
  rest: Partial<Frame> = {},
): Frame {
  const batch = createBatch(Math.max(1, readings.length));
  for (const [row, reading] of readings.entries()) {
    batch.series[row] = reading.series;
    batch.time[row] = reading.time;
    batch.value[row] = reading.value;
    batch.sequence[row] = reading.sequence ?? 0;
    batch.kind[row] = reading.kind ?? (reading.sequence === undefined ? 0 : KIND_SEQUENCE);
  }
  batch.rows = readings.length;
  return {
    clock: millis(clock),
    clockTrusted: true,
    definitions: [],
    counts: [],
    deadLetters: [],
    batch,
    ...rest,
  };
}

/**
 * The frame in pieces that say the same: all have its clock, the first has all that is not rows.
 * `cuts` are rows where a piece ends. A piece that starts with row r is at `at + r`.
 */
export function cutFrame(
  frame: Frame,
  at: Position,
  cuts: readonly number[],
): { readonly frame: Frame; readonly at: Position }[] {
  const { batch } = frame;
  const inner = [...new Set(cuts)].filter((cut) => cut > 0 && cut < batch.rows);
  const ends = [...inner.sort((a, b) => a - b), batch.rows];
  return ends.map((to, i) => {
    const from = i === 0 ? 0 : ends[i - 1]!;
    const rows = sliceOfBatch(batch, { from, to });
    return {
      frame:
        i === 0
          ? { ...frame, batch: rows }
          : { ...frame, definitions: [], counts: [], deadLetters: [], batch: rows },
      at: position(at + from),
    };
  });
}

/** Remembers what came, in order. */
export class RecordingSink implements Sink {
  readonly summaries: Summary[] = [];
  readonly markers: Complete[] = [];
  /** One line per emission: position and record as JSON. */
  readonly lines: string[] = [];

  summary(at: Position, summary: Summary): void {
    this.summaries.push(summary);
    this.lines.push(`${at} ${JSON.stringify(summary)}`);
  }
  alert(at: Position, alert: unknown): void {
    this.lines.push(`${at} ${JSON.stringify(alert)}`);
  }
  complete(at: Position, marker: Complete): void {
    this.markers.push(marker);
    this.lines.push(`${at} ${JSON.stringify(marker)}`);
  }
  deadLetter(at: Position, letter: { readonly topic: string }): void {
    this.lines.push(`${at} dead letter ${letter.topic}`);
  }
}

/** Applies frames one after another, from position `from`; gives the position after them. */
export function applyAll(
  dataflow: Dataflow,
  frames: readonly Frame[],
  sink: Sink,
  from: number = 0,
): Position {
  let at = from;
  for (const frame of frames) {
    dataflow.apply(frame, position(at), sink);
    at += frame.batch.rows + 1;
  }
  return position(at);
}

/** All chunks changed since the last call, by table and chunk. */
export function chunksOf(dataflow: Dataflow): Map<string, Uint8Array> {
  const chunks = new Map<string, Uint8Array>();
  dataflow.encodeDirty((table, chunk, bytes) => chunks.set(`${table} ${chunk}`, bytes));
  return chunks;
}

/** Loads what `chunksOf` gave into a dataflow made from the saved `spec`. */
export function loadChunks(dataflow: Dataflow, chunks: ReadonlyMap<string, Uint8Array>): boolean {
  let isLoaded = true;
  for (const [name, bytes] of chunks) {
    const space = name.lastIndexOf(" ");
    isLoaded &&= dataflow.load(name.slice(0, space), Number(name.slice(space + 1)), bytes);
  }
  dataflow.restore();
  return isLoaded;
}
