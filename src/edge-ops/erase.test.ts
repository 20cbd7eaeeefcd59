import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Catalog } from "../core/catalog.ts";
import { type Position, position, type SeriesId, seriesId } from "../core/units.ts";
import {
  applyAll,
  definitionsOf,
  frameOf,
  type Reading,
  RecordingSink,
  specOf,
  tumbling,
} from "../../test/support/dataflow.ts";
import { createDataflow, type Dataflow } from "./dataflow.ts";
import type { PipelineSpec } from "./spec.ts";

const DEVICES = 3;
const METRICS = 2;
/** Device 0 has line 0, as has device 2. */
const erasedSeries: readonly SeriesId[] = [seriesId(0), seriesId(1)];

const window = (name: string, over: Partial<typeof tumbling>): PipelineSpec => ({
  ...tumbling,
  name,
  allowedLatenessMs: 4_000,
  ...over,
});

const byDevice: readonly PipelineSpec[] = [
  window("tumbling", { window: { kind: "tumbling", sizeMs: 3_000 } }),
  window("sliding", { window: { kind: "sliding", sizeMs: 4_000, slideMs: 2_000 } }),
  window("session", { window: { kind: "session", gapMs: 1_500, maxMs: 6_000 } }),
  {
    kind: "ewma",
    name: "chart",
    where: tumbling.where,
    key: [],
    lambda: 0.3,
    sigmas: 1.5,
    warmup: 3,
    baseline: 0.1,
    sigmaMin: 0.1,
    rearm: 1,
  },
];
const byLine: PipelineSpec = window("line", { key: ["line"] });

/** Checkpoints as the store keeps them. */
class Chunks {
  readonly #chunks = new Map<string, { table: string; chunk: number; bytes: Uint8Array }>();

  take(dataflow: Dataflow): this {
    dataflow.encodeDirty((table, chunk, bytes) => {
      this.#chunks.set(`${table}/${chunk}`, { table, chunk, bytes });
    });
    return this;
  }
  loadInto(dataflow: Dataflow): void {
    for (const { table, chunk, bytes } of this.#chunks.values()) {
      assert.ok(dataflow.load(table, chunk, bytes));
    }
    dataflow.restore();
  }
  placesOf(value: number): readonly string[] {
    const pattern = Buffer.from(new Float64Array([value]).buffer);
    return [...this.#chunks]
      .filter(([, { bytes }]) => Buffer.from(bytes).includes(pattern))
      .map(([name]) => name);
  }
}

type Run = { readonly dataflow: Dataflow; readonly catalog: Catalog; at: Position };

function begin(pipelines: readonly PipelineSpec[]): Run {
  const catalog = new Catalog();
  const spec = specOf(pipelines, { disorderMs: 1_000, idleMs: 5_000 });
  const dataflow = createDataflow(spec, catalog);
  const run = { dataflow, catalog, at: position(0) };
  step(run, 0, [], new RecordingSink(), true);
  return run;
}

function step(
  run: Run,
  clock: number,
  readings: readonly Reading[],
  sink: RecordingSink,
  isFirst = false,
): void {
  const definitions = isFirst ? definitionsOf(DEVICES, METRICS) : [];
  run.at = applyAll(run.dataflow, [frameOf(clock, readings, { definitions })], sink, run.at);
}

/** Each value is a double of its own, and no sum of others. */
const frames = fc
  .array(
    fc.array(
      fc.record({
        series: fc.nat(DEVICES * METRICS - 1),
        behind: fc.integer({ min: 0, max: 6_000 }),
      }),
      { maxLength: 12 },
    ),
    { minLength: 2, maxLength: 12 },
  )
  .map((all) =>
    all.map((rows, frame) =>
      rows.map(({ series, behind }, row): Reading => {
        const time = 1_000_000 + frame * 1_700 - behind;
        return { series, time, value: 100 + Math.sin(1 + frame * 100 + row) };
      }),
    ),
  );

const ofErased = ({ series }: Reading): boolean => erasedSeries.some((id) => id === series);
const clockOf = (frame: number): number => 1_000_000 + frame * 1_700;

test("what is erased is in no state, the ledger adds up, and nobody else notices", () => {
  fc.assert(
    fc.property(frames, fc.nat(12), (all, when) => {
      const run = begin(byDevice);
      const untouched = begin(byDevice);
      const sink = new RecordingSink();
      const untouchedSink = new RecordingSink();
      const chunks = new Chunks();
      const erasedAt = Math.min(when, all.length - 1);
      const before = all.slice(0, erasedAt).flat().filter(ofErased);
      for (const [index, readings] of all.entries()) {
        if (index === erasedAt) {
          chunks.take(run.dataflow);
          const { shared } = run.dataflow.erase(erasedSeries, run.at, sink);
          assert.deepEqual(shared, []);
          chunks.take(run.dataflow);
          for (const { value } of before) assert.deepEqual(chunks.placesOf(value), []);
        }
        step(run, clockOf(index), readings, sink);
        step(untouched, clockOf(index), readings, untouchedSink);
        assert.ok(run.dataflow.ledger.view().balanced);
      }
      const others = ({ lines }: RecordingSink): readonly string[] =>
        lines.filter((line) => !line.includes('["device","d0"]'));
      assert.deepEqual(others(sink), others(untouchedSink));
    }),
  );
});

test("a window that was emitted is never emitted anew with the same revision", () => {
  fc.assert(
    fc.property(frames, fc.nat(12), (all, when) => {
      const run = begin(byDevice);
      const sink = new RecordingSink();
      for (const [index, readings] of all.entries()) {
        if (index === Math.min(when, all.length - 1))
          run.dataflow.erase(erasedSeries, run.at, sink);
        step(run, clockOf(index), readings, sink);
      }
      const ids = sink.summaries.map(({ pipeline, key, start, end, revision }) =>
        JSON.stringify([pipeline, key, start, end - start, revision]),
      );
      assert.equal(new Set(ids).size, ids.length);
      // Every reading that is closed is in the newest revision of one window of each tumbling pipeline.
      const newest = new Map<string, number>();
      for (const { pipeline, key, start, count } of sink.summaries) {
        if (pipeline === "tumbling") newest.set(JSON.stringify([key, start]), count);
      }
      const closed = run.dataflow.ledger
        .view()
        .pipelines.find(({ pipeline }) => pipeline === "tumbling")?.closed;
      assert.equal(
        [...newest.values()].reduce((sum, count) => sum + count, 0),
        closed,
      );
    }),
  );
});

test("a start from the checkpoint after an erasure goes on in the same way", () => {
  fc.assert(
    fc.property(frames, fc.nat(12), (all, when) => {
      const run = begin(byDevice);
      const chunks = new Chunks();
      const erasedAt = Math.min(when, all.length - 1);
      for (const [index, readings] of all.slice(0, erasedAt).entries()) {
        step(run, clockOf(index), readings, new RecordingSink());
      }
      chunks.take(run.dataflow);
      run.dataflow.erase(erasedSeries, run.at, new RecordingSink());
      const resumed = createDataflow(run.dataflow.spec, run.catalog);
      chunks.take(run.dataflow).loadInto(resumed);
      const other = { ...run, dataflow: resumed };
      const sinks = [new RecordingSink(), new RecordingSink()] as const;
      for (const [offset, readings] of all.slice(erasedAt).entries()) {
        step(run, clockOf(erasedAt + offset), readings, sinks[0]);
        step(other, clockOf(erasedAt + offset), readings, sinks[1]);
      }
      assert.deepEqual(sinks[1].lines, sinks[0].lines);
      assert.deepEqual(resumed.ledger.view(), run.dataflow.ledger.view());
    }),
  );
});

test("a window of several devices stays, and is named", () => {
  const run = begin([byLine]);
  const sink = new RecordingSink();
  step(
    run,
    clockOf(0),
    [
      { series: 0, time: clockOf(0), value: 1 },
      { series: 4, time: clockOf(0), value: 2 },
    ],
    sink,
  );
  const { own, shared } = run.dataflow.erase(erasedSeries, run.at, sink);
  assert.deepEqual([own, shared], [[], [{ pipeline: "line", key: [["line", "0"]] }]]);
  assert.deepEqual(sink.lines, []);
});
