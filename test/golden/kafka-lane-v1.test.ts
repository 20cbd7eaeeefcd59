/**
 * What a Kafka lane keeps in the state store (`kafka-lane-v1.json`) and in the cluster
 * (`kafka-cursor-v1.json`), as version 1 wrote them; `-life` where the name was given to other hardware. These never change; a format that writes others is
 * a new version with vectors of its own, and still reads these.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  type Cursor,
  decodeCursor,
  digestAfter,
  encodeCursor,
} from "../../src/sync/kafka/cursor.ts";
import {
  decodeLaneState,
  encodeLaneState,
  type LaneState,
} from "../../src/sync/kafka/lane-state.ts";

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const golden = (name: string): Buffer => readFileSync(new URL(name, import.meta.url));

const outbox = "3f0c51d2a67b40f88a5e9d1c2b3a4f50";
const other = "b0a1b2c3d4e5f60718293a4b5c6d7e8f";
const digest = "9a41c0de6b52f7730d8e1f2a3b4c5d6e";
const mark = { outbox, seq: 500, digest };
const boots = [
  { id: "7c01d2e3f4a5b697", seq: 0 },
  { id: "e10b2c3d4e5f6071", seq: 312 },
];
const before = [{ outbox: other, seq: 77, digest: "5512a3b4c5d6e7f8091a2b3c4d5e6f70" }];

const cursor: Cursor = { agent: "gw1", lane: "summaries", mark, boots, before, version: "0.1.0" };

const state: LaneState = {
  agent: "gw1",
  cluster: "3CcN25eBTby_BziIvBqkuQ",
  mark,
  number: 512,
  there: mark,
  boots,
  before,
  forkedFrom: `${other}:70`,
  intent: {
    number: 520,
    mark: { outbox, seq: 508, digest: "00112233445566778899aabbccddeeff" },
    delivery: "transactional",
  },
  place: { topic: "weir.cursor", partition: 7, offset: 123_456 },
  incidents: { count: 2, last: { first: 3, next: 4, what: "it was left out" } },
};

test("a cursor is the bytes that consumers and older agents know", () => {
  assert.equal(`${textOf(encodeCursor(cursor))}\n`, golden("kafka-cursor-v1.json").toString());
  assert.deepEqual(decodeCursor(golden("kafka-cursor-v1.json"), "golden"), cursor);
});

test("a lane's state of version 1 is still read", () => {
  const stored = golden("kafka-lane-v1.json");
  assert.deepEqual(decodeLaneState(stored, "golden"), state);
  assert.equal(`${textOf(encodeLaneState(state))}\n`, stored.toString());
});

// A name that was given to other hardware (decision 0028): the same version with one field more.
test("a cursor and a lane's state with a life are read, and written as they were", () => {
  const stored = golden("kafka-cursor-life-v1.json");
  assert.deepEqual(decodeCursor(stored, "golden"), { ...cursor, life: 2 });
  assert.equal(`${textOf(encodeCursor({ ...cursor, life: 2 }))}\n`, stored.toString());
  const lane = golden("kafka-lane-life-v1.json");
  assert.deepEqual(decodeLaneState(lane, "golden"), { ...state, life: 2 });
  assert.equal(`${textOf(encodeLaneState({ ...state, life: 2 }))}\n`, lane.toString());
});

test("the digest of a value is what the format says", () => {
  const value = new TextEncoder().encode('{"v":1}');
  assert.equal(digestAfter("0".repeat(32), value), "e0ec5855cfe5d37fc2b33f9690239dfe");
});
