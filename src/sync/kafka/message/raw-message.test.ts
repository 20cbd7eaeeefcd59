import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createMessageEncoder } from "./message.ts";

const golden = join(import.meta.dirname, "../../../../test/golden/records-raw-v1.ndjson");
const records = readFileSync(golden, "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => Buffer.from(line));
const at = { outbox: "0".repeat(32), lane: "raw", seq: 7 } as const;

test("an answer has one partition, a key for each part and one for the manifest, and is JSON always", () => {
  const format = (): Uint8Array => assert.fail("no Avro is made of it");
  const encode = createMessageEncoder({ agent: "gw1", headers: "cloudevents", format });
  const messages = records.slice(0, 3).map((record) => encode(record, at));
  const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
  assert.deepEqual(
    messages.map(({ key, partitionKey }) => [textOf(key), textOf(partitionKey)]),
    [
      ["gw1/raw/r1/0", "gw1/raw/r1"],
      ["gw1/raw/r1/manifest", "gw1/raw/r1"],
      ["gw1/raw/r2/manifest", "gw1/raw/r2"],
    ],
  );
  for (const [index, { value }] of messages.entries()) assert.deepEqual(value, records[index]);
  const headersOf = messages.map(({ headers }) =>
    Object.fromEntries(headers.map(({ name, value }) => [textOf(name), textOf(value)])),
  );
  assert.deepEqual(headersOf[0], {
    ce_specversion: "1.0",
    ce_source: "/weir/gw1",
    "content-type": "application/json",
    ce_type: "weir.raw.v1",
    ce_id: `${"0".repeat(32)}:raw:7`,
    ce_subject: "raw/r1",
    ce_time: "2025-11-24T16:00:02.000Z",
  });
  assert.equal(headersOf[1]?.["ce_type"], "weir.manifest.v1");
  assert.equal(headersOf[1]?.["ce_time"], "2025-11-24T17:00:00.000Z");
});
