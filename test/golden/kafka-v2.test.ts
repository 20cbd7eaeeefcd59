/**
 * Avro since it tells merged summaries and gaps (`merged`, `gapRecords`, `gapReadings`, `gapStart`), and
 * gaps in JSON: what the records of `records-v1.ndjson`, `records-merged-v1.ndjson` and
 * `records-gap-v1.ndjson` are in Kafka. As with kafka-v1, these never change.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { openAvro } from "../../src/sync/kafka/message/avro.ts";
import { createMessageEncoder } from "../../src/sync/kafka/message/message.ts";

const golden = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");
const linesOf = (name: string): readonly string[] => golden(name).trimEnd().split("\n");

const at = { outbox: "00112233445566778899aabbccddeeff", lane: "summaries", seq: 7 } as const;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

test("version 2, avro: messages are still made so", async () => {
  const format = await openAvro({ schemaIds: { summary: 1, alert: 0x01020304 } });
  const encode = createMessageEncoder({ agent: "gw1", headers: "cloudevents", format });
  const files = ["records-v1.ndjson", "records-merged-v1.ndjson", "records-gap-v1.ndjson"];
  const made = files.flatMap(linesOf).map((line) => {
    const { key, partitionKey, value, headers } = encode(Buffer.from(line), at);
    return {
      key: text(key),
      partitionKey: text(partitionKey),
      headers: Object.fromEntries(headers.map((each) => [text(each.name), text(each.value)])),
      value: Buffer.from(value).toString("hex"),
    };
  });
  assert.deepEqual(made, JSON.parse(golden("kafka-v2.json")));
});
