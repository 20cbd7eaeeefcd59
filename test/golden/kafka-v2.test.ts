/**
 * Avro since it told merged summaries and gaps (`merged`, `gapRecords`, `gapReadings`, `gapStart`), and
 * gaps in JSON: what the records of `records-v1.ndjson`, `records-merged-v1.ndjson` and
 * `records-gap-v1.ndjson` were in Kafka. As with kafka-v1, these never change; the schema has grown since.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import avro from "avsc";
import { openAvro } from "../../src/sync/kafka/message/avro.ts";
import { createMessageEncoder } from "../../src/sync/kafka/message/message.ts";

const golden = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");
const linesOf = (name: string): readonly string[] => golden(name).trimEnd().split("\n");

type Shown = {
  readonly key: string;
  readonly partitionKey: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: string;
};

const saved: readonly Shown[] = JSON.parse(golden("kafka-v2.json"));
const at = { outbox: "00112233445566778899aabbccddeeff", lane: "summaries", seq: 7 } as const;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

function typeOf(file: string): avro.Type {
  const schema: avro.Schema = JSON.parse(golden(file));
  return avro.Type.forSchema(schema);
}

test("version 2, avro: what it says is still said, in the fields it had", async () => {
  const format = await openAvro({ schemaIds: { summary: 1, alert: 0x01020304 } });
  const encode = createMessageEncoder({ agent: "gw1", headers: "cloudevents", format });
  const files = ["records-v1.ndjson", "records-merged-v1.ndjson", "records-gap-v1.ndjson"];
  const lines = files.flatMap(linesOf);
  assert.equal(lines.length, saved.length);
  const then = typeOf("weir.summary-v2.avsc");
  const today = typeOf("../../schema/weir.summary.avsc");
  for (const [i, line] of lines.entries()) {
    const { key, partitionKey, value, headers } = encode(Buffer.from(line), at);
    const before = saved[i]!;
    const made = {
      key: text(key),
      partitionKey: text(partitionKey),
      headers: Object.fromEntries(headers.map((each) => [text(each.name), text(each.value)])),
    };
    const { value: hex, ...rest } = before;
    assert.deepEqual(made, rest);
    const [old, now] = [Buffer.from(hex, "hex"), Buffer.from(value)];
    assert.deepEqual(now.subarray(0, old.length), old, "fields were added at the end");
    if (now.length === old.length) continue;
    const [was, is] = [then.fromBuffer(old.subarray(5)), today.fromBuffer(now.subarray(5))];
    const later = today.fromBuffer(old.subarray(5), today.createResolver(then));
    assert.deepEqual(later, is, "a reader of today reads what was written then");
    const earlier = then.fromBuffer(now.subarray(5), then.createResolver(today));
    assert.deepEqual(earlier, was, "a reader of then reads what is written today");
  }
});
