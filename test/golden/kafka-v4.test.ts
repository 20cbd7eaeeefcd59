/**
 * Kafka since it tells percentiles and sketches: the records of `records-sketch-v1.ndjson` in JSON, and in
 * Avro, where all summaries have five more fields. As with kafka-v1, these never change.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { golden, linesOf, messagesOf } from "./avro-then.ts";

const sketches = "records-sketch-v1.ndjson";
const before = [
  "records-v1.ndjson",
  "records-merged-v1.ndjson",
  "records-gap-v1.ndjson",
  "records-complete-v1.ndjson",
];

test("version 4: messages are still made so", async () => {
  const made = {
    json: await messagesOf(linesOf(sketches), "json"),
    avro: await messagesOf(linesOf(...before, sketches), "avro"),
  };
  assert.deepEqual(made, JSON.parse(golden("kafka-v4.json")));
});
