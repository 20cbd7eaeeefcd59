/**
 * What the records of `records-v1.ndjson` are in Kafka, as consumers have learned to read them:
 * messages in `kafka-v1.json`, record batches in `kafka-v1.hex`. A change of key, headers or Avro
 * schema that these do not allow is a new version with vectors of its own; these never change.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Reader, readRecordsBatch } from "@platformatic/kafka";
import avro from "avsc";
import { openAvro } from "../../src/sync/kafka/message/avro.ts";
import { fast } from "../../src/sync/kafka/message/compression.ts";
import { createMessageEncoder, type Message } from "../../src/sync/kafka/message/message.ts";
import { partitionOf } from "../../src/sync/kafka/message/murmur2.ts";
import {
  type Compression,
  encodeRecordBatch,
  noCompression,
} from "../../src/sync/kafka/message/record-batch.ts";

/** A message for people: `value` as text where it is JSON, as hexadecimal where it is Avro. */
type Shown = {
  readonly key: string;
  readonly partitionOf12: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: string;
};

const golden = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");
const outbox = "00112233445566778899aabbccddeeff";
const records = golden("records-v1.ndjson")
  .trimEnd()
  .split("\n")
  .map((line) => Buffer.from(line));

const saved: Readonly<Record<string, readonly Shown[]>> = JSON.parse(golden("kafka-v1.json"));
const json = createMessageEncoder({ agent: "gw1", headers: "cloudevents", format: "json" });

const messages: Readonly<Record<string, readonly Message[]>> = {
  json: records.map((record, i) =>
    json(record, { outbox, lane: i < 2 ? "summaries" : "alerts", seq: 2 ** 40 + i }),
  ),
  // Schemas have grown since: what was written by the first ones is kept as it was.
  avro: (saved["avro"] ?? []).map(messageOf),
};

const batches: readonly {
  readonly name: string;
  readonly of: string;
  readonly compression: Compression;
}[] = [
  { name: "json", of: "json", compression: noCompression },
  { name: "avro", of: "avro", compression: noCompression },
  { name: "json zstd", of: "json", compression: fast.zstd },
  { name: "json gzip", of: "json", compression: fast.gzip },
];

function batchOf({ of, compression }: (typeof batches)[number]): Uint8Array {
  return encodeRecordBatch(messages[of] ?? [], {
    producer: { id: 0x0102030405060708n, epoch: 9 },
    sequence: 0x0a0b0c0d,
    isTransactional: true,
    timeMs: 1_764_000_020_000,
    compression,
  });
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

function shown({ key, partitionKey, headers, value }: Message): Shown {
  return {
    key: text(key),
    partitionOf12: partitionOf(partitionKey, 12),
    headers: Object.fromEntries(headers.map((header) => [text(header.name), text(header.value)])),
    value: value[0] === 0 ? Buffer.from(value).toString("hex") : text(value),
  };
}

/** Name -> bytes, from lines of `# name` and hexadecimal. */
const vectors = new Map(
  golden("kafka-v1.hex")
    .split("# ")
    .slice(1)
    .map((part): [string, Buffer] => {
      const [name = "", ...lines] = part.split("\n");
      return [name, Buffer.from(lines.join(""), "hex")];
    }),
);

function messageOf({ key, headers, value }: Shown): Message {
  return {
    key: Buffer.from(key),
    partitionKey: Buffer.from(key.slice(0, key.lastIndexOf("/"))),
    value: Buffer.from(value, "hex"),
    headers: Object.entries(headers).map(([name, of]) => ({
      name: Buffer.from(name),
      value: Buffer.from(of),
    })),
  };
}

test("version 1, json: messages are still made so", () => {
  assert.deepEqual(messages["json"]?.map(shown), saved["json"]);
});

function typeOf(file: string): avro.Type {
  const schema: avro.Schema = JSON.parse(golden(file));
  return avro.Type.forSchema(schema);
}

test("version 1, avro: what it says is still said, in the fields it had", async () => {
  const encode = await openAvro({ schemaIds: { summary: 1, alert: 0x01020304 } });
  assert.equal(messages["avro"]?.length, records.length);
  for (const [i, record] of records.entries()) {
    const before: Buffer = Buffer.from(messages["avro"]?.[i]?.value ?? []);
    const now: Buffer = Buffer.from(encode(record, "golden"));
    assert.deepEqual(now.subarray(0, before.length), before, "fields were added at the end");
    const kind = i < 2 ? "summary" : "alert";
    const then = typeOf(`weir.${kind}-v1.avsc`);
    const today = typeOf(`../../schema/weir.${kind}.avsc`);
    const [old, grown] = [then.fromBuffer(before.subarray(5)), today.fromBuffer(now.subarray(5))];
    const later = today.fromBuffer(before.subarray(5), today.createResolver(then));
    assert.deepEqual(later, grown, "a reader of today reads what was written then");
    const earlier = then.fromBuffer(now.subarray(5), then.createResolver(today));
    assert.deepEqual(earlier, old, "a reader of then reads what is written today");
  }
});

for (const batch of batches) {
  test(`version 1, batch ${batch.name}: reads as its messages`, () => {
    const read = readRecordsBatch(Reader.from(vectors.get(batch.name)!));
    assert.equal(read.attributes & 7, batch.compression.attribute);
    assert.deepEqual(
      read.records.map(({ key, value, headers }) => [key, value, headers]),
      messages[batch.of]?.map(({ key, value, headers }) => [
        Buffer.from(key),
        Buffer.from(value),
        headers.map((header) => [Buffer.from(header.name), Buffer.from(header.value)]),
      ]),
    );
  });

  // A compressor's output may change with its version; what it decompresses to may not.
  if (batch.compression !== noCompression) continue;
  test(`version 1, batch ${batch.name}: is still written so`, () => {
    assert.equal(
      Buffer.from(batchOf(batch)).toString("hex"),
      vectors.get(batch.name)?.toString("hex"),
    );
  });
}
