import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import avro from "avsc";
import { decodeRecord } from "../../../store/outbox/record-codec.ts";
import { openAvro, summarySchema } from "../message/avro.ts";
import { openRecordReader } from "./record-reader.ts";

const golden = (name: string): URL => new URL(`../../../../test/golden/${name}`, import.meta.url);

const records = [
  "records-v1.ndjson",
  "records-gap-v1.ndjson",
  "records-merged-v1.ndjson",
  "records-complete-v1.ndjson",
  "records-sketch-v1.ndjson",
].flatMap((name) => readFileSync(golden(name), "utf8").trimEnd().split("\n"));

test("a record in Avro is the record in JSON, but for fractions of a millisecond", async () => {
  const encode = await openAvro({ schemaIds: { summary: 7, alert: 8 } });
  const read = openRecordReader();
  let compared = 0;
  for (const text of records) {
    const json = Buffer.from(text);
    const expected = decodeRecord(json, "a record");
    const found = await read(encode(json, "a record"), "a value");
    assert.equal(found.id, expected.id);
    assert.equal(found.agent, expected.agent);
    assert.equal(found.record.kind, expected.record.kind);
    if (/"(\w*[tT]ime)":-?\d+\.\d/.test(text)) continue;
    assert.deepEqual(found, expected);
    compared += 1;
  }
  assert.ok(compared > records.length / 2, `${compared} of ${records.length}`);
});

test("what the first schema wrote is read, too", async () => {
  const schema: typeof summarySchema = JSON.parse(
    readFileSync(golden("weir.summary-v1.avsc"), "utf8"),
  );
  const text = records.find(
    (each) => each.includes('"kind":"summary"') && !each.includes("merged"),
  );
  const expected = decodeRecord(Buffer.from(text ?? ""), "a record");
  const encode = await openAvro({ schemaIds: { summary: 1, alert: 2 } });
  // The later fields are null: a byte each at the end, which the first schema does not have.
  const value = encode(Buffer.from(text ?? ""), "a record");
  const fields = avro.Type.forSchema(schema as avro.Schema);
  const old = value.subarray(0, schema.fields.length - summarySchema.fields.length);
  assert.ok(fields.isValid(fields.fromBuffer(Buffer.from(old.subarray(5)))));
  const read = openRecordReader();
  assert.equal((await read(old, "a value")).id, expected.id);
});

test("what is no record is refused by its place", async () => {
  const read = openRecordReader();
  for (const bytes of [[], [0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 9, 9], [0x7b]]) {
    await assert.rejects(read(Uint8Array.from(bytes), "weir.summaries/3 at offset 9"), {
      code: "STORE_FAILED",
      message: /weir.summaries\/3 at offset 9/,
    });
  }
});
