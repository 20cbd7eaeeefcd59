import { limits } from "../../core/limits.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Catalog } from "../../core/catalog.ts";
import { millis } from "../../core/units.ts";
import { createPipeline } from "../../edge-ops/pipeline.ts";
import type { PipelineSpec, WhereSpec } from "../../edge-ops/spec.ts";
import { configOf, sourceDefaults } from "./config.ts";
import { duplicateBytesPerSeries, estimatePipeline } from "./state-estimate.ts";

const where: WhereSpec = { sources: [], metrics: [], tags: {} };

const config = configOf({
  agent: "a",
  dataDirectory: "/data",
  sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{device}"] }],
  seriesMax: 300,
  keysMax: 50,
});

const window: PipelineSpec = {
  kind: "window",
  name: "w",
  where,
  key: ["device"],
  window: { kind: "tumbling", sizeMs: 10_000 },
  aggregate: ["count"],
  allowedLatenessMs: 0,
};

test("a series costs its ring of times, values, kinds and sequences, and three heads", () => {
  assert.equal(duplicateBytesPerSeries({ duplicateRing: 64 }), 64 * (8 + 8 + 1 + 8) + 3 * 8);
});

const session: PipelineSpec = {
  ...window,
  window: { kind: "session", gapMs: 1_000, maxMs: 5_000 },
};

const ewma: PipelineSpec = {
  kind: "ewma",
  name: "e",
  where,
  key: [],
  lambda: 0.2,
  sigmas: 3.5,
  warmup: 60,
  baseline: 0.01,
  sigmaMin: 0.01,
  rearm: 10,
};

const frequency: PipelineSpec = {
  kind: "frequency",
  name: "f",
  where,
  key: ["device"],
  depth: 4,
  width: 1_024,
  heavyShare: 0.5,
  rareCount: 0,
  minimum: 100,
  periodMs: 3_600_000,
};

test("a key costs what the columns of its tables say", () => {
  const pane = 4 + 4 + 4 + 4 + 1; // count, arrival timed; settled, revisions, marked
  const complete = 1 + 8 + 8 + 8; // state; from, counted, through
  const panesOfKey = estimatePipeline(window, config);
  assert.equal(panesOfKey.panes?.ring, 6);
  assert.equal(panesOfKey.bytesPerKey, 6 * pane + (1 + 8 + 2 + 8) + complete);
  const live = 4 + 4 + 8 + 8 + 4 + 4 + 1 + 1 + 8; // start and last, open, due
  assert.equal(
    estimatePipeline(session, config).bytesPerKey,
    16 * live + 4 + (1 + 8 + 1 + 8) + complete,
  );
  assert.equal(estimatePipeline(ewma, config).bytesPerKey, 5 * 8 + 3 * 4 + 4);
  assert.equal(estimatePipeline(frequency, config).bytesPerKey, 0);
});

const sketched: PipelineSpec = { ...window, name: "s", aggregate: ["quantiles"] };
/** So many keys share the blocks of all sketches. */
const manyKeys = { ...sketched, name: "m", window: { kind: "tumbling", sizeMs: 100 } } as const;

test("at the limits the estimate is what the tables then come to", () => {
  const many = { ...config, keysMax: 3_000 };
  for (const [spec, of] of [
    ...[window, session, ewma, frequency, sketched].map((each) => [each, config] as const),
    [manyKeys, many] as const,
  ]) {
    const { tables } = createPipeline({
      spec,
      name: spec.name,
      catalog: new Catalog(),
      devices: { isSeen: () => false, isIdle: () => false, watermarkOf: () => millis(0) },
      sources: of.sources,
      keysMax: of.keysMax,
      capacity: of,
      markerMs: limits.markerIntervalMs,
    });
    const bytes = tables.reduce((sum, table) => sum + table.bytesMax, 0);
    assert.equal(estimatePipeline(spec, of).bytesMax, bytes, spec.name);
  }
});
