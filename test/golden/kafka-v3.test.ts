/**
 * Kafka since it tells completeness markers: the records of `records-complete-v1.ndjson` in JSON, and in
 * Avro, where all summaries have one more field (`completeReadings`). As with kafka-v1, these never
 * change; the schema has grown since.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkThen, golden, linesOf, messagesOf } from "./avro-then.ts";

const saved = JSON.parse(golden("kafka-v3.json"));
const markers = "records-complete-v1.ndjson";

test("version 3, json: messages are still made so", async () => {
  assert.deepEqual(await messagesOf(linesOf(markers), "json"), saved.json);
});

test("version 3, avro: what it says is still said, in the fields it had", async () => {
  const others = ["records-v1.ndjson", "records-merged-v1.ndjson", "records-gap-v1.ndjson"];
  const lines = linesOf(...others, markers);
  await checkThen(saved.avro, { lines, schema: "weir.summary-v3.avsc" });
});
