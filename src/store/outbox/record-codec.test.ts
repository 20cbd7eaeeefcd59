import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { Tags } from "../../core/frame.ts";
import type { Alert, Complete, Gap, Summary, SummaryFields } from "../../core/record.ts";
import { decodeKll } from "../../edge-ops/sketch/kll-format.ts";
import { Kll } from "../../edge-ops/sketch/kll.ts";
import { millis } from "../../core/units.ts";
import {
  decodeRecord,
  encodeAlert,
  encodeComplete,
  encodeGap,
  encodeSummary,
  timeOfRecord,
} from "./record-codec.ts";
import { idOf } from "./record-id.ts";

const goldenFolder = join(import.meta.dirname, "../../../test/golden");
const golden = readFileSync(join(goldenFolder, "records-v1.ndjson"), "utf8");

const key: Tags = [
  ["device", "p1"],
  ["line", "halle/ä 1"],
];

const summary: Summary = {
  kind: "summary",
  pipeline: "temperature",
  key,
  start: millis(1_764_000_000_000),
  end: millis(1_764_000_010_000),
  revision: 0,
  count: 3,
  fields: {
    sum: 61.2,
    sumError: -7.105427357601002e-15,
    mean: 20.4,
    min: -0,
    max: 1e21,
    variance: 0.02666666666666656,
    first: 20.2,
    firstTime: millis(1_764_000_000_012.5),
    last: 20.6,
    lastTime: millis(1_764_000_009_012),
  },
  arrivalTimed: 1,
};

const withdrawn: Summary = {
  ...summary,
  pipeline: "visits@2",
  key: [],
  revision: 1,
  count: 0,
  fields: {},
  arrivalTimed: 0,
};

const high: Alert = {
  kind: "alert",
  pipeline: "control",
  key: [...key, ["metric", "vibration"]],
  time: millis(1_764_000_003_000),
  reason: "ewma_high",
  value: Number.POSITIVE_INFINITY,
  score: Number.NaN,
  expected: 0.5,
  limit: 0.75,
};

const rare: Alert = {
  ...high,
  pipeline: "states",
  reason: "rare_symbol",
  value: 'jam/"left"',
  score: 1,
};

test("the bytes of version 1 are those of the golden file", () => {
  const records = [
    encodeSummary("gw1", summary),
    encodeSummary("gw/2", withdrawn),
    encodeAlert("gw1", high),
    encodeAlert("gw1", rare),
  ];
  assert.equal(records.map((record) => `${new TextDecoder().decode(record)}\n`).join(""), golden);
});

test("a merged summary says how many windows it stands for", () => {
  const merged = { ...summary, revision: 0, end: millis(summary.start + 60_000), merged: 6 };
  const bytes = encodeSummary("gw1", merged);
  const file = readFileSync(join(goldenFolder, "records-merged-v1.ndjson"), "utf8");
  assert.equal(`${new TextDecoder().decode(bytes)}\n`, file);
  const sorted = key.toSorted(([a], [b]) => (a < b ? -1 : 1));
  assert.deepEqual(decodeRecord(bytes, "golden").record, { ...merged, key: sorted });
});

test("a gap says what it stands for", () => {
  const gap: Gap = {
    kind: "gap",
    pipeline: "temperature",
    lane: "summaries",
    last: 41,
    start: millis(1_764_000_000_000),
    end: millis(1_764_000_060_000),
    records: 12,
    readings: 120,
  };
  const alerts: Gap = { ...gap, pipeline: "a/b", lane: "alerts", start: millis(-0.5), readings: 0 };
  const file = readFileSync(join(goldenFolder, "records-gap-v1.ndjson"), "utf8");
  const records = [encodeGap("gw1", gap), encodeGap("gw/2", alerts)];
  assert.equal(records.map((record) => `${new TextDecoder().decode(record)}\n`).join(""), file);
  const [first, second] = records.map((bytes) => decodeRecord(bytes, "golden"));
  assert.deepEqual([first?.record, second?.record], [gap, alerts]);
  assert.equal(second?.agent, "gw/2");
  assert.deepEqual(records.map(timeOfRecord), [gap.end, gap.end]);
});

test("a completeness marker says through when, and how many readings that are", () => {
  const marker: Complete = {
    kind: "complete",
    pipeline: "visits@2",
    key: [],
    from: millis(1_763_999_990_000),
    through: millis(1_764_007_200_500.5),
    readings: 0,
  };
  const lines = readFileSync(join(goldenFolder, "records-complete-v1.ndjson"), "utf8")
    .trimEnd()
    .split("\n");
  const records = lines.map((line) => decodeRecord(new TextEncoder().encode(line), "golden"));
  assert.deepEqual(records[1]?.record, marker);
  const again = records.map(({ agent, record }) => {
    assert.ok(record.kind === "complete");
    return new TextDecoder().decode(encodeComplete(agent, record));
  });
  assert.deepEqual(again, lines);
  assert.deepEqual(
    lines.map((line) => timeOfRecord(new TextEncoder().encode(line))),
    [1_764_003_600_000, 1_764_007_200_500.5],
  );
  assert.deepEqual(idOf(new TextEncoder().encode(lines[1])), {
    kind: "complete",
    name: "gw1/visits@2/",
    through: 1_764_007_200_500.5,
  });
});

test("a sketch is base64, its percentiles are numbers beside it", () => {
  const lines = readFileSync(join(goldenFolder, "records-sketch-v1.ndjson"), "utf8")
    .trimEnd()
    .split("\n");
  const records = lines.map((line) => decodeRecord(new TextEncoder().encode(line), "golden"));
  const again = records.map(({ agent, record }) => {
    assert.ok(record.kind === "summary" && record.fields.quantiles !== undefined);
    const sketch = new Kll();
    assert.ok(decodeKll(record.fields.quantiles, sketch));
    assert.equal(sketch.count, record.count);
    const values = new Float64Array(4);
    sketch.percentiles([50, 90, 95, 99], values);
    const { p50, p90, p95, p99 } = record.fields;
    assert.deepEqual([...values], [p50, p90, p95, p99]);
    return new TextDecoder().decode(encodeSummary(agent, record));
  });
  assert.deepEqual(again, lines);
  const broken = lines[1]!.replace("BQEP", "BQ*P");
  assert.throws(() => decodeRecord(new TextEncoder().encode(broken), "file 3"), {
    code: "STORE_FAILED",
    message: /file 3 is damaged: quantiles is not base64/,
  });
});

test("what the golden file says is what was meant", () => {
  const lines = golden.trimEnd().split("\n");
  const records = lines.map((line) => decodeRecord(new TextEncoder().encode(line), "golden"));
  assert.deepEqual(
    records.map(({ agent }) => agent),
    ["gw1", "gw/2", "gw1", "gw1"],
  );
  const sorted = key.toSorted(([a], [b]) => (a < b ? -1 : 1));
  assert.deepEqual(records[0]?.record, { ...summary, key: sorted });
  assert.deepEqual(records[1]?.record, withdrawn);
  assert.deepEqual(records[2]?.record, high);
  assert.deepEqual(records[3]?.record, rare);
});

const names = fc.oneof(fc.stringMatching(/^[a-z0-9_]{1,8}$/), fc.string({ minLength: 1 }));
const time = fc.integer({ min: 0, max: 4e12 }).map(millis);
const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const tags = fc
  .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z0-9_]{1,8}$/), fc.string()), {
    selector: ([name]) => name,
  })
  .map((pairs): Tags => pairs.toSorted(([a], [b]) => (a < b ? -1 : 1)));

function optional<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

const summaries = fc
  .record({
    pipeline: names,
    key: tags,
    start: time,
    length: fc.integer({ min: 1, max: 1e9 }),
    revision: fc.nat(),
    count: fc.nat(),
    arrivalTimed: fc.nat(),
    values: fc.record({ sum: optional(number), p95: optional(number), first: optional(number) }),
    quantiles: optional(fc.uint8Array()),
    firstTime: optional(time),
  })
  .map(({ start, length, values, firstTime, quantiles, ...rest }): Summary => {
    const fields: SummaryFields = {
      ...(values.sum === undefined ? {} : { sum: values.sum }),
      ...(values.p95 === undefined ? {} : { p95: values.p95 }),
      ...(quantiles === undefined ? {} : { quantiles }),
      ...(values.first === undefined ? {} : { first: values.first }),
      ...(firstTime === undefined ? {} : { firstTime }),
    };
    return { kind: "summary", ...rest, start, end: millis(start + length), fields };
  });

test("a summary reads back to the last bit", () => {
  fc.assert(
    fc.property(fc.string(), summaries, (agent, drawn) => {
      const decoded = decodeRecord(encodeSummary(agent, drawn), "test");
      assert.deepEqual(decoded.record, drawn);
      assert.equal(decoded.agent, agent);
    }),
  );
});

test("two summaries have one id only if they have one identity", () => {
  const identity = ({ pipeline, key: of, start, end, revision }: Summary): string =>
    JSON.stringify([pipeline.toWellFormed(), of, start, end - start, revision]);
  const idOf = (drawn: Summary): string => decodeRecord(encodeSummary("gw", drawn), "test").id;
  fc.assert(
    fc.property(summaries, summaries, names, (one, other, pipeline) => {
      for (const changed of [other, { ...one, pipeline }, { ...one, key: other.key }]) {
        assert.equal(idOf(one) === idOf(changed), identity(one) === identity(changed));
      }
      assert.match(idOf(one), /^[!-~]+$/);
      assert.equal(idOf(one).split("/").length, 6);
    }),
  );
});

test("a key that is used by two pipelines keeps their ids apart", () => {
  const idOf = (agent: string, pipeline: string): string =>
    decodeRecord(encodeSummary(agent, { ...summary, pipeline }), "test").id;
  const ids = [idOf("gw1", "a"), idOf("gw1", "b"), idOf("gw2", "b"), idOf("gw1", "a")];
  assert.deepEqual(
    ids.map((id) => id.split("/").slice(0, 2).join(" ")),
    ["gw1 a", "gw1 b", "gw2 b", "gw1 a"],
  );
});

test("bytes that are no record yield a fault that names place and field", () => {
  const decode = (json: string) => () => decodeRecord(new TextEncoder().encode(json), "file 3");
  assert.throws(decode("{"), { code: "STORE_FAILED", message: /file 3.*not valid JSON; restore/ });
  assert.throws(decode('{"v":2}'), { message: /later version/ });
  assert.throws(decode('{"v":1,"kind":"rumour"}'), { message: /kind is rumour/ });
  assert.throws(decode('{"v":1,"kind":"alert","id":"a","agent":"a"}'), { message: /reason/ });
});
