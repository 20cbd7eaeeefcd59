/**
 * A consumer that is not ours, in another language, reads what docs/format/kafka.md says: Kafka's own
 * Java client, Jackson for JSON, Apache Avro for `avro-confluent`. It is given the documents' schemas
 * and nothing of our code; what it decodes is compared with the records themselves.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { millis } from "../../src/core/units.ts";
import { encodeAlert, encodeSummary } from "../../src/store/outbox/record-codec.ts";
import { openAvro } from "../../src/sync/kafka/message/avro.ts";
import { connectCluster } from "../../src/sync/kafka/client/client.ts";
import type { Cluster } from "../../src/sync/kafka/cluster.ts";
import { loadCodecs } from "../../src/sync/kafka/client/protocol.ts";
import { fast } from "../../src/sync/kafka/message/compression.ts";
import { createMessageEncoder, type MessageOptions } from "../../src/sync/kafka/message/message.ts";
import { partitionOf } from "../../src/sync/kafka/message/murmur2.ts";
import {
  type Compression,
  encodeRecordBatch,
  noCompression,
} from "../../src/sync/kafka/message/record-batch.ts";
import { startKafka } from "../support/kafka/broker.ts";
import { type DecodedRecord, readDecoded } from "../support/kafka/java-consumer.ts";
import { requireKafka } from "../support/kafka/require-kafka.ts";

type Fields = Readonly<Record<string, unknown>>;

const outbox = "00112233445566778899aabbccddeeff";
const partitions = 3;
const schemaIds = { summary: 17, alert: 0x01020304 };
const schemaFile = (kind: string): string =>
  fileURLToPath(new URL(`../../schema/weir.${kind}.avsc`, import.meta.url));

const golden = ["records-v1", "records-sketch-v1"].flatMap((name) =>
  readFileSync(new URL(`../golden/${name}.ndjson`, import.meta.url), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => Buffer.from(line)),
);

/** What is easily lost on the way: signs, what JSON has no number for, texts of other alphabets. */
const awkward: readonly Uint8Array[] = [
  encodeSummary("gw/ü 1", {
    kind: "summary",
    pipeline: "größe@2",
    key: [["Ort", 'Keller "3"/links\n']],
    start: millis(1_764_000_000_000),
    end: millis(1_764_000_010_000),
    revision: 7,
    count: 3,
    fields: { sum: -0, min: -Infinity, max: Infinity, mean: Number.NaN, variance: 5e-324 },
    arrivalTimed: 3,
  }),
  encodeAlert("gw1", {
    kind: "alert",
    pipeline: "modes",
    key: [["line", "a"]],
    time: millis(1_764_000_000_123.5),
    reason: "rare_symbol",
    value: "Störung ⚡",
    score: 1,
    expected: 0.1,
    limit: 1,
  }),
];

const records = [...golden, ...awkward];

test("a Java consumer decodes JSON and Avro as the format says, in every compression", async (t) => {
  if (!requireKafka(t, ["4", "reader"])) return;
  await using kafka = await startKafka({ version: "4" });
  const { bootstrap } = kafka;
  const avro = await openAvro({ schemaIds });
  for (const topic of ["as-json", "as-avro", "codecs"])
    await kafka.createTopic(topic, { partitions });
  const cluster = await connectCluster({
    bootstrap: [bootstrap],
    clientId: "test",
    requestTimeoutMs: 10_000,
    connectTimeoutMs: 10_000,
  });
  t.after(() => cluster.close());
  await send(cluster, "as-json", { agent: "gw1", headers: "cloudevents", format: "json" });
  await send(cluster, "as-avro", { agent: "gw1", headers: "cloudevents", format: avro });
  const codecs = { none: noCompression, ...fast, ...(await loadCodecs()) };
  for (const compression of Object.values(codecs)) {
    await send(
      cluster,
      "codecs",
      { agent: "gw1", headers: "minimal", format: "json" },
      compression,
    );
  }

  const expected = new Map(
    records.map((record, seq) => [`${outbox}:summaries:${seq}`, parsed(record)]),
  );
  for (const { headers, value, encoding } of await read("as-json", bootstrap)) {
    assert.equal(encoding, "json");
    assert.deepEqual(value, withoutSignOfZero(expected.get(headers["ce_id"]!)!));
  }
  for (const { headers, value, encoding } of await read("as-avro", bootstrap)) {
    assert.equal(encoding, "avro");
    assert.deepEqual(flat(value), asAvro(expected.get(headers["ce_id"]!)!));
    assert.equal(headers["content-type"], "application/avro");
  }
  const compressed = await readDecoded({ bootstrap, topic: "codecs" });
  assert.equal(compressed.length, Object.keys(codecs).length * records.length);
  for (const { headers, value } of compressed) {
    assert.deepEqual(value, withoutSignOfZero(expected.get(headers["ce_id"]!)!));
  }
});

async function send(
  cluster: Cluster,
  topic: string,
  options: MessageOptions,
  compression: Compression = fast.zstd,
): Promise<void> {
  const encode = createMessageEncoder(options);
  const messages = records.map((record, seq) => encode(record, { outbox, lane: "summaries", seq }));
  await cluster.partitionsOf([topic]);
  for (let partition = 0; partition < partitions; partition++) {
    const own = messages.filter(
      ({ partitionKey }) => partitionOf(partitionKey, partitions) === partition,
    );
    if (own.length === 0) continue;
    const bytes = encodeRecordBatch(own, {
      producer: undefined,
      sequence: 0,
      isTransactional: false,
      timeMs: Date.now(),
      compression,
    });
    await cluster.produce([{ topic, partition, bytes }], { transactionalId: undefined });
  }
}

async function read(topic: string, bootstrap: string): Promise<readonly DecodedRecord[]> {
  const schemas = {
    [schemaIds.summary]: schemaFile("summary"),
    [schemaIds.alert]: schemaFile("alert"),
  };
  const decoded = await readDecoded({ bootstrap, topic, schemas });
  assert.equal(decoded.length, records.length, `${topic} has all records`);
  for (const { key, headers } of decoded) {
    const [agent, pipeline, name] = key!.split("/");
    assert.equal(headers["ce_subject"], `${pipeline}/${name}`);
    assert.ok(agent !== undefined && decodeURIComponent(agent) !== "");
    assert.match(headers["ce_type"]!, /^weir\.(summary|alert)\.v1$/);
  }
  return decoded;
}

function parsed(record: Uint8Array): Fields {
  return JSON.parse(Buffer.from(record).toString("utf8")) as Fields;
}

/** Avro's own JSON, its unions taken apart: {"double": 1.5} is 1.5. */
function flat(value: unknown): Fields {
  return Object.fromEntries(
    Object.entries(value as Fields).map(([name, field]) => {
      const isBranch = typeof field === "object" && field !== null && name !== "key";
      return [name, isBranch ? Object.values(field)[0] : field];
    }),
  );
}

const times = ["start", "end", "time", "firstTime", "lastTime"];

/** What docs/format/kafka.md says of a JSON record's fields in Avro. */
function asAvro({ v: _, kind, ...fields }: Fields): Fields {
  const absent =
    kind === "summary"
      ? [...aggregates, "merged", "gapRecords", "gapReadings", "completeReadings"]
      : ["value", "symbol", "gapStart", "gapRecords"];
  const { value, ...rest } = fields;
  const own = kind === "alert" ? { ...rest, [isText(fields) ? "symbol" : "value"]: value } : fields;
  return {
    ...Object.fromEntries(absent.map((name) => [name, null])),
    ...Object.fromEntries(
      Object.entries(own).map(([name, field]) => [name, asAvroField(name, field)]),
    ),
  };
}

/** Bytes are a text of their code points in Avro's own JSON. */
function asAvroField(name: string, field: unknown): unknown {
  if (name === "quantiles") return Buffer.from(String(field), "base64").toString("latin1");
  return times.includes(name) && typeof field === "number" ? Math.floor(field) : field;
}

/** Jackson takes a number without a point for an integer, as the format says of such readers. */
function withoutSignOfZero(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, Object.is(field, -0) ? 0 : field]),
  );
}

function isText({ reason }: Fields): boolean {
  return String(reason).endsWith("_symbol");
}

const aggregates = [
  "sum",
  "sumError",
  "mean",
  "min",
  "max",
  "variance",
  "first",
  "firstTime",
  "last",
  "lastTime",
  "p50",
  "p90",
  "p95",
  "p99",
  "quantiles",
];
