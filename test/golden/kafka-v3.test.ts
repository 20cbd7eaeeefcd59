/**
 * Kafka since it tells completeness markers: the records of `records-complete-v1.ndjson` in JSON, and in
 * Avro, where all summaries have one more field (`completeReadings`). As with kafka-v1, these never change.
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
const saved: unknown = JSON.parse(golden("kafka-v3.json"));
const markers = linesOf("records-complete-v1.ndjson");
const others = ["records-v1.ndjson", "records-merged-v1.ndjson", "records-gap-v1.ndjson"].flatMap(
  linesOf,
);

test("version 3: messages are still made so", async () => {
  const avro = await openAvro({ schemaIds: { summary: 1, alert: 0x01020304 } });
  const made = (lines: readonly string[], format: "json" | typeof avro): unknown => {
    const encode = createMessageEncoder({ agent: "gw1", headers: "cloudevents", format });
    return lines.map((line) => {
      const { key, partitionKey, value, headers } = encode(Buffer.from(line), at);
      return {
        key: text(key),
        partitionKey: text(partitionKey),
        headers: Object.fromEntries(headers.map((each) => [text(each.name), text(each.value)])),
        value: format === "json" ? text(value) : Buffer.from(value).toString("hex"),
      };
    });
  };
  const all = { json: made(markers, "json"), avro: made([...others, ...markers], avro) };
  assert.deepEqual(all, saved);
});
