import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createBatch, KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL } from "../core/batch.ts";
import { Catalog } from "../core/catalog.ts";
import type { Frame } from "../core/frame.ts";
import { position, sourceId } from "../core/units.ts";
import { acceptRows, createAcceptedRows } from "./accept.ts";
import { createDataflow } from "./dataflow.ts";
import { DuplicateRing } from "./duplicates.ts";
import { Ledger } from "./ledger.ts";
import { Origins } from "./origins.ts";
import {
  applyAll,
  definitionsOf,
  frameOf,
  type Reading,
  RecordingSink,
  specOf,
} from "../../test/support/dataflow.ts";
import { DeviceWatermarks } from "./watermarks.ts";

/** Readings of the only source after all frames. */
function readingsOf(frames: readonly Frame[], ring = 8, futureMs = 1_000) {
  const spec = { ...specOf([], { futureMs }), duplicateRing: ring };
  const dataflow = createDataflow(spec, new Catalog());
  applyAll(
    dataflow,
    [frameOf(0, [], { definitions: definitionsOf(2, 2) }), ...frames],
    new RecordingSink(),
  );
  const view = dataflow.ledger.view();
  assert.ok(view.balanced);
  return view.sources[0]!.readings;
}

const one = (reading: Partial<Reading>): Reading => ({ series: 0, time: 0, value: 1, ...reading });

test("the same series, time and value again is a duplicate", () => {
  const { accepted, duplicate, conflict } = readingsOf([
    frameOf(0, [one({}), one({ time: 5 }), one({}), one({ series: 1 })]),
  ]);
  assert.deepEqual([accepted, duplicate, conflict], [3, 1, 0]);
});

test("another value at the same time is kept and counted as a conflict", () => {
  const { accepted, duplicate, conflict } = readingsOf([
    frameOf(0, [one({}), one({ value: 2 }), one({ value: 2 }), one({ value: Number.NaN })]),
  ]);
  assert.deepEqual([accepted, duplicate, conflict], [3, 1, 2]);
});

test("a symbol is not the number of its id", () => {
  const { accepted } = readingsOf([frameOf(0, [one({}), one({ kind: KIND_SYMBOL })])]);
  assert.equal(accepted, 2);
});

test("with a sequence, the same sequence at another time is a new reading: the device restarted", () => {
  const { accepted, duplicate } = readingsOf([
    frameOf(0, [
      one({ time: 10, sequence: 0 }),
      one({ time: 20, sequence: 1 }),
      one({ time: 30, sequence: 0 }),
      one({ time: 20, sequence: 1 }),
      one({ time: 20, sequence: 2 }),
    ]),
  ]);
  assert.deepEqual([accepted, duplicate], [4, 1]);
});

test("without device time the sequence recognises a resent reading, and nothing else does", () => {
  const arrival = KIND_ARRIVAL_TIME;
  const { accepted, duplicate } = readingsOf([
    frameOf(0, [
      one({ time: 10, kind: arrival }),
      one({ time: 10, kind: arrival }),
      one({ time: 10, sequence: 7, kind: arrival | KIND_SEQUENCE }),
      one({ time: 90, sequence: 7, kind: arrival | KIND_SEQUENCE }),
    ]),
  ]);
  assert.deepEqual([accepted, duplicate], [3, 1]);
});

test("a reading from the future is quarantined unless the clock is untrusted", () => {
  const readings = [one({ time: 1_001 }), one({ time: 1_000 })];
  assert.equal(readingsOf([frameOf(0, readings)]).quarantined, 1);
  assert.equal(readingsOf([frameOf(0, readings, { clockTrusted: false })]).quarantined, 0);
});

test("counts of messages reach the ledger, refused readings among the decoded ones", () => {
  const counts = [{ source: sourceId(0), decoded: 3, deadLettered: 2, shed: 1, rejected: 4 }];
  const { decoded, rejected } = readingsOf([frameOf(0, [one({})], { counts })]);
  assert.deepEqual([decoded, rejected], [5, 4]);
});

/** A ring by definition: the last readings of each series in a list. */
function tellVerdicts(readings: readonly Reading[], size: number): number {
  const rings = new Map<number, Reading[]>();
  let duplicates = 0;
  for (const reading of readings) {
    const ring = rings.get(reading.series) ?? [];
    rings.set(reading.series, ring);
    const isKnown = ring.some(
      (before) =>
        before.time === reading.time &&
        before.value === reading.value &&
        before.sequence === reading.sequence,
    );
    if (isKnown) duplicates += 1;
    else ring.push(reading);
    if (ring.length > size) ring.shift();
  }
  return duplicates;
}

test("the ring says what a list of the last readings says", () => {
  const arb = fc.array(
    fc.record({
      series: fc.nat(1),
      time: fc.integer({ min: -6, max: 6 }),
      value: fc.nat(1),
      sequence: fc.constantFrom(undefined, 0, 1),
    }),
    { minLength: 1, maxLength: 80 },
  );
  fc.assert(
    fc.property(arb, fc.integer({ min: 1, max: 9 }), (rows, size) => {
      // One series sends sequences, the other does not.
      const readings = rows.map(({ series, time, value, sequence }) =>
        series === 0 ? { series, time, value } : { series, time, value, sequence: sequence ?? 2 },
      );
      const { duplicate } = readingsOf([frameOf(0, readings)], size);
      assert.equal(duplicate, tellVerdicts(readings, size));
    }),
  );
});

test("a ring of another size keeps the newest readings of the old one", () => {
  const before = new DuplicateRing({ seriesMax: 4, size: 3 });
  const { batch } = frameOf(
    0,
    [1, 2, 3, 4].map((time) => one({ series: 1, time })),
  );
  for (let row = 0; row < 4; row++) before.take(batch, row);
  const after = new DuplicateRing({ seriesMax: 4, size: 2 });
  after.adopt(before);
  assert.deepEqual(
    [3, 2, 1].map((row) => after.take(batch, row)),
    [1, 1, 0],
  );
});

test("a device's watermark is its newest time less the disorder, and never goes back", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(1), fc.integer({ min: -99, max: 99 })), { maxLength: 40 }),
      (rows) => {
        const catalog = new Catalog();
        for (const definition of definitionsOf(2, 1)) catalog.define(definition);
        const { sources } = specOf([], { disorderMs: 10 });
        const origins = new Origins(catalog, { sources, seriesMax: 4, devicesMax: 4 });
        const stage = {
          origins,
          ring: new DuplicateRing({ seriesMax: 4, size: 1 }),
          watermarks: new DeviceWatermarks(origins, 4),
          ledger: new Ledger(catalog),
          steady: 0,
        };
        const accepted = createAcceptedRows(createBatch(1), 64);
        const readings = rows.map(([series, time], value) => ({ series, time, value }));
        acceptRows(accepted, frameOf(0, readings), position(0), stage);
        assert.equal(accepted.acceptedCount, rows.length);
        const newest = [-Infinity, -Infinity];
        for (const [row, [device, time]] of rows.entries()) {
          newest[device] = Math.max(newest[device]!, time);
          assert.equal(accepted.watermark[row], newest[device]! - 10);
          assert.equal(accepted.device[row], device);
        }
      },
    ),
  );
});
