import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Alert, Summary } from "../../../core/record.ts";
import { millis } from "../../../core/units.ts";
import { decodeRecord, encodeAlert, encodeSummary } from "../../../store/outbox/record-codec.ts";
import { createMessageEncoder, type Message, type OutboxPlace } from "./message.ts";

const at: OutboxPlace = { outbox: "00112233445566778899aabbccddeeff", lane: "summaries", seq: 42 };
const encode = createMessageEncoder({ agent: "gw1", headers: "cloudevents", format: "json" });

const summary: Summary = {
  kind: "summary",
  pipeline: "temp",
  key: [
    ["device", "p1"],
    ["line", "halle/ä 1"],
  ],
  start: millis(1_764_000_000_000),
  end: millis(1_764_000_010_000),
  revision: 0,
  count: 3,
  fields: { sum: 61.2 },
  arrivalTimed: 0,
};

const alert: Alert = {
  kind: "alert",
  pipeline: "states",
  key: [["device", "p1"]],
  time: millis(1_764_000_003_000.5),
  reason: "rare_symbol",
  value: 'jam/"left"',
  score: 1,
  expected: 2,
  limit: 3,
};

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
const headersOf = ({ headers }: Message): Record<string, string> =>
  Object.fromEntries(headers.map(({ name, value }) => [textOf(name), textOf(value)]));

test("a summary is keyed by its window, and partitioned by what the window is of", () => {
  const record = encodeSummary("gw1", summary);
  const message = encode(record, at);
  assert.equal(
    textOf(message.key),
    "gw1/temp/device=p1,line=%22halle%2F%C3%A4%201%22/1764000000000",
  );
  assert.equal(textOf(message.partitionKey), "gw1/temp/device=p1,line=%22halle%2F%C3%A4%201%22");
  assert.equal(message.value, record, "the value is the record itself, not a copy");
});

test("a summary has the headers of a CloudEvent", () => {
  assert.deepEqual(headersOf(encode(encodeSummary("gw1", summary), at)), {
    ce_specversion: "1.0",
    ce_id: "00112233445566778899aabbccddeeff:summaries:42",
    ce_source: "/weir/gw1",
    ce_type: "weir.summary.v1",
    ce_subject: "temp/device=p1,line=%22halle%2F%C3%A4%201%22",
    ce_time: "2025-11-24T16:00:10.000Z",
    "content-type": "application/json",
  });
});

test("an alert is keyed by the time of its reading, whatever its value is", () => {
  const message = encode(encodeAlert("gw1", alert), { ...at, lane: "alerts" });
  assert.equal(textOf(message.key), "gw1/states/device=p1/1764000003000.5");
  assert.equal(textOf(message.partitionKey), "gw1/states/device=p1");
  const headers = headersOf(message);
  assert.equal(headers["ce_type"], "weir.alert.v1");
  assert.equal(headers["ce_subject"], "states/device=p1");
  assert.equal(headers["ce_time"], "2025-11-24T16:00:03.000Z");
  assert.equal(headers["ce_id"], "00112233445566778899aabbccddeeff:alerts:42");
});

test("minimal headers are the id alone, and where the outbox parted from another", () => {
  const minimal = createMessageEncoder({ agent: "gw1", headers: "minimal", format: "json" });
  const record = encodeSummary("gw1", summary);
  const id = "00112233445566778899aabbccddeeff:summaries:42";
  assert.deepEqual(headersOf(minimal(record, at)), { ce_id: id });
  const forked = { ...at, forkedFrom: "ffee:41" };
  assert.deepEqual(headersOf(minimal(record, forked)), {
    ce_id: id,
    "weir-forked-from": "ffee:41",
  });
  assert.equal(headersOf(encode(record, forked))["weir-forked-from"], "ffee:41");
});

test("an agent's name cannot leave its place in the source", () => {
  const odd = createMessageEncoder({ agent: "hall ä/1@b", headers: "cloudevents", format: "json" });
  const headers = headersOf(odd(encodeSummary("hall ä/1@b", summary), at));
  assert.equal(headers["ce_source"], "/weir/hall%20%C3%A4%2F1@b");
});

test("a value in another format is what its encoder makes of the record", () => {
  const avro = createMessageEncoder({
    agent: "gw1",
    headers: "cloudevents",
    format: (record, place) => Buffer.from(`${record.length} ${place}`),
  });
  const record = encodeSummary("gw1", summary);
  const message = avro(record, at);
  assert.equal(
    textOf(message.value),
    `${record.length} record 42 of summaries in outbox 00112233445566778899aabbccddeeff`,
  );
  assert.equal(headersOf(message)["content-type"], "application/avro");
});

test("a time that RFC 3339 cannot write has no header, and the next one has its own", () => {
  const far = { ...summary, start: millis(8.5e15), end: millis(8.5e15 + 10_000) };
  assert.equal(headersOf(encode(encodeSummary("gw1", far), at))["ce_time"], undefined);
  const headers = headersOf(encode(encodeSummary("gw1", summary), at));
  assert.equal(headers["ce_time"], "2025-11-24T16:00:10.000Z");
});

const name = fc.oneof(fc.stringMatching(/^[a-z0-9_]{1,8}$/), fc.string({ unit: "grapheme" }));
const time = fc.oneof(
  fc.integer({ min: -(10 ** 12), max: 4 * 10 ** 12 }),
  fc.integer({ min: 0, max: 2 ** 44 }).map((quarters) => quarters / 4),
);

test("key, subject and time are those of the decoded record, whatever its names are", () => {
  const drawn = fc.record({
    agent: name,
    pipeline: name,
    tag: name,
    start: time,
    length: fc.nat(),
  });
  fc.assert(
    fc.property(drawn, fc.nat(9), ({ agent, pipeline, tag, start, length }, revision) => {
      const record = encodeSummary(agent, {
        ...summary,
        pipeline,
        key: [[tag, tag]],
        start: millis(start),
        end: millis(start + length),
        revision,
      });
      const message = encode(record, at);
      const parts = decodeRecord(record, "test").id.split("/");
      assert.equal(textOf(message.key), parts.slice(0, 4).join("/"));
      assert.equal(textOf(message.partitionKey), parts.slice(0, 3).join("/"));
      const headers = headersOf(message);
      assert.equal(headers["ce_subject"], parts.slice(1, 3).join("/"));
      const end = new Date(Math.floor(start + length)).toISOString();
      assert.equal(headers["ce_time"], /^\d{4}-/.test(end) ? end : undefined);
    }),
  );
});

test("revisions of one window have one key", () => {
  const keyOf = (revision: number): string =>
    textOf(encode(encodeSummary("gw1", { ...summary, revision }), at).key);
  assert.equal(keyOf(0), keyOf(17));
});

test("bytes that are no record yield a fault that names place and field", () => {
  const fault = (json: string, field: RegExp): void =>
    assert.throws(() => encode(Buffer.from(json), at), {
      code: "STORE_FAILED",
      message: field,
    });
  fault("", /^record 42 of summaries in outbox 0011.* is damaged: v is not 1/);
  fault('{"v":2,"kind":"summary","id":"a/b/c/1/2/3"', /: v is not 1/);
  fault('{"v":1,"kind":"rumour","id":"a/b/c/1/2/3"', /: kind is none of/);
  fault('{"v":1,"kind":"alert","agent":"a","id":"a/b/c/1/2/3"', /: id does not follow/);
  fault('{"v":1,"kind":"summary","id":"a/b/c/1/2"', /: id does not have the form of kind summary/);
  fault('{"v":1,"kind":"summary","id":"a/b/c/1/2/3', /: id does not/);
  fault('{"v":1,"kind":"summary","id":"a/b/c/1/2/3/4"', /: id does not/);
  fault('{"v":1,"kind":"summary","id":"a","agent":"b/c/1/2/3"', /: id does not/);
  fault('{"v":1,"kind":"summary","id":"a/b/c/one/2/3"', /: id does not/);
  fault('{"v":1,"kind":"alert","id":"a/b/c//ewma_high/3"', /: id does not/);
  fault('{"v":1,"kind":"alert","id":"a/b/c/1"', /: id does not have the form of kind alert/);
});
