import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import avro from "avsc";
import fc from "fast-check";
import type { Tags } from "../../../core/frame.ts";
import type { Alert, Summary } from "../../../core/record.ts";
import { millis } from "../../../core/units.ts";
import { encodeAlert, encodeGap, encodeSummary } from "../../../store/outbox/record-codec.ts";
import { alertSchema, openAvro, summarySchema } from "./avro.ts";

const schemaFolder = join(import.meta.dirname, "../../../../schema");
const schemaOf = (kind: string): avro.Schema =>
  JSON.parse(readFileSync(join(schemaFolder, `weir.${kind}.avsc`), "utf8"));

const types = {
  summary: avro.Type.forSchema(schemaOf("summary")),
  alert: avro.Type.forSchema(schemaOf("alert")),
};

const encode = await openAvro({ schemaIds: { summary: 0x01020304, alert: 4_294_967_295 } });

/** The fields, once the five bytes before them are right. */
function decode(kind: "summary" | "alert", record: Uint8Array): Record<string, unknown> {
  const bytes = Buffer.from(encode(record, "test"));
  assert.equal(bytes[0], 0);
  assert.equal(bytes.readUInt32BE(1), kind === "summary" ? 0x01020304 : 4_294_967_295);
  return { ...types[kind].fromBuffer(bytes.subarray(5)) };
}

const summary: Summary = {
  kind: "summary",
  pipeline: "temp",
  key: [["device", "p1"]],
  start: millis(1_764_000_000_000),
  end: millis(1_764_000_010_000),
  revision: 2,
  count: 3,
  fields: { sum: 61.2, min: Number.NEGATIVE_INFINITY, firstTime: millis(1_764_000_000_012.5) },
  arrivalTimed: 1,
};

const alert: Alert = {
  kind: "alert",
  pipeline: "states",
  key: [["device", "p1"]],
  time: millis(-0.5),
  reason: "ewma_low",
  value: Number.NaN,
  score: Number.POSITIVE_INFINITY,
  expected: 0.5,
  limit: -0,
};

test("the schema files are what the code writes by", () => {
  assert.deepEqual(schemaOf("summary"), summarySchema);
  assert.deepEqual(schemaOf("alert"), alertSchema);
});

test("a summary has its fields; those it lacks are null; times are whole milliseconds", () => {
  const ofSketch = { p50: null, p90: null, p95: null, p99: null, quantiles: null };
  const nothing = { sumError: null, mean: null, max: null, variance: null, completeReadings: null };
  assert.deepEqual(decode("summary", encodeSummary("gw/1", summary)), {
    id: "gw%2F1/temp/device=p1/1764000000000/10000/2",
    agent: "gw/1",
    pipeline: "temp",
    key: { device: "p1" },
    start: 1_764_000_000_000,
    end: 1_764_000_010_000,
    resolution: 10_000,
    revision: 2,
    count: 3,
    ...nothing,
    ...ofSketch,
    sum: 61.2,
    min: Number.NEGATIVE_INFINITY,
    first: null,
    firstTime: 1_764_000_000_012,
    last: null,
    lastTime: null,
    arrivalTimed: 1,
    merged: null,
    gapRecords: null,
    gapReadings: null,
  });
});

test("a merged summary says so", () => {
  const { merged, resolution } = decode(
    "summary",
    encodeSummary("gw1", {
      ...summary,
      revision: 0,
      end: millis(summary.start + 60_000),
      merged: 6,
    }),
  );
  assert.deepEqual([merged, resolution], [6, 60_000]);
});

test("a gap is a summary without readings, or an alert of the reason gap", () => {
  const [start, end] = [millis(1_764_000_000_000), millis(1_764_000_060_000.5)];
  const gap = { kind: "gap", pipeline: "temp", last: 7, start, end, records: 6 } as const;
  const ofSummaries = decode(
    "summary",
    encodeGap("gw1", { ...gap, lane: "summaries", readings: 60 }),
  );
  const expected = {
    count: 0,
    revision: 0,
    gapRecords: 6,
    gapReadings: 60,
    merged: null,
    sum: null,
  };
  for (const [name, value] of Object.entries(expected))
    assert.equal(ofSummaries[name], value, name);
  assert.deepEqual([ofSummaries["start"], ofSummaries["end"]], [start, 1_764_000_060_000]);
  assert.equal(ofSummaries["id"], "gw1/temp/gap:7/1764000000000/60000.5/6");
  assert.deepEqual({ ...Object(ofSummaries["key"]) }, {});
  const ofAlerts = decode("alert", encodeGap("gw1", { ...gap, lane: "alerts", readings: 0 }));
  const { time, reason, value, symbol, gapStart, gapRecords } = ofAlerts;
  assert.deepEqual(
    { time, reason, value, symbol, gapStart, gapRecords },
    {
      time: 1_764_000_060_000,
      reason: "gap",
      value: null,
      symbol: null,
      gapStart: start,
      gapRecords: 6,
    },
  );
});

test("an alert has a number as value, what JSON has no number for among them", () => {
  assert.deepEqual(decode("alert", encodeAlert("gw1", alert)), {
    id: "gw1/states/device=p1/-0.5/ewma_low/NaN",
    agent: "gw1",
    pipeline: "states",
    key: { device: "p1" },
    time: -1,
    reason: "ewma_low",
    value: Number.NaN,
    symbol: null,
    score: Number.POSITIVE_INFINITY,
    expected: 0.5,
    limit: -0,
    gapStart: null,
    gapRecords: null,
  });
});

test("an alert about a symbol has its text, even one that looks like a number", () => {
  const about = { ...alert, reason: "rare_symbol", value: "Infinity" } as const;
  const { value, symbol } = decode("alert", encodeAlert("gw1", about));
  assert.deepEqual([value, symbol], [null, "Infinity"]);
});

test("texts of any length and any characters come through", () => {
  // The library that decodes here loses a key named __proto__; the bytes have it.
  const name = fc.string().filter((text) => text !== "__proto__");
  const tags = fc.dictionary(name, fc.string({ unit: "grapheme", maxLength: 3_000 }));
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), tags, (pipeline, drawn) => {
      const key: Tags = Object.entries(drawn);
      const decoded = decode("summary", encodeSummary("gw1", { ...summary, pipeline, key }));
      assert.equal(decoded["pipeline"], pipeline);
      assert.deepEqual({ ...Object(decoded["key"]) }, { ...drawn });
    }),
  );
});

test("a record that is damaged is a fault that names place and field", () => {
  const fault = (json: string, message: RegExp): void =>
    assert.throws(() => encode(Buffer.from(json), "record 7"), { code: "STORE_FAILED", message });
  fault("{", /^record 7 is damaged: it is not valid JSON/);
  fault("null", /^record 7 is damaged: it is not an object/);
  fault('{"kind":"summary","start":0,"end":1}', /^record 7 is damaged: id is not a string/);
  const { length } = '{"v":1,"kind":"summary",';
  const text = new TextDecoder().decode(encodeSummary("gw1", summary));
  fault(`{"kind":"summary",${text.slice(length).replace('"p1"', "1")}`, /its Avro schema/);
});
