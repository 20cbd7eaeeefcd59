import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../core/faults.ts";
import { emptyDigest } from "./cursor.ts";
import type { LaneState } from "./lane-state.ts";
import type { MessageEncoder } from "./message/message.ts";
import { ownMarkAt } from "./own-mark.ts";
import { createTransaction } from "./transaction.ts";

const state: LaneState = {
  agent: "gw1",
  cluster: "c",
  mark: { outbox: "00", seq: 0, digest: emptyDigest },
  number: 0,
  there: undefined,
  boots: [],
  before: [],
  forkedFrom: "",
  intent: undefined,
  place: undefined,
  incidents: { count: 0, last: undefined },
};

/** A record is its own message; one that begins with 0 cannot be encoded. */
const encode: MessageEncoder = (record) => {
  if (record[0] === 0) throw new Fault("STORE_FAILED", "it is damaged");
  return { key: record, value: record, partitionKey: record, headers: [] };
};

const messageBytesMax = 120;
const records = fc.array(fc.uint8Array({ minLength: 1, maxLength: 90 }), { maxLength: 40 });

test("our own mark is that of the transactions made of the same records, whatever was left out", () => {
  fc.assert(
    fc.property(records, fc.integer({ min: 100, max: 1_000 }), (all, bytesMax) => {
      const options = {
        lane: "alerts",
        boot: "b",
        encode,
        partitions: 1,
        messageBytesMax,
        delivery: "transactional",
      } as const;
      let sent = state;
      while (sent.number < all.length) {
        const { number } = sent;
        const delivery = { lost: [], first: number, records: all.slice(number) };
        const made = createTransaction(delivery, {
          ...options,
          state: sent,
          bytesMax,
          refused: undefined,
        });
        const { intent } = made.state;
        if (made.count > 0) {
          const own = ownMarkAt(intent.mark.seq, {
            ...options,
            state,
            read: ({ from }) => ({
              records: all.slice(from, from + 7),
              position: from,
              from,
              first: from,
              next: Math.min(all.length, from + 7),
            }),
          });
          assert.deepEqual(own, { mark: intent.mark, number: intent.number });
        }
        sent = { ...made.state, intent: undefined, mark: intent.mark, number: intent.number };
      }
    }),
  );
});

test("a copy that has fewer records than the cluster has no mark there", () => {
  const read = () => ({ records: [], position: 0, from: 0, first: 0, next: 0 });
  assert.equal(ownMarkAt(1, { lane: "alerts", state, read, encode, messageBytesMax }), undefined);
});
