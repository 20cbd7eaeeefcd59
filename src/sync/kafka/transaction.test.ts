import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../core/faults.ts";
import { digestAfter, emptyDigest } from "./cursor.ts";
import type { LaneState } from "./lane-state.ts";
import type { MessageEncoder } from "./message/message.ts";
import type { Delivery } from "../uplink.ts";
import { createTransaction, type Transaction, type TransactionOptions } from "./transaction.ts";

const state: LaneState = {
  agent: "gw1",
  cluster: "c1",
  mark: { outbox: "a".repeat(32), seq: 10, digest: emptyDigest },
  number: 110,
  there: undefined,
  boots: [],
  before: [],
  forkedFrom: "",
  intent: undefined,
  place: undefined,
  incidents: { count: 0, last: undefined },
};

/** The value is the record; its first letter decides the partition; ! cannot be encoded. */
const encode: MessageEncoder = (value, { seq }) => {
  if (value[0] === "!".charCodeAt(0)) throw new Fault("STORE_FAILED", "it is damaged");
  const key = value.subarray(0, 1);
  const name = Buffer.from("ce_id");
  return { key, partitionKey: key, value, headers: [{ name, value: Buffer.from(String(seq)) }] };
};

function transactionOf(
  texts: readonly string[],
  {
    first = 110,
    lost = [],
    ...more
  }: Partial<TransactionOptions> & Partial<Pick<Delivery, "first" | "lost">> = {},
): Transaction {
  const records = texts.map((text) => Buffer.from(text));
  return createTransaction(
    { lost, first, records },
    {
      lane: "alerts",
      state,
      boot: "boot",
      encode,
      partitions: 1,
      bytesMax: 1_000,
      messageBytesMax: 500,
      refused: undefined,
      delivery: "transactional",
      ...more,
    },
  );
}

function valuesOf({ messages }: Transaction): readonly string[] {
  return [...messages.values()].flat().map(({ value }) => Buffer.from(value).toString());
}

function digestOf(texts: readonly string[]): string {
  return texts.reduce((digest, text) => digestAfter(digest, Buffer.from(text)), emptyDigest);
}

const large = "L".repeat(600);

test("the intent says where number, seq and digest are after the commit, and who writes", () => {
  const transaction = transactionOf(["a", "b", "c"]);
  const { outbox } = state.mark;
  assert.equal(transaction.count, 3);
  assert.deepEqual(transaction.state, {
    ...state,
    boots: [{ id: "boot", seq: 10 }],
    intent: {
      number: 113,
      mark: { outbox, seq: 13, digest: digestOf(["a", "b", "c"]) },
      delivery: "transactional",
    },
  });
});

test("messages of one key stay in order in one partition", () => {
  const { messages } = transactionOf(["a1", "b1", "a2", "c1", "b2", "a3"], { partitions: 3 });
  const texts = [...messages.values()].map((list) => list.map(({ value }) => String(value)));
  assert.ok(messages.size > 1);
  for (const key of ["a", "b", "c"]) {
    const holding = texts.filter((list) => list.some((text) => text.startsWith(key)));
    assert.equal(holding.length, 1);
    const own = holding[0]?.filter((text) => text.startsWith(key)) ?? [];
    assert.deepEqual(own, own.toSorted());
  }
});

test("as many records as fit are taken, and one in any case", () => {
  const texts = Array.from({ length: 30 }, (_, n) => `${n}`.padEnd(90, "."));
  const transaction = transactionOf(texts);
  assert.ok(transaction.count > 5 && transaction.bytes <= 1_000);
  assert.deepEqual(valuesOf(transaction), texts.slice(0, transaction.count));
  assert.equal(transaction.state.intent.number, 110 + transaction.count);
  assert.equal(transactionOf(texts, { bytesMax: 1 }).count, 1);
});

test("records in front that cannot be sent are left out for good, each with an incident", () => {
  const transaction = transactionOf([large, "!", "a", "b"]);
  assert.deepEqual(valuesOf(transaction), ["a", "b"]);
  const { number, mark, intent, incidents } = transaction.state;
  assert.deepEqual([number, mark.seq], [112, 10]);
  assert.deepEqual([intent.number, intent.mark.seq], [114, 12]);
  assert.equal(incidents.count, 2);
  assert.deepEqual(incidents.last, {
    first: 111,
    next: 112,
    what: "alerts 111 cannot be sent: it is damaged",
  });
});

test("a record behind others that cannot be sent waits until it is in front", () => {
  const transaction = transactionOf(["a", large, "b"]);
  assert.deepEqual(valuesOf(transaction), ["a"]);
  assert.equal(transaction.state.incidents.count, 0);
  assert.equal(transaction.state.intent.number, 111);
});

test("where no record can be sent there is nothing to send, and the numbers go on", () => {
  const { count, state: after } = transactionOf([large]);
  assert.equal(count, 0);
  assert.deepEqual(
    [after.number, after.intent],
    [111, { number: 111, mark: state.mark, delivery: "transactional" }],
  );
  assert.match(
    after.incidents.last?.what ?? "",
    /^alerts 110 \(L\) has \d+ bytes, more than the 500 /,
  );
});

test("a record that the topic refused alone is left out", () => {
  const transaction = transactionOf(["a", "b"], {
    refused: { number: 110, error: "MESSAGE_TOO_LARGE" },
  });
  assert.deepEqual(valuesOf(transaction), ["b"]);
  assert.match(
    transaction.state.incidents.last?.what ?? "",
    /the topic refuses it \(MESSAGE_TOO_LARGE\)/,
  );
});

test("a gap in the outbox is an incident, and numbers upstream have none", () => {
  const { state: after } = transactionOf(["a"], { first: 130, lost: [{ low: 112, high: 120 }] });
  assert.deepEqual([after.number, after.intent.number, after.intent.mark.seq], [130, 131, 11]);
  assert.deepEqual(after.incidents.last, {
    first: 112,
    next: 120,
    what: "alerts 112 to 119 were no longer in the outbox, or not readable there",
  });
});
