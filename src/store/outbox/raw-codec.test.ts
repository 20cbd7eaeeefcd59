import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { Manifest, Raw } from "../../core/record.ts";
import { millis } from "../../core/units.ts";
import { erasedRecord } from "./erased-record.ts";
import { encodeManifest, encodeRaw, rawOutcomes } from "./raw-codec.ts";
import { decodeRecord, timeOfRecord } from "./record-codec.ts";
import { idOf } from "./record-id.ts";

const raw: Raw = {
  kind: "raw",
  request: "r1",
  part: 0,
  source: "plant",
  series: "temperature{device=p1}",
  times: [1_764_000_000_000, 1_764_000_000_000.5, 1_764_000_002_000].map((time) => millis(time)),
  values: [20.5, Number.NaN, "NaN"],
  arrivalTimed: [2],
};

const manifest: Manifest = {
  kind: "manifest",
  request: "r1",
  select: ["temperature{device=p1}"],
  from: millis(1_764_000_000_000),
  to: millis(1_764_003_600_000),
  outcome: "partial",
  reason: "",
  parts: 1,
  readings: 3,
  digest: "0123456789abcdef0123456789abcdef",
  series: [
    {
      source: "plant",
      series: "temperature{device=p1}",
      readings: 3,
      first: millis(1_764_000_000_000),
      last: millis(1_764_000_002_000),
    },
  ],
  coarser: [{ from: 1_764_000_000_000, to: 1_764_000_600_000, finest: 10_000 }],
  damaged: true,
};

const refused: Manifest = {
  ...manifest,
  request: "r2",
  outcome: "refused",
  reason: "it selects 300 series, more than 256: ask for fewer",
  parts: 0,
  readings: 0,
  digest: "0".repeat(32),
  series: [],
  coarser: [],
  damaged: false,
};

test("the golden file has these records, byte for byte, and an erased one", () => {
  const path = join(import.meta.dirname, "../../../test/golden/records-raw-v1.ndjson");
  const bytes = encodeRaw("gw1", raw);
  const erased = erasedRecord(bytes, { number: 0, tells: () => true });
  assert.ok(erased !== undefined);
  assert.equal(erasedRecord(erased, { number: 0, tells: () => true }), undefined);
  const records = [bytes, encodeManifest("gw1", manifest), encodeManifest("gw1", refused), erased];
  const text = records.map((record) => `${new TextDecoder().decode(record)}\n`).join("");
  assert.equal(text, readFileSync(path, "utf8"));
});

test("what is written reads back as the same", () => {
  const time = fc.double({ noNaN: true, min: 0, max: 4e12 });
  const value = fc.oneof(fc.double(), fc.string({ unit: "grapheme" }), fc.constant("Infinity"));
  const rows = fc.array(fc.tuple(time, value), { minLength: 1 });
  const name = fc.stringMatching(/^[\w.-]{1,64}$/);
  fc.assert(
    fc.property(rows, name, fc.nat(), (pairs, request, part) => {
      const times = pairs.map(([each]) => millis(each));
      const values = pairs.map(([, each]) => each);
      const written: Raw = { ...raw, request, part, times, values };
      const bytes = encodeRaw("gw/1", written);
      assert.deepEqual(decodeRecord(bytes, "a record").record, written);
      assert.equal(timeOfRecord(bytes), times.at(-1));
      assert.deepEqual(idOf(bytes), { kind: "raw", name: `gw%2F1/raw/${request}` });
    }),
  );
  for (const outcome of rawOutcomes) {
    const written: Manifest = { ...manifest, outcome };
    const bytes = encodeManifest("gw1", written);
    assert.deepEqual(decodeRecord(bytes, "a record").record, written);
  }
});

test("a damaged one is a fault that names what is wrong", () => {
  const text = new TextDecoder().decode(encodeRaw("gw1", raw));
  const faultOf = (changed: string, message: RegExp): void =>
    assert.throws(() => decodeRecord(Buffer.from(changed), "a record"), {
      code: "STORE_FAILED",
      message,
    });
  faultOf(text.replace('"values":[20.5,', '"values":['), /other values than times/);
  faultOf(text.replace('"readings":3', '"readings":4'), /readings is another count/);
  faultOf(text.replace('"values":[20.5,', '"values":[true,'), /value 0 is neither/);
});
