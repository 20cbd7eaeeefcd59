/**
 * What a consumer of a model of a cluster must find, written apart from the code that sends: each
 * record once under its outbox and number, in order, and a cursor whose digest is the chain over the
 * values as they were read.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Lane, lanes, queueOf, outputQueues } from "../../../src/store/outbox/lane.ts";
import { verifyUpstream } from "../../../src/sync/kafka/upstream/verify-upstream.ts";
import type { ClusterModel } from "./cluster-model.ts";
import { cursorTopic, topics, type UpstreamHalf } from "./upstream-half.ts";

export type Received = {
  readonly outbox: string;
  readonly seq: number;
  readonly partition: number;
  readonly value: string;
  readonly forkedFrom: string | undefined;
};

/** What a read_committed consumer has of the lane, in the order of each partition. */
export function received(model: ClusterModel, lane: Lane): readonly Received[] {
  if (!model.hasTopic(topics[queueOf(lane)])) return [];
  return model
    .readCommitted(topics[queueOf(lane)])
    .map(({ partition, value, headers }) => {
      const [outbox = "", named, seq] = String(headers["ce_id"]).split(":");
      const forkedFrom = headers["weir-forked-from"];
      return { outbox, named, seq: Number(seq), partition, value: value ?? "", forkedFrom };
    })
    .filter(({ named }) => named === lane);
}

/** By outbox, the values in the order of their numbers: gapless, none twice, ordered by partition. */
export function histories(
  model: ClusterModel,
  lane: Lane,
  where: string,
): ReadonlyMap<string, readonly string[]> {
  const all = Map.groupBy(received(model, lane), ({ outbox }) => outbox);
  return new Map([...all].map(([outbox, records]) => [outbox, historyOf(records, where)]));
}

function historyOf(records: readonly Received[], where: string): readonly string[] {
  const last = new Map<number, number>();
  for (const { partition, seq } of records) {
    assert.ok(seq > (last.get(partition) ?? -1), `${where}: number ${seq} is out of order`);
    last.set(partition, seq);
  }
  const sorted = records.toSorted((a, b) => a.seq - b.seq);
  const numbers = sorted.map(({ seq }) => seq);
  assert.deepEqual(numbers, [...numbers.keys()], `${where}: numbers are gapless`);
  return sorted.map(({ value }) => value);
}

export type FoundCursor = {
  readonly outbox: string;
  readonly seq: number;
  readonly digest: string;
  readonly before: readonly (readonly [outbox: string, seq: number, digest: string])[];
};

/** The last committed cursor of the lane. */
export function lastCursor(model: ClusterModel, agent: string, lane: Lane): FoundCursor {
  const key = `${agent}/${lane}`;
  const found = model.readCommitted(cursorTopic).findLast((record) => record.key === key);
  assert.ok(found?.value !== undefined, `there is a cursor of ${key}`);
  return JSON.parse(found.value) as FoundCursor;
}

export function digestOf(values: readonly string[]): string {
  let digest = Buffer.alloc(16);
  for (const value of values) {
    digest = createHash("sha256").update(digest).update(value).digest().subarray(0, 16);
  }
  return digest.toString("hex");
}

/** What `weir upstream verify` says of it: it reads as the uplink does, and shares no state with it. */
export async function assertProven(half: UpstreamHalf, where: string): Promise<void> {
  const { cluster: model } = half.world;
  model.settle();
  if (!model.hasTopic(cursorTopic)) return;
  const verdict = await verifyUpstream(model.connect(), {
    agent: "gw1",
    topics: Object.values(topics),
    cursorTopic,
    mayBeginLater: false,
    clock: half.world.clock,
  });
  assert.equal(verdict.kind, "proven", `${where}: ${JSON.stringify(verdict)}`);
}

/** Everything that the half ever emitted is upstream, once, under one outbox, and nothing else is. */
export function assertExactlyOnce(half: UpstreamHalf, where: string): void {
  const { cluster: model } = half.world;
  model.settle();
  for (const queue of outputQueues) {
    const expected = half.emitted[queue];
    const numbers = new Map(expected.map((text, number) => [text, number]));
    const all: number[] = [];
    for (const lane of lanes.filter((each) => queueOf(each) === queue)) {
      const at = `${where}, ${lane}`;
      const found = [...histories(model, lane, at)];
      assert.ok(found.length <= 1, `${at}: it is one outbox`);
      const [history] = found;
      if (history === undefined) continue;
      const [outbox, values] = history;
      const sent = values.map((value) => numbers.get(value) ?? -1);
      assert.deepEqual(
        sent,
        sent.toSorted((a, b) => a - b),
        `${at}: in order`,
      );
      all.push(...sent);
      const cursor = lastCursor(model, "gw1", lane);
      assert.equal(cursor.outbox, outbox, at);
      assert.equal(cursor.seq, values.length, at);
      assert.equal(cursor.digest, digestOf(values), `${at}: the digest is that of the values`);
    }
    const at = `${where}, ${queue}`;
    assert.deepEqual(
      all.toSorted((a, b) => a - b),
      [...expected.keys()],
      `${at}: each is there once`,
    );
    const { first, next } = half.store.span(queue);
    assert.equal(first, next, `${at}: the outbox is pruned`);
    const { records, bytes } = half.store.status.outbox[queue];
    assert.deepEqual({ records, bytes }, { records: 0, bytes: 0 }, at);
  }
  const incidents = lanes.map((lane) => half.status(lane).incidents);
  const none = { count: 0, last: undefined };
  assert.deepEqual(incidents, Array(lanes.length).fill(none), `${where}: no incident`);
}
