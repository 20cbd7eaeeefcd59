/**
 * Avro since it told merged summaries and gaps (`merged`, `gapRecords`, `gapReadings`, `gapStart`), and
 * gaps in JSON: what the records of `records-v1.ndjson`, `records-merged-v1.ndjson` and
 * `records-gap-v1.ndjson` were in Kafka. As with kafka-v1, these never change; the schema has grown since.
 */

import { test } from "node:test";
import { checkThen, golden, linesOf } from "./avro-then.ts";

test("version 2, avro: what it says is still said, in the fields it had", async () => {
  const lines = linesOf("records-v1.ndjson", "records-merged-v1.ndjson", "records-gap-v1.ndjson");
  const saved = JSON.parse(golden("kafka-v2.json"));
  await checkThen(saved, { lines, schema: "weir.summary-v2.avsc" });
});
