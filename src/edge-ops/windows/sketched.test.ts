/** Windows with sketches: what their percentiles say, and that their state comes back as it was. */

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
import type { Definition, Frame } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import type { Summary } from "../../core/record.ts";
import { position, seriesId } from "../../core/units.ts";
import { createDataflow, type Dataflow, emptySpec } from "../dataflow.ts";
import { decodeKll } from "../sketch/kll-format.ts";
import { Kll } from "../sketch/kll.ts";
import type { DataflowSpec, WindowPipelineSpec } from "../spec.ts";

const begin = 1_700_000_000_000;
const aggregate = ["count", "min", "max", "p50", "p99", "quantiles"] as const;
const of = (name: string, over: Partial<WindowPipelineSpec>): WindowPipelineSpec => {
  return { ...tumbling, name, key: ["line"], aggregate, allowedLatenessMs: 4_000, ...over };
};
const pipelines: readonly WindowPipelineSpec[] = [
  of("tumbling", { window: { kind: "tumbling", sizeMs: 3_000 } }),
  of("sliding", { window: { kind: "sliding", sizeMs: 4_000, slideMs: 2_000 } }),
  of("session", { window: { kind: "session", gapMs: 1_500, maxMs: 6_000 } }),
];
const config = (spec: DataflowSpec): Definition => ({ kind: "config", json: JSON.stringify(spec) });
const few: DataflowSpec = {
  ...specOf(pipelines, { disorderMs: 1_000, idleMs: 5_000 }),
  keysMax: 3,
};
/** Beyond the step by which tables grow, so that slots of sessions move. */
const more: DataflowSpec = { ...few, keysMax: 300 };

type Plan = readonly {
  readonly pause: number;
  readonly rows: readonly { readonly series: number; readonly behind: number }[];
}[];

/** Some of the readings are late, some of the frames hold enough of a window for its sketch to forget. */
const plans: fc.Arbitrary<Plan> = fc.array(
  fc.record({
    pause: fc.oneof(
      { weight: 4, arbitrary: fc.nat(1_200) },
      { weight: 1, arbitrary: fc.nat(9_000) },
    ),
    rows: fc.oneof(
      {
        weight: 6,
        arbitrary: fc.array(fc.record({ series: fc.nat(5), behind: fc.nat(5_000) }), {
          maxLength: 12,
        }),
      },
      {
        weight: 1,
        arbitrary: fc
          .record({ series: fc.nat(5), length: fc.integer({ min: 150, max: 450 }) })
          .map(({ series, length }) =>
            Array.from({ length }, (_, i) => ({ series, behind: (i * 7) % 2_500 })),
          ),
      },
    ),
  }),
  { minLength: 2, maxLength: 10 },
);

/** Every value is its own number. */
function framesOf(plan: Plan, spec: (frame: number) => DataflowSpec | undefined): Frame[] {
  let clock = begin;
  let value = 0;
  return plan.map(({ pause, rows }, frame) => {
    clock += pause;
    const readings = rows.map(({ series, behind }): Reading => {
      value += 1;
      return { series, time: clock - behind, value: (value * 7_919) % 65_521 };
    });
    const changed = spec(frame);
    const definitions = changed === undefined ? [] : [config(changed)];
    if (frame === 0) definitions.push(...definitionsOf(3, 2));
    return frameOf(clock, readings, { definitions });
  });
}

const fresh = (): Dataflow => createDataflow(emptySpec, new Catalog());
const always = (frame: number): DataflowSpec | undefined => (frame === 0 ? few : undefined);

/** The lines of a run, and its summaries with a sketch. */
function run(frames: readonly Frame[]) {
  const sink = new RecordingSink();
  const dataflow = fresh();
  applyAll(dataflow, frames, sink);
  return { dataflow, sink };
}

function sketchOf({ fields }: Summary): Kll {
  const sketch = new Kll();
  assert.ok(fields.quantiles !== undefined && decodeKll(fields.quantiles, sketch));
  return sketch;
}

test("a sketch has the readings of its window; its percentiles are those beside it", () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const { sink } = run(framesOf(plan, always));
      for (const summary of sink.summaries.filter(({ count }) => count > 0)) {
        const { count, fields } = summary;
        const sketch = sketchOf(summary);
        assert.deepEqual([sketch.count, sketch.min, sketch.max], [count, fields.min, fields.max]);
        const values = new Float64Array(2);
        sketch.percentiles([50, 99], values);
        assert.deepEqual([...values], [fields.p50, fields.p99]);
      }
    }),
    { numRuns: 60 },
  );
});

test("the readings of a tumbling window are in its sketch, each once", () => {
  const frames = framesOf(
    [
      { pause: 0, rows: [5, 3, 1, 4, 2].map((behind) => ({ series: 0, behind: behind * 100 })) },
      { pause: 60_000, rows: [{ series: 0, behind: 0 }] },
    ],
    always,
  );
  const { sink } = run(frames);
  const windows = sink.summaries.filter(({ pipeline }) => pipeline === "tumbling");
  const items = windows.flatMap((summary) => [
    ...sketchOf(summary).items.subarray(0, summary.count),
  ]);
  const sent = [...frames[0]!.batch.value.subarray(0, 5)];
  assert.deepEqual(new Set(items), new Set(sent));
  assert.equal(items.length, sent.length);
});

test("however frames are cut, sketches are the same bytes", () => {
  fc.assert(
    fc.property(plans, fc.array(fc.nat(400), { maxLength: 5 }), (plan, cuts) => {
      const frames = framesOf(plan, always);
      const pieces = fresh();
      const sink = new RecordingSink();
      let at = 0;
      for (const frame of frames) {
        for (const piece of cutFrame(frame, position(at), cuts)) {
          pieces.apply(piece.frame, piece.at, sink);
        }
        at += frame.batch.rows + 1;
      }
      assert.deepEqual(sink.lines, run(frames).sink.lines);
    }),
    { numRuns: 40 },
  );
});

test("a run resumed from a checkpoint, or with more room, goes on as if nothing had been", () => {
  fc.assert(
    fc.property(plans, fc.nat(9), fc.nat(9), (plan, stop, growth) => {
      const grows = (frame: number): DataflowSpec | undefined => {
        return frame === 0 ? few : frame === growth ? more : undefined;
      };
      const frames = framesOf(plan, grows);
      const sink = new RecordingSink();
      let dataflow = fresh();
      let at = 0;
      const catalog = new Catalog();
      const stored = new Map<string, Uint8Array>();
      for (const [frame, each] of frames.entries()) {
        at = applyAll(dataflow, [each], sink, at);
        for (const definition of each.definitions) catalog.define(definition);
        if (frame !== stop) continue;
        for (const [name, bytes] of chunksOf(dataflow)) stored.set(name, bytes);
        dataflow = createDataflow(JSON.parse(JSON.stringify(dataflow.spec)), catalog);
        assert.ok(loadChunks(dataflow, stored));
      }
      const whole = run(frames);
      assert.deepEqual(sink.lines, whole.sink.lines);
      for (const [name, bytes] of chunksOf(dataflow)) stored.set(name, bytes);
      // Which block a sketch has follows from the state alone.
      for (const [name, bytes] of chunksOf(whole.dataflow)) {
        assert.deepEqual(stored.get(name) ?? new Uint8Array(), bytes, name);
      }
    }),
    { numRuns: 30 },
  );
});

test("a window that is final gives its blocks back, also of a device that fell silent", () => {
  const spec = {
    ...few,
    pipelines: [
      of("tumbling", { window: { kind: "tumbling", sizeMs: 3_000 }, allowedLatenessMs: 0 }),
      of("sliding", {
        window: { kind: "sliding", sizeMs: 4_000, slideMs: 2_000 },
        allowedLatenessMs: 0,
      }),
      of("session", {
        window: { kind: "session", gapMs: 1_500, maxMs: 6_000 },
        allowedLatenessMs: 0,
      }),
    ],
  };
  const plan: Plan = Array.from({ length: 30 }, (_, frame) => ({
    pause: 1_000,
    rows: frame < 20 ? [0, 200, 400].map((behind) => ({ series: 0, behind })) : [],
  }));
  const { dataflow, sink } = run(framesOf(plan, (frame) => (frame === 0 ? spec : undefined)));
  assert.ok(sink.summaries.every(({ fields }) => fields.quantiles !== undefined));
  const blocks = [...chunksOf(dataflow)].filter(([name]) => name.includes("/sketches "));
  assert.equal(blocks.length, 3);
  for (const [name, bytes] of blocks) {
    assert.ok(
      bytes.subarray(8).every((byte) => byte === 0),
      `${name} is empty again`,
    );
  }
});

test("what is erased is in no block of any sketch", () => {
  const plan: Plan = [
    { pause: 0, rows: Array.from({ length: 450 }, (_, i) => ({ series: 0, behind: i })) },
  ];
  const byDevice = pipelines.map((pipeline) => ({ ...pipeline, key: ["device"] }));
  const frames = framesOf(plan, () => ({ ...few, pipelines: byDevice }));
  const { dataflow, sink } = run(frames);
  const chunks = chunksOf(dataflow);
  const values = [...frames[0]!.batch.value.subarray(0, 450)];
  const found = (): readonly number[] => {
    const all = Buffer.concat([...chunks.values()]);
    return values.filter((value) => all.includes(Buffer.from(new Float64Array([value]).buffer)));
  };
  assert.ok(found().length > 100);
  dataflow.erase([seriesId(0), seriesId(1)], position(500), sink);
  for (const [name, bytes] of chunksOf(dataflow)) chunks.set(name, bytes);
  assert.deepEqual(found(), []);
});

test("a window whose sketch finds no room lacks it, and is counted", () => {
  const lateness = 4_000;
  const devices = Math.ceil(limits.quantileBlocksMax / lateness / 2) + 1;
  const spec: DataflowSpec = {
    ...specOf([
      of("w", {
        key: ["device", "metric"],
        window: { kind: "tumbling", sizeMs: 1_000 },
        aggregate: ["p50", "quantiles"],
        allowedLatenessMs: lateness * 1_000,
      }),
    ]),
    seriesMax: 2 * devices,
    keysMax: 2 * devices,
  };
  const dataflow = createDataflow(spec, new Catalog());
  const sink = new RecordingSink();
  const series = Array.from({ length: 2 * devices }, (_, id) => id);
  let at = applyAll(dataflow, [frameOf(0, [], { definitions: definitionsOf(devices, 2) })], sink);
  for (let pane = 0; pane < lateness; pane++) {
    const readings = series.map((id) => ({ series: id, time: pane * 1_000, value: pane }));
    at = applyAll(dataflow, [frameOf(pane * 1_000, readings)], sink, at);
  }
  const lacking = sink.summaries.filter(({ fields }) => fields.quantiles === undefined);
  const [row] = dataflow.ledger.view().pipelines;
  assert.ok(lacking.length > 0 && lacking.length < sink.summaries.length);
  assert.ok(lacking.every(({ count, fields }) => count === 1 && fields.p50 === undefined));
  assert.equal(row!.sketchesLost, lacking.length);
});
