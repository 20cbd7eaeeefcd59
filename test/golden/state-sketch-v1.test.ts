/**
 * State of windows with sketches: the slots' columns and the blocks, of a sketch that has two levels in
 * five blocks and of one that was emptied. As with state-v1, it never changes.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Catalog } from "../../src/core/catalog.ts";
import { createDataflow } from "../../src/edge-ops/dataflow.ts";
import {
  applyAll,
  chunksOf,
  definitionsOf,
  frameOf,
  loadChunks,
  RecordingSink,
  specOf,
  tumbling,
} from "../support/dataflow.ts";

type Saved = {
  /** By table and chunk, base64. */
  readonly chunks: Readonly<Record<string, string>>;
  /** What comes of the state when its windows are closed. */
  readonly outputs: readonly string[];
};

const saved: Saved = JSON.parse(
  readFileSync(new URL("state-sketch-v1.json", import.meta.url), "utf8"),
);
const spec = specOf([{ ...tumbling, aggregate: ["p50", "quantiles"] }]);
const definitions = definitionsOf(2, 1);
const readings = [
  ...Array.from({ length: 20 }, (_, i) => ({ series: 1, time: 100 * i, value: i })),
  ...Array.from({ length: 250 }, (_, i) => ({ series: 0, time: 40 * i, value: (i * 37) % 251 })),
  { series: 1, time: 12_000, value: 0.5 },
];
const before = [frameOf(0, [], { definitions }), frameOf(12_000, readings)];
const after = [
  frameOf(
    60_000,
    [0, 1].map((series) => ({ series, time: 60_000, value: 1 })),
  ),
];

test("state of sketches, version 1: is still written so", () => {
  const dataflow = createDataflow(spec, new Catalog());
  applyAll(dataflow, before, new RecordingSink());
  const written = [...chunksOf(dataflow)].filter(([name]) => /^w\/(panes|sketches)/.test(name));
  const shown = written.map(([name, bytes]) => [name, Buffer.from(bytes).toString("base64")]);
  assert.deepEqual(Object.fromEntries(shown), saved.chunks);
});

test("state of sketches, version 1: a dataflow goes on from it with the same outputs", () => {
  const catalog = new Catalog();
  for (const definition of definitions) catalog.define(definition);
  const whole = createDataflow(spec, new Catalog());
  const at = applyAll(whole, before, new RecordingSink());
  const chunks = chunksOf(whole);
  for (const [name, bytes] of Object.entries(saved.chunks)) {
    chunks.set(name, Buffer.from(bytes, "base64"));
  }
  const dataflow = createDataflow(spec, catalog);
  assert.ok(loadChunks(dataflow, chunks), "every chunk fits");
  const sink = new RecordingSink();
  applyAll(dataflow, after, sink, at);
  assert.deepEqual(sink.lines, saved.outputs);
});
