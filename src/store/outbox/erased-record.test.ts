import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Alert } from "../../core/record.ts";
import { millis } from "../../core/units.ts";
import { KvMemory } from "../state/kv-memory.ts";
import { erasedRecord } from "./erased-record.ts";
import { appendWrites, readOutbox } from "./outbox.ts";
import { readSpan } from "./queue-span.ts";
import { decodeRecord, encodeAlert } from "./record-codec.ts";
import { idOf } from "./record-id.ts";
import { rewriteLane } from "./rewrite-outbox.ts";

function alertOf(changes: Partial<Alert>): Uint8Array {
  return encodeAlert("gw1", {
    kind: "alert",
    pipeline: "chart",
    key: [["device", "p1"]],
    time: millis(1_000),
    reason: "ewma_high",
    value: 12.75,
    score: 4,
    expected: 3.5,
    limit: 9.25,
    ...changes,
  });
}

const symbol = { reason: "rare_symbol", value: "jam at 12.75" } as const;

test("an erased alert has nothing that was measured, in its id neither, and is nobody else's", async () => {
  const kv = new KvMemory();
  const append = async (records: readonly Uint8Array[]): Promise<void> => {
    await kv.commit(appendWrites("alerts", readSpan(kv, "alerts"), records).writes);
  };
  await append([alertOf({ value: 1.5 }), alertOf({}), alertOf({ time: millis(2_000) })]);
  await append([alertOf(symbol), alertOf({ ...symbol, value: "12.75" })]);
  const before = readOutbox(kv, "alerts", { from: 0, bytesMax: 1e9 }).records;
  const change = (bytes: Uint8Array, number: number): Uint8Array | undefined =>
    erasedRecord(bytes, { number, tells: ({ kind }) => kind === "alert" });
  assert.equal((await rewriteLane(kv, "alerts", change)).records, before.length);
  const { records } = readOutbox(kv, "alerts", { from: 0, bytesMax: 1e9 });
  const ids = records.map((bytes) => decodeRecord(bytes, "an alert").id);
  assert.deepEqual(ids, [
    "gw1/chart/device=p1/1000/ewma_high/erased+0",
    "gw1/chart/device=p1/1000/ewma_high/erased+1",
    "gw1/chart/device=p1/2000/ewma_high/erased+2",
    "gw1/chart/device=p1/1000/rare_symbol/erased+3",
    "gw1/chart/device=p1/1000/rare_symbol/erased+4",
  ]);
  for (const [index, bytes] of records.entries()) {
    assert.doesNotMatch(Buffer.from(bytes).toString(), /12\.75|jam|1\.5|3\.5|9\.25/);
    assert.deepEqual(idOf(bytes), idOf(before[index]!), "they are dropped as before");
  }
  assert.deepEqual(await rewriteLane(kv, "alerts", change), { records: 0, damagedBlocks: 0 });
});

test("a queue whose erased records are longer than they were is as whole as before", async () => {
  const kv = new KvMemory();
  const record = alertOf({ reason: "heavy_symbol", value: "on", score: 1, expected: 0, limit: 1 });
  const { writes } = appendWrites("alerts", readSpan(kv, "alerts"), [record]);
  await kv.commit(writes);
  const before = readSpan(kv, "alerts");
  await rewriteLane(kv, "alerts", (bytes, number) =>
    erasedRecord(bytes, { number, tells: () => true }),
  );
  const { bytesAdded, bytesRemoved, ...rest } = readSpan(kv, "alerts");
  const [kept, ...more] = readOutbox(kv, "alerts", { from: 0, bytesMax: 1e9 }).records;
  assert.ok(kept !== undefined && kept.length > record.length && more.length === 0);
  const entries = kv.range({ from: "outbox/alerts/", to: "outbox/alerts0" });
  const bytes = entries.reduce((sum, { value }) => sum + value.length, 0);
  assert.equal(bytesAdded - bytesRemoved, bytes);
  assert.deepEqual(rest, { next: before.next, first: 0, skipped: 0, holes: [] });
});

test("what is left of the records of the golden file is in another", () => {
  const fileOf = (name: string): string =>
    readFileSync(join(import.meta.dirname, "../../../test/golden", name), "utf8");
  const lines = fileOf("records-v1.ndjson").trimEnd().split("\n");
  const erased = lines.map((line, number) => {
    const bytes = Buffer.from(line);
    return erasedRecord(bytes, { number, tells: () => true }) ?? bytes;
  });
  const text = erased.map((bytes) => `${new TextDecoder().decode(bytes)}\n`).join("");
  assert.equal(text, fileOf("records-erased-v1.ndjson"));
});
