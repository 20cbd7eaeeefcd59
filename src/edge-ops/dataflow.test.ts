import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL } from "../core/batch.ts";
import { Catalog } from "../core/catalog.ts";
import type { Definition, Frame } from "../core/frame.ts";
import { position, sourceId, symbolId } from "../core/units.ts";
import { createDataflow, type Dataflow, emptySpec } from "./dataflow.ts";
import type { DataflowSpec, PipelineSpec } from "./spec.ts";
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
} from "../../test/support/dataflow.ts";

const DEVICES = 3;
const METRICS = 2;
const where = tumbling.where;

const pipelines: readonly PipelineSpec[] = [
  {
    ...tumbling,
    name: "tumbling",
    window: { kind: "tumbling", sizeMs: 3_000 },
    allowedLatenessMs: 4_000,
  },
  {
    ...tumbling,
    name: "sliding",
    key: ["line"],
    window: { kind: "sliding", sizeMs: 4_000, slideMs: 2_000 },
    allowedLatenessMs: 3_000,
  },
  {
    ...tumbling,
    name: "session",
    key: ["line"],
    window: { kind: "session", gapMs: 1_500, maxMs: 6_000 },
    allowedLatenessMs: 5_000,
  },
  {
    kind: "ewma",
    name: "chart",
    where: { ...where, metrics: ["m0"] },
    key: [],
    lambda: 0.3,
    sigmas: 1.5,
    warmup: 3,
    baseline: 0.1,
    sigmaMin: 0.1,
    rearm: 1,
  },
  {
    kind: "frequency",
    name: "words",
    where,
    key: ["line"],
    depth: 4,
    width: 64,
    heavyShare: 0.4,
    rareCount: 1,
    minimum: 4,
    periodMs: 10_000,
  },
];

const sources = { disorderMs: 1_000, idleMs: 5_000, futureMs: 8_000 };
const baseSpec: DataflowSpec = specOf(pipelines, sources);

/** Later configurations of the same log: one pipeline changed, one gone, one new, more room. */
const laterSpecs: readonly DataflowSpec[] = [
  { ...baseSpec, pipelines: [{ ...tumbling, name: "tumbling" }, ...pipelines.slice(2)] },
  { ...baseSpec, seriesMax: 1_000, devicesMax: 600, keysMax: 700, duplicateRing: 12 },
  specOf([...pipelines, { ...tumbling, name: "more" }], { ...sources, disorderMs: 3_000 }),
];

const config = (spec: DataflowSpec): Definition => ({ kind: "config", json: JSON.stringify(spec) });

const arbReading = fc.record({
  series: fc.nat(DEVICES * METRICS - 1),
  behind: fc.oneof(
    { weight: 4, arbitrary: fc.nat(1_500) },
    { weight: 2, arbitrary: fc.nat(9_000) },
    { weight: 1, arbitrary: fc.integer({ min: -12_000, max: 0 }) },
  ),
  value: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -5, max: 5 }) },
    { weight: 2, arbitrary: fc.double({ noNaN: true, min: -1e9, max: 1e9 }) },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY) },
  ),
  kind: fc.constantFrom(0, 0, 0, KIND_SYMBOL, KIND_SEQUENCE, KIND_ARRIVAL_TIME),
  again: fc.nat(9),
});

const arbFrames: fc.Arbitrary<Frame[]> = fc
  .array(
    fc.record({
      pause: fc.oneof(
        { weight: 6, arbitrary: fc.nat(900) },
        { weight: 1, arbitrary: fc.nat(9_000) },
        { weight: 1, arbitrary: fc.integer({ min: -5_000, max: 0 }) },
      ),
      trusted: fc.nat(6).map((n) => n > 0),
      config: fc.nat(30),
      rows: fc.array(arbReading, { maxLength: 10 }),
    }),
    { minLength: 1, maxLength: 16 },
  )
  .map((steps) => {
    let clock = 1_700_000_000_000;
    const sent: Reading[] = [];
    return steps.map((step, i) => {
      clock += step.pause;
      const readings = step.rows.map(({ series, behind, value, kind, again }) => {
        const before = sent[sent.length - 1 - (again - 6)];
        if (again >= 6 && before !== undefined) return before;
        const isSymbol = (kind & KIND_SYMBOL) !== 0;
        const reading = {
          series,
          time: clock - behind,
          value: isSymbol ? Math.abs(Math.trunc(Number.isFinite(value) ? value : 0)) % 3 : value,
          kind,
          sequence: kind === KIND_SEQUENCE ? sent.length : 0,
        };
        sent.push(reading);
        return reading;
      });
      const later = laterSpecs[step.config];
      const definitions =
        i === 0
          ? [
              config(baseSpec),
              ...definitionsOf(DEVICES, METRICS),
              { kind: "symbol" as const, id: symbolId(2), text: "open" },
            ]
          : later === undefined
            ? []
            : [config(later)];
      const counts = [
        { source: sourceId(0), decoded: readings.length, deadLettered: 1, shed: 0, rejected: i },
      ];
      return frameOf(clock, readings, { clockTrusted: step.trusted, definitions, counts });
    });
  });

function stateOf(dataflow: Dataflow, since: ReadonlyMap<string, Uint8Array> = new Map()) {
  const tables = new Set(dataflow.tables);
  return [...since, ...chunksOf(dataflow)]
    .reduce((all, [name, bytes]) => all.set(name, bytes), new Map<string, Uint8Array>())
    .entries()
    .filter(([name]) => tables.has(name.slice(0, name.lastIndexOf(" "))))
    .map(([name, bytes]) => `${name} ${createHash("sha1").update(bytes).digest("hex")}`)
    .toArray()
    .sort();
}

test("however frames are cut, outputs, ledger and state are the same bytes", () => {
  fc.assert(
    fc.property(arbFrames, fc.array(fc.nat(10), { maxLength: 6 }), (frames, cuts) => {
      const whole = createDataflow(emptySpec, new Catalog());
      const wholeSink = new RecordingSink();
      applyAll(whole, frames, wholeSink);

      const pieces = createDataflow(emptySpec, new Catalog());
      const piecesSink = new RecordingSink();
      let at = position(0);
      for (const frame of frames) {
        for (const piece of cutFrame(frame, at, cuts)) {
          pieces.apply(piece.frame, piece.at, piecesSink);
        }
        at = position(at + frame.batch.rows + 1);
      }
      assert.deepEqual(piecesSink.lines, wholeSink.lines);
      assert.ok(whole.ledger.equals(pieces.ledger.encode()));
      assert.deepEqual(stateOf(pieces), stateOf(whole));
    }),
    { numRuns: 150 },
  );
});

test("a run resumed from a checkpoint goes on as if it had not been interrupted", () => {
  fc.assert(
    fc.property(arbFrames, fc.nat(15), fc.nat(15), (frames, a, b) => {
      const whole = createDataflow(emptySpec, new Catalog());
      const wholeSink = new RecordingSink();
      applyAll(whole, frames, wholeSink);

      const sink = new RecordingSink();
      let dataflow = createDataflow(emptySpec, new Catalog());
      let chunks = new Map<string, Uint8Array>();
      let at = 0;
      const catalog = new Catalog();
      for (const [i, frame] of frames.entries()) {
        at = applyAll(dataflow, [frame], sink, at);
        for (const definition of frame.definitions) catalog.define(definition);
        if (i !== a % frames.length && i !== b % frames.length) continue;
        // The second checkpoint holds only what changed since the first.
        for (const [name, bytes] of chunksOf(dataflow)) chunks.set(name, bytes);
        const tables = new Set(dataflow.tables);
        chunks = new Map(
          [...chunks].filter(([name]) => tables.has(name.slice(0, name.lastIndexOf(" ")))),
        );
        const ledger = dataflow.ledger.encode();
        const saved = JSON.parse(JSON.stringify(dataflow.spec));
        const wakeAt = dataflow.wakeAt();
        dataflow = createDataflow(saved, catalog);
        assert.ok(loadChunks(dataflow, chunks), "every saved chunk fits");
        assert.ok(dataflow.ledger.equals(ledger), "the ledger is part of the state");
        assert.ok(dataflow.wakeAt() >= wakeAt, "a scan after the restart is at least as exact");
      }
      assert.deepEqual(sink.lines, wholeSink.lines);
      assert.ok(whole.ledger.equals(dataflow.ledger.encode()));
      assert.deepEqual(stateOf(dataflow, chunks), stateOf(whole));
    }),
    { numRuns: 150 },
  );
});

test("the ledger balances after every frame, and closed readings are in the latest revisions", () => {
  fc.assert(
    fc.property(arbFrames, (frames) => {
      const dataflow = createDataflow(emptySpec, new Catalog());
      const sink = new RecordingSink();
      let at = 0;
      for (const frame of frames) {
        at = applyAll(dataflow, [frame], sink, at);
        const view = dataflow.ledger.view();
        assert.ok(view.balanced, JSON.stringify(view));
        const latest = new Map<string, number>();
        const counted = new Map<string, number>();
        for (const summary of sink.summaries) {
          const id = `${summary.pipeline} ${JSON.stringify(summary.key)} ${summary.start}`;
          const before = latest.get(id) ?? 0;
          latest.set(id, summary.count);
          const total = (counted.get(summary.pipeline) ?? 0) + summary.count - before;
          counted.set(summary.pipeline, total);
        }
        for (const { pipeline, closed } of view.pipelines) {
          const isSliding = pipeline.startsWith("sliding");
          const isWindow = isSliding || /^(tumbling|session|more)/.test(pipeline);
          if (isWindow && !isSliding) assert.equal(closed, counted.get(pipeline) ?? 0, pipeline);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test("no record identity is emitted twice", () => {
  fc.assert(
    fc.property(arbFrames, (frames) => {
      const dataflow = createDataflow(emptySpec, new Catalog());
      const sink = new RecordingSink();
      applyAll(dataflow, frames, sink);
      const next = new Map<string, number>();
      for (const { pipeline, key, start, revision } of sink.summaries) {
        const id = `${pipeline} ${JSON.stringify(key)} ${start}`;
        assert.equal(revision, next.get(id) ?? 0, `revisions of ${id} count up from 0`);
        next.set(id, revision + 1);
      }
    }),
    { numRuns: 150 },
  );
});

const one = (series: number, time: number, value = 1): Reading => ({ series, time, value });

/** A dataflow with `specOf(list)` and two devices of two metrics; its sink; a way to send readings. */
function flowOf(list: readonly PipelineSpec[], rest: Partial<DataflowSpec> = {}) {
  const dataflow = createDataflow(emptySpec, new Catalog());
  const sink = new RecordingSink();
  const spec = { ...specOf(list, { idleMs: 5_000 }), ...rest };
  const definitions = [config(spec), ...definitionsOf(2, 2)];
  let at = applyAll(dataflow, [frameOf(0, [], { definitions })], sink);
  const send = (clock: number, readings: readonly Reading[], defined: Definition[] = []): void => {
    at = applyAll(dataflow, [frameOf(clock, readings, { definitions: defined })], sink, at);
  };
  return { dataflow, sink, send, spec };
}

test("a changed pipeline emits what it has open and starts anew under @2", () => {
  const { dataflow, sink, send, spec } = flowOf([tumbling, { ...tumbling, name: "same" }]);
  send(0, [one(0, 1_000)]);
  const changed = { ...tumbling, window: { kind: "tumbling" as const, sizeMs: 5_000 } };
  send(
    0,
    [one(0, 2_000)],
    [config({ ...spec, pipelines: [changed, { ...tumbling, name: "same" }] })],
  );
  assert.deepEqual(
    sink.summaries.map(({ pipeline, count }) => [pipeline, count]),
    [["w", 1]],
  );
  send(0, [one(0, 20_000)]);
  assert.deepEqual(
    sink.summaries.slice(1).map(({ pipeline, count }) => [pipeline, count]),
    [
      ["w@2", 1],
      ["same", 2],
    ],
  );
  send(0, [], [config({ ...spec, pipelines: [] })]);
  send(0, [], [config({ ...spec, pipelines: [tumbling] })]);
  assert.deepEqual(
    dataflow.ledger.view().pipelines.map(({ pipeline }) => pipeline),
    ["w@3"],
  );
  assert.equal(
    dataflow.tables.some((name) => name.startsWith("same/")),
    false,
  );
});

test("the same configuration again changes nothing, whatever the order of its fields", () => {
  const { dataflow, sink, send, spec } = flowOf([tumbling]);
  send(0, [one(0, 1_000)]);
  const reversed = JSON.parse(JSON.stringify(Object.fromEntries(Object.entries(spec).reverse())));
  send(0, [], [config(reversed)]);
  assert.deepEqual(sink.lines, []);
  assert.deepEqual(dataflow.ledger.view().pipelines[0]!.pipeline, "w");
});

test("more room keeps all state", () => {
  const { sink, send, spec } = flowOf([tumbling]);
  send(0, [one(0, 1_000)]);
  send(
    0,
    [one(0, 1_000)],
    [config({ ...spec, seriesMax: 5_000, devicesMax: 5_000, keysMax: 5_000 })],
  );
  send(0, [one(0, 20_000)]);
  assert.deepEqual(
    sink.summaries.map(({ pipeline, count }) => [pipeline, count]),
    [["w", 1]],
  );
});

test("keys beyond keysMax are refused and counted, with every later reading of theirs", () => {
  const { dataflow, send } = flowOf([tumbling], { keysMax: 1 });
  send(0, [one(0, 1_000), one(1, 1_000), one(0, 2_000), one(1, 2_000)]);
  const [row] = dataflow.ledger.view().pipelines;
  assert.deepEqual([row!.open, row!.refused, row!.balanced], [2, 2, true]);
});

test("where takes what all its conditions take; a star is any run of characters", () => {
  const only = (condition: object): number => {
    const { dataflow, send } = flowOf([{ ...tumbling, where: { ...where, ...condition } }]);
    send(
      0,
      [0, 1, 2, 3].map((series) => one(series, 0)),
    );
    return dataflow.ledger.view().pipelines[0]!.open;
  };
  assert.equal(only({}), 4);
  assert.equal(only({ metrics: ["m0"] }), 2);
  assert.equal(only({ metrics: ["*0", "x*"] }), 2);
  assert.equal(only({ metrics: ["m."] }), 0);
  assert.equal(only({ tags: { device: "d*" } }), 4);
  assert.equal(only({ tags: { device: "d1", line: "0" } }), 0);
  assert.equal(only({ tags: { hall: "*" } }), 0);
  assert.equal(only({ sources: ["plant"] }), 4);
  assert.equal(only({ sources: ["other"] }), 0);
});

test("wakeAt is the clock at which a silent device lets its windows close, and Infinity after it", () => {
  const { dataflow, sink, send } = flowOf([tumbling]);
  assert.equal(dataflow.wakeAt(), Number.POSITIVE_INFINITY);
  send(1_000, [one(0, 1_000)]);
  const wakeAt = dataflow.wakeAt();
  assert.equal(wakeAt, 6_000);
  send(wakeAt, []);
  assert.equal(sink.summaries.length, 1);
  assert.equal(dataflow.wakeAt(), Number.POSITIVE_INFINITY);
});

test("a key closes by its device's clock even when its own metric fell silent", () => {
  const { sink, send } = flowOf([tumbling]);
  send(0, [one(0, 1_000), one(1, 1_000), one(1, 30_000)]);
  assert.deepEqual(
    sink.summaries.map(({ key, count }) => [key[1]?.[1], count]),
    [
      ["m0", 1],
      ["m1", 1],
    ],
  );
});

test("one device far ahead of another forces the oldest windows, which is counted", () => {
  const { dataflow, sink, send } = flowOf([{ ...tumbling, key: ["metric"] }]);
  send(0, [one(0, 1_000), one(2, 1_000), one(0, 900_000), one(2, 2_000)]);
  const [row] = dataflow.ledger.view().pipelines;
  assert.deepEqual([row!.forced, row!.closed, row!.open, row!.late], [1, 2, 1, 1]);
  assert.equal(sink.summaries.length, 1);
});

test("a chunk of an unknown table or of another shape is refused", () => {
  const { dataflow, send } = flowOf([tumbling]);
  send(0, [one(0, 1_000)]);
  const bytes = chunksOf(dataflow).get("w/keys 0")!;
  assert.equal(dataflow.load("w/keys", 0, bytes), true);
  assert.equal(dataflow.load("v/keys", 0, bytes), false);
  assert.equal(dataflow.load("w/keys", 0, bytes.subarray(1)), false);
});
