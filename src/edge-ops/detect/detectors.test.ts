/** The detectors as pipelines of a dataflow: what they share with all operators. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KIND_SYMBOL } from "../../core/batch.ts";
import { Catalog } from "../../core/catalog.ts";
import type { Definition, Frame } from "../../core/frame.ts";
import { position, symbolId } from "../../core/units.ts";
import { createDataflow, type Dataflow } from "../dataflow.ts";
import type { PipelineSpec } from "../spec.ts";
import {
  chunksOf,
  cutFrame,
  definitionsOf,
  frameOf,
  loadChunks,
  RecordingSink,
  specOf,
} from "../../../test/support/dataflow.ts";

const where = { sources: [], metrics: [], tags: {} };

const pipelines: readonly PipelineSpec[] = [
  {
    kind: "ewma",
    name: "levels",
    where,
    key: [],
    lambda: 0.5,
    sigmas: 1,
    warmup: 2,
    baseline: 0.2,
    sigmaMin: 0.1,
    rearm: 1,
  },
  {
    kind: "frequency",
    name: "states",
    where,
    key: ["line"],
    depth: 2,
    width: 64,
    heavyShare: 0.3,
    rareCount: 1,
    minimum: 2,
    periodMs: 1_000,
  },
];

const SYMBOLS = ["false", "true", "running", "fault"];
const definitions: readonly Definition[] = [
  ...definitionsOf(2, 2),
  { kind: "symbol", id: symbolId(2), text: "running" },
  { kind: "symbol", id: symbolId(3), text: "fault" },
];

const readings = fc.array(
  fc.oneof(
    fc.record({ series: fc.nat({ max: 3 }), value: fc.constantFrom(0, 1, 2, 40) }),
    fc.record({
      series: fc.nat({ max: 3 }),
      value: fc.nat({ max: SYMBOLS.length - 1 }),
      kind: fc.constant(KIND_SYMBOL),
    }),
  ),
  { maxLength: 40 },
);

/** Frames a few hundred milliseconds apart, with readings in the order of time. */
const logs = fc.array(readings, { minLength: 1, maxLength: 6 }).map((parts): Frame[] =>
  parts.map((part, i) => {
    const clock = 10_000 + i * 400;
    const rows = part.map((reading, row) => ({ ...reading, time: clock + row }));
    return frameOf(clock, rows, i === 0 ? { definitions } : {});
  }),
);

type Run = { readonly dataflow: Dataflow; readonly sink: RecordingSink };

function begin(): Run {
  return { dataflow: createDataflow(specOf(pipelines), new Catalog()), sink: new RecordingSink() };
}

/** Applies frames [from, to), each cut at these rows. */
function apply({ dataflow, sink }: Run, frames: readonly Frame[], cuts: readonly number[]): void {
  for (const [i, frame] of frames.entries()) {
    for (const piece of cutFrame(frame, position(i * 1_000), cuts)) {
      dataflow.apply(piece.frame, piece.at, sink);
    }
  }
}

test("detectors in a dataflow do not care how the log was cut, and their ledger balances", () => {
  fc.assert(
    fc.property(logs, fc.array(fc.nat({ max: 40 })), (frames, cuts) => {
      const [whole, cut] = [begin(), begin()];
      apply(whole, frames, []);
      apply(cut, frames, cuts);
      assert.deepEqual(cut.sink.lines, whole.sink.lines);
      assert.deepEqual(chunksOf(cut.dataflow), chunksOf(whole.dataflow));
      const { pipelines: rows, balanced } = whole.dataflow.ledger.view();
      assert.ok(balanced);
      assert.equal(
        rows.reduce((sum, { alerts }) => sum + alerts, 0),
        whole.sink.lines.length,
      );
    }),
  );
});

test("detectors resumed from a checkpoint of the dataflow go on as if nothing had happened", () => {
  fc.assert(
    fc.property(logs, logs, (before, after) => {
      const later = after.map((frame) => ({ ...frame, definitions: [] }));
      const whole = begin();
      apply(whole, before, []);
      const chunks = chunksOf(whole.dataflow);
      const catalog = new Catalog();
      for (const definition of definitions) catalog.define(definition);
      const resumed = {
        dataflow: createDataflow(whole.dataflow.spec, catalog),
        sink: new RecordingSink(),
      };
      assert.ok(loadChunks(resumed.dataflow, chunks));
      const linesBefore = whole.sink.lines.length;
      for (const run of [whole, resumed]) apply(run, later, []);
      assert.deepEqual(resumed.sink.lines, whole.sink.lines.slice(linesBefore));
      assert.deepEqual(chunksOf(resumed.dataflow), chunksOf(whole.dataflow));
    }),
  );
});
