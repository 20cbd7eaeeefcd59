/** Avro messages of an earlier version: what they said is still said, and readers of both read both. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import avro from "avsc";
import { openAvro } from "../../src/sync/kafka/message/avro.ts";
import { createMessageEncoder } from "../../src/sync/kafka/message/message.ts";

/** A message as its golden file has it. */
export type Shown = {
  readonly key: string;
  readonly partitionKey: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: string;
};

export const golden = (name: string): string =>
  readFileSync(new URL(name, import.meta.url), "utf8");

/** The records of golden files, one a line. */
export const linesOf = (...files: readonly string[]): readonly string[] =>
  files.flatMap((name) => golden(name).trimEnd().split("\n"));

const at = { outbox: "00112233445566778899aabbccddeeff", lane: "summaries", seq: 7 } as const;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

/** What is made of the records today; the value in hex where it is Avro. */
export async function messagesOf(
  lines: readonly string[],
  format: "json" | "avro",
): Promise<readonly Shown[]> {
  const made =
    format === "json" ? format : await openAvro({ schemaIds: { summary: 1, alert: 0x01020304 } });
  const encode = createMessageEncoder({ agent: "gw1", headers: "cloudevents", format: made });
  return lines.map((line) => {
    const { key, partitionKey, value, headers } = encode(Buffer.from(line), at);
    return {
      key: text(key),
      partitionKey: text(partitionKey),
      headers: Object.fromEntries(headers.map((each) => [text(each.name), text(each.value)])),
      value: format === "json" ? text(value) : Buffer.from(value).toString("hex"),
    };
  });
}

/** `schema`: the golden file with what summaries were then. */
export async function checkThen(
  saved: readonly Shown[],
  { lines, schema }: { readonly lines: readonly string[]; readonly schema: string },
): Promise<void> {
  assert.equal(lines.length, saved.length);
  const then = typeOf(schema);
  const today = typeOf("../../schema/weir.summary.avsc");
  for (const [i, message] of (await messagesOf(lines, "avro")).entries()) {
    const { value: hexThen, ...restThen } = saved[i]!;
    const { value: hex, ...rest } = message;
    assert.deepEqual(rest, restThen);
    const [old, now] = [Buffer.from(hexThen, "hex"), Buffer.from(hex, "hex")];
    assert.deepEqual(now.subarray(0, old.length), old, "fields were added at the end");
    if (now.length === old.length) continue;
    const [was, is] = [then.fromBuffer(old.subarray(5)), today.fromBuffer(now.subarray(5))];
    const later = today.fromBuffer(old.subarray(5), today.createResolver(then));
    assert.deepEqual(later, is, "a reader of today reads what was written then");
    const earlier = then.fromBuffer(now.subarray(5), then.createResolver(today));
    assert.deepEqual(earlier, was, "a reader of then reads what is written today");
  }
}

function typeOf(file: string): avro.Type {
  const schema: avro.Schema = JSON.parse(golden(file));
  return avro.Type.forSchema(schema);
}
