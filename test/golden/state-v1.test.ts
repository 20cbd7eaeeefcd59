/**
 * The bytes of the ledger and of operator state, version 1 of each table, as they stand in users'
 * state stores: loaded for ever. A change of a layout is a new version with vectors of its own;
 * these never change.
 *
 * `state-v1.hex` has the checkpoint after the first frames, `state-v1.json` its specification and
 * what the frames after it must give. In the frames everything is + - * / and sqrt of numbers that
 * are exact, so the bytes are those of every machine.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL } from "../../src/core/batch.ts";
import { Catalog } from "../../src/core/catalog.ts";
import type { Definition, Frame } from "../../src/core/frame.ts";
import { deviceId, seriesId, sourceId, symbolId } from "../../src/core/units.ts";
import { createDataflow, emptySpec } from "../../src/edge-ops/dataflow.ts";
import { decodeLedger, Ledger, type LedgerView } from "../../src/edge-ops/ledger.ts";
import { type DataflowSpec, decodeSpec } from "../../src/edge-ops/spec.ts";
import {
  applyAll,
  chunksOf,
  frameOf,
  loadChunks,
  type Reading,
  RecordingSink,
} from "../support/dataflow.ts";

const T = 1_700_000_000_000;
const where = { sources: [], metrics: [], tags: {} };

const spec: DataflowSpec = {
  version: 1,
  sources: [
    { name: "plant", disorderMs: 500, idleMs: 20_000, futureMs: 60_000 },
    { name: "größe", disorderMs: 0, idleMs: 10_000, futureMs: 60_000 },
  ],
  pipelines: [
    {
      kind: "window",
      name: "tumbling",
      where,
      key: ["device", "metric"],
      window: { kind: "tumbling", sizeMs: 2_000 },
      aggregate: ["count", "sum", "mean", "min", "max", "variance", "first", "last"],
      allowedLatenessMs: 6_000,
    },
    {
      kind: "window",
      name: "sessions",
      where: { ...where, sources: ["plant"] },
      key: ["line"],
      window: { kind: "session", gapMs: 1_000, maxMs: 5_000 },
      aggregate: ["sum", "last"],
      allowedLatenessMs: 6_000,
    },
    {
      kind: "ewma",
      name: "chart",
      where: { ...where, metrics: ["temp*"] },
      key: [],
      lambda: 0.25,
      sigmas: 2,
      warmup: 3,
      baseline: 0.125,
      sigmaMin: 0.25,
      rearm: 2,
    },
    {
      kind: "frequency",
      name: "words",
      where,
      key: ["device"],
      depth: 2,
      width: 16,
      heavyShare: 0.5,
      rareCount: 1,
      minimum: 3,
      periodMs: 60_000,
    },
  ],
  duplicateRing: 4,
  seriesMax: 10,
  devicesMax: 10,
  keysMax: 10,
};

const definitions: readonly Definition[] = [
  { kind: "config", json: JSON.stringify(spec) },
  { kind: "source", id: sourceId(0), name: "plant" },
  { kind: "source", id: sourceId(1), name: "größe" },
  device(0, 0, "a"),
  device(1, 0, "b"),
  device(2, 1, "a"),
  { kind: "series", id: seriesId(0), device: deviceId(0), metric: "temp" },
  { kind: "series", id: seriesId(1), device: deviceId(0), metric: "door" },
  { kind: "series", id: seriesId(2), device: deviceId(1), metric: "temp" },
  { kind: "series", id: seriesId(3), device: deviceId(2), metric: "level" },
  { kind: "symbol", id: symbolId(2), text: "open" },
  { kind: "symbol", id: symbolId(3), text: "shut" },
];

function device(id: number, source: number, line: string): Definition {
  const tags = [["device", `d${id}`] as const, ["line", line] as const];
  return { kind: "device", id: deviceId(id), source: sourceId(source), tags };
}

/** A reading `afterMs` after T. */
function at(series: number, afterMs: number, value: number, more: Partial<Reading> = {}): Reading {
  return { series, time: T + afterMs, value, ...more };
}
const word = (afterMs: number, symbol: number): Reading =>
  at(1, afterMs, symbol, { kind: KIND_SYMBOL });
const numbered = (afterMs: number, value: number, sequence: number): Reading =>
  at(3, afterMs, value, { kind: KIND_SEQUENCE, sequence });

const before: readonly Frame[] = [
  frameOf(T, [], { definitions }),
  frameOf(
    T + 1_000,
    [
      at(0, 100, 20),
      at(0, 400, 20.5),
      at(0, 100, 20), // resent
      at(0, 400, 21), // a conflict
      at(2, 200, -3.25),
      numbered(300, 7, 1),
      numbered(300, 7, 2), // another reading
      numbered(300, 7, 1), // resent
      at(2, 99_000, 1), // from the future
      at(2, 900, Number.POSITIVE_INFINITY),
      word(500, 2),
      word(600, 2),
      word(700, 3), // rare
    ],
    {
      counts: [
        { source: sourceId(0), decoded: 9, deadLettered: 1, shed: 2, rejected: 3 },
        { source: sourceId(1), decoded: 3, deadLettered: 0, shed: 0, rejected: 0 },
      ],
    },
  ),
  frameOf(T + 7_000, [
    at(0, 3_000, 20.25),
    at(0, 4_000, 20.75),
    at(2, 4_500, -3),
    at(2, 7_000, -2.5),
    at(0, 7_000, 30), // out of control
    at(3, 6_500, 8, { kind: KIND_ARRIVAL_TIME }),
    word(7_100, 2), // heavy
  ]),
  // Late: corrections wait in the checkpoint.
  frameOf(T + 7_500, [at(0, 1_100, 19), at(2, 1_100, -4), at(0, 7_200, 31)]),
];

const after: readonly Frame[] = [
  frameOf(T + 7_800, [
    at(0, 7_000, 30), // resent before the checkpoint, and recognised
    numbered(300, 7, 2), // the same
    at(0, 2_050, 20), // joins two sessions
    at(0, 7_600, 20.5),
    at(0, 7_700, 20.5),
    word(7_700, 2),
    word(7_750, 3),
  ]),
  frameOf(T + 9_000, [at(2, 9_000, 4), numbered(9_000, 9, 3)]),
  frameOf(T + 40_000, []), // all are idle: everything closes
];

const twoAndTwo: LedgerView = {
  sources: [
    {
      source: "plant",
      messages: { received: 10, decoded: 7, deadLettered: 1, shed: 2 },
      readings: {
        decoded: 18,
        accepted: 11,
        duplicate: 3,
        quarantined: 2,
        rejected: 2,
        conflict: 1,
      },
      balanced: true,
    },
    {
      source: "größe",
      messages: { received: 2 ** 53 - 1, decoded: 2 ** 53 - 1, deadLettered: 0, shed: 0 },
      readings: {
        decoded: 5,
        accepted: 4,
        duplicate: 0,
        quarantined: 0,
        rejected: 0,
        conflict: 0,
      },
      balanced: false,
    },
  ],
  pipelines: [
    {
      pipeline: "w@2",
      accepted: 15,
      filtered: 1,
      refused: 2,
      late: 3,
      open: 4,
      closed: 5,
      windows: 6,
      corrections: 7,
      forced: 8,
      alerts: 0,
      suppressed: 0,
      sketchesLost: 0,
      balanced: true,
    },
    {
      pipeline: "chart",
      accepted: 15,
      filtered: 3,
      refused: 0,
      late: 2,
      open: 0,
      closed: 10,
      windows: 0,
      corrections: 0,
      forced: 0,
      alerts: 9,
      suppressed: 10,
      sketchesLost: 0,
      balanced: true,
    },
  ],
  balanced: false,
};

/** The ledger whose view is `twoAndTwo`, by its cells; the source between the two counted nothing. */
function ledgerOf(): Ledger {
  const catalog = new Catalog();
  for (const [id, name] of ["plant", "quiet", "größe"].entries()) {
    catalog.define({ kind: "source", id: sourceId(id), name });
  }
  const ledger = new Ledger(catalog);
  ledger.sources.set([7, 1, 2, 18, 11, 3, 2, 2, 1], 0);
  ledger.sources.set([2 ** 53 - 1, 0, 0, 5, 4, 0, 0, 0, 0], 18);
  ledger.setPipelines([
    { name: "w@2", counts: Float64Array.of(15, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0) },
    { name: "chart", counts: Float64Array.of(15, 3, 0, 2, 0, 10, 0, 0, 0, 9, 10) },
  ]);
  return ledger;
}

/** Name -> bytes, from `# length name` and lines of an offset and hexadecimal; the rest is zeros. */
function readVectors(): ReadonlyMap<string, Buffer> {
  const text = readFileSync(new URL("state-v1.hex", import.meta.url), "utf8");
  const vectors = new Map<string, Buffer>();
  let bytes = Buffer.alloc(0);
  for (const line of text.trimEnd().split("\n")) {
    const [, length, name] = /^# (\d+) (.+)$/.exec(line) ?? [];
    if (name !== undefined) vectors.set(name, (bytes = Buffer.alloc(Number(length))));
    const [, offset, hex] = /^(\d+) ([0-9a-f]+)$/.exec(line) ?? [];
    if (hex !== undefined) Buffer.from(hex, "hex").copy(bytes, Number(offset));
  }
  return vectors;
}

type Saved = { readonly spec: unknown; readonly outputs: readonly string[] };

const vectors = readVectors();
const ledgers = ["ledger", "ledger at the checkpoint", "ledger at the end"];
const chunks = new Map([...vectors].filter(([name]) => !ledgers.includes(name)));
const saved: Saved = JSON.parse(readFileSync(new URL("state-v1.json", import.meta.url), "utf8"));

const hexOf = (bytes: ReadonlyMap<string, Uint8Array>): unknown =>
  Object.fromEntries([...bytes].map(([name, value]) => [name, Buffer.from(value).toString("hex")]));

test("ledger version 1: decodes to the same", () => {
  assert.deepEqual(decodeLedger(vectors.get("ledger")!), twoAndTwo);
});

test("ledger version 1: is still written so", () => {
  assert.deepEqual(Buffer.from(ledgerOf().encode()), vectors.get("ledger"));
});

test("state version 1: a dataflow goes on from it with the same outputs", () => {
  const catalog = new Catalog();
  for (const definition of definitions) catalog.define(definition);
  const dataflow = createDataflow(decodeSpec(JSON.stringify(saved.spec)), catalog);
  assert.ok(loadChunks(dataflow, chunks), "every chunk fits");
  assert.ok(dataflow.ledger.equals(vectors.get("ledger at the checkpoint")!));
  const sink = new RecordingSink();
  applyAll(dataflow, after, sink, rowsAndFrames(before));
  assert.deepEqual(sink.lines, saved.outputs);
  assert.deepEqual(Buffer.from(dataflow.ledger.encode()), vectors.get("ledger at the end"));
});

/** Tables that came later: what they hold of the same frames, by chunk. */
const later: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(new URL("state-complete-v1.json", import.meta.url), "utf8"),
);

test("state version 1: is still written so, with tables that came later", () => {
  const dataflow = createDataflow(emptySpec, new Catalog());
  applyAll(dataflow, before, new RecordingSink());
  const written = chunksOf(dataflow);
  const known = new Map([...written].filter(([name]) => chunks.has(name)));
  assert.deepEqual(hexOf(known), hexOf(chunks));
  const further = new Map([...written].filter(([name]) => !chunks.has(name)));
  const shown = Object.fromEntries(
    [...further].map(([name, bytes]) => [name, Buffer.from(bytes).toString("base64")]),
  );
  assert.deepEqual(shown, later);
  assert.deepEqual(JSON.parse(JSON.stringify(dataflow.spec)), saved.spec);
  const ledger = Buffer.from(dataflow.ledger.encode());
  assert.deepEqual(ledger, vectors.get("ledger at the checkpoint"));
});

/** The position after these frames. */
function rowsAndFrames(frames: readonly Frame[]): number {
  return frames.reduce((sum, { batch }) => sum + batch.rows + 1, 0);
}
