/** Completeness markers of tumbling and session windows, against what the sink saw before and after them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  applyAll,
  chunksOf,
  cutFrame,
  definitionsOf,
  frameOf,
  loadChunks,
  type Reading,
  RecordingSink,
  specOf,
  tumbling,
} from "../../../test/support/dataflow.ts";
import { Catalog } from "../../core/catalog.ts";
import type { Frame } from "../../core/frame.ts";
import type { Complete, Summary } from "../../core/record.ts";
import { position } from "../../core/units.ts";
import { createDataflow, type Dataflow } from "../dataflow.ts";
import type { DataflowSpec, WindowPipelineSpec } from "../spec.ts";

const markerMs = 4_000;
const definitions = definitionsOf(3, 1);

const pipelines: readonly WindowPipelineSpec[] = [
  { ...tumbling, key: ["device"], window: { kind: "tumbling", sizeMs: 1_000 } },
  {
    ...tumbling,
    key: ["line"],
    window: { kind: "tumbling", sizeMs: 3_000 },
    allowedLatenessMs: 2_500,
  },
  {
    ...tumbling,
    key: ["device"],
    window: { kind: "session", gapMs: 700, maxMs: 5_000 },
    allowedLatenessMs: 2_000,
  },
];

const specWith = (pipeline: WindowPipelineSpec): DataflowSpec => ({
  ...specOf([pipeline], { disorderMs: 500, idleMs: 6_000 }),
  markerMs,
});

/** Readings of three devices around a clock that goes on: late ones, early ones, silences. */
const frames = fc
  .array(
    fc.record({
      pause: fc.oneof(
        { weight: 5, arbitrary: fc.nat(1_500) },
        { weight: 1, arbitrary: fc.nat(20_000) },
      ),
      rows: fc.array(
        fc.record({
          series: fc.nat(2),
          behind: fc.oneof(
            { weight: 4, arbitrary: fc.nat(1_000) },
            { weight: 2, arbitrary: fc.nat(6_000) },
            { weight: 1, arbitrary: fc.integer({ min: -15_000, max: 0 }) },
          ),
        }),
        { maxLength: 10 },
      ),
    }),
    { maxLength: 30 },
  )
  .map((steps) => {
    let clock = 1_700_000_000_000;
    return steps.map(({ pause, rows }, i): Frame => {
      clock += pause;
      const readings = rows.map(
        ({ series, behind }, n): Reading => ({
          series,
          time: clock - behind,
          value: n,
        }),
      );
      return frameOf(clock, readings, i === 0 ? { definitions } : {});
    });
  });

const plans = fc.record({ pipeline: fc.constantFrom(...pipelines), frames });

/** In the order in which they left. */
function emittedBy({ lines }: RecordingSink): readonly (Summary | Complete)[] {
  return lines.map((line): Summary | Complete => JSON.parse(line.slice(line.indexOf(" ") + 1)));
}

/** Each marker counts the newest revisions before it, and nothing of them comes afterwards. */
function assertMarkers(emitted: readonly (Summary | Complete)[]): number {
  const windows = new Map<string, Map<number, Summary>>();
  const through = new Map<string, number>();
  let markers = 0;
  for (const record of emitted) {
    const key = `${record.pipeline} ${JSON.stringify(record.key)}`;
    const own = windows.get(key) ?? new Map<number, Summary>();
    windows.set(key, own);
    if (record.kind === "summary") {
      assert.ok(record.end > (through.get(key) ?? -Infinity), `${key}: a window that was marked`);
      own.set(record.start, record);
      continue;
    }
    assert.ok(record.through > (through.get(key) ?? -Infinity), `${key}: markers go on`);
    let count = 0;
    for (const window of own.values()) {
      const isCounted = window.end <= record.through && window.end > (record.from ?? -Infinity);
      count += isCounted ? window.count : 0;
    }
    assert.equal(record.readings, count, `${key} through ${record.through}`);
    through.set(key, record.through);
    markers += 1;
  }
  return markers;
}

const flowOf = (pipeline: WindowPipelineSpec): Dataflow =>
  createDataflow(specWith(pipeline), new Catalog());

test("a marker counts all windows that end by it, and none of them changes any more", () => {
  let markers = 0;
  fc.assert(
    fc.property(plans, ({ pipeline, frames: all }) => {
      const sink = new RecordingSink();
      applyAll(flowOf(pipeline), all, sink);
      markers += assertMarkers(emittedBy(sink));
    }),
    { numRuns: 400 },
  );
  assert.ok(markers > 100, `${markers} markers`);
});

test("a pipeline that ends leaves markers with all that it has closed", () => {
  let compared = 0;
  fc.assert(
    fc.property(plans, ({ pipeline, frames: all }) => {
      const dataflow = flowOf(pipeline);
      const sink = new RecordingSink();
      const at = applyAll(dataflow, all, sink);
      const before = dataflow.ledger.view().pipelines[0];
      const json = JSON.stringify({ ...specWith(pipeline), pipelines: [] });
      dataflow.apply(frameOf(0, [], { definitions: [{ kind: "config", json }] }), at, sink);
      const emitted = emittedBy(sink);
      assertMarkers(emitted);
      const last = new Map<string, number>();
      for (const record of emitted) {
        if (record.kind === "complete") last.set(JSON.stringify(record.key), record.readings);
      }
      const told = [...last.values()].reduce((sum, readings) => sum + readings, 0);
      assert.equal(told, (before?.closed ?? 0) + (before?.open ?? 0));
      compared += told;
    }),
  );
  assert.ok(compared > 0);
});

test("a session that grew beyond what was emitted of it holds its markers up", () => {
  const window = { kind: "session", gapMs: 1_000, maxMs: 1e9 } as const;
  const pipeline = { ...tumbling, key: ["device"], window, allowedLatenessMs: 10_000 };
  const at = (time: number): Reading => ({ series: 0, time, value: time });
  // [0, 1000) is emitted, then grows to [0, 1900), of which nothing is emitted when 1000 is final.
  const rows = [0, 5_000, 900, 11_500].map(at);
  const sink = new RecordingSink();
  const spec = { ...specOf([pipeline]), markerMs: 1_000 };
  const dataflow = createDataflow(spec, new Catalog());
  const end = applyAll(dataflow, [frameOf(20_000, rows, { definitions })], sink);
  assert.deepEqual(sink.markers, []);
  applyAll(dataflow, [frameOf(20_000, [at(12_900), at(14_100)])], sink, end);
  assertMarkers(emittedBy(sink));
  assert.deepEqual(
    sink.markers.map(({ through, readings }) => [through, readings]),
    [
      [2_000, 2],
      [4_000, 2],
    ],
  );
});

test("markers are the same however the log was cut, and wherever it was interrupted", () => {
  const cuts = fc.array(fc.nat(10), { maxLength: 3 });
  fc.assert(
    fc.property(plans, cuts, fc.nat(30), ({ pipeline, frames: all }, where, stop) => {
      const sink = new RecordingSink();
      applyAll(flowOf(pipeline), all, sink);
      const again = new RecordingSink();
      let dataflow = flowOf(pipeline);
      const chunks = new Map<string, Uint8Array>();
      let at = 0;
      for (const [i, frame] of all.entries()) {
        for (const piece of cutFrame(frame, position(at), where)) {
          dataflow.apply(piece.frame, piece.at, again);
        }
        at += frame.batch.rows + 1;
        if (i !== stop) continue;
        for (const [name, bytes] of chunksOf(dataflow)) chunks.set(name, bytes);
        const catalog = new Catalog();
        for (const definition of definitions) catalog.define(definition);
        dataflow = createDataflow(dataflow.spec, catalog);
        assert.ok(loadChunks(dataflow, chunks));
      }
      assert.deepEqual(again.lines, sink.lines);
    }),
  );
});

test("state of a weir that did not count goes on with the windows that are live", () => {
  let markers = 0;
  fc.assert(
    fc.property(plans, fc.nat(25), ({ pipeline, frames: all }, stop) => {
      const before = flowOf(pipeline);
      const sink = new RecordingSink();
      const at = applyAll(before, all.slice(0, stop), sink);
      const chunks = chunksOf(before);
      for (const name of chunks.keys()) if (name.includes("/complete")) chunks.delete(name);
      const catalog = new Catalog();
      for (const definition of definitions) catalog.define(definition);
      const dataflow = createDataflow(before.spec, catalog);
      assert.ok(loadChunks(dataflow, chunks));
      const after = new RecordingSink();
      applyAll(dataflow, all.slice(stop), after, at);
      // What the older weir emitted had no markers.
      const summaries = emittedBy(sink).filter(({ kind }) => kind === "summary");
      markers += assertMarkers([...summaries, ...emittedBy(after)]);
    }),
    { numRuns: 300 },
  );
  assert.ok(markers > 20, `${markers} markers`);
});
