/** What the partitions of the model of a cluster take, keep and show. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fault } from "../../../src/core/faults.ts";
import { batch, ClusterModelRig, refuses, topic } from "./cluster-model-rig.ts";

const day = 86_400_000;

// ---- writing ----

test("a batch sent again is stored once, as long as it is one of the last five", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await rig.add(of);
  for (let n = 0; n < 7; n++) await rig.write(of, [`a=${n}`], { sequence: n });
  for (const sequence of [6, 2]) assert.equal(await rig.write(of, ["a"], { sequence }), sequence);
  for (const sequence of [1, 8]) {
    await refuses(rig.write(of, ["a"], { sequence }), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  }
  await refuses(rig.write(of, ["a", "b"], { sequence: 6 }), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  await rig.session.endTransaction(of, "commit");
  rig.model.settle();
  await refuses(rig.write(of, ["a=6"], { sequence: 6 }), "INVALID_TXN_STATE");
  await rig.add(of);
  assert.equal(await rig.write(of, ["a=6"], { sequence: 6 }), 6, "in the next transaction");
  assert.equal(rig.committed().length, 7);
});

test("sequences begin anywhere without state, at 0 with a new epoch, and wrap", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await rig.add(of);
  await rig.add(of, 1);
  await rig.write(of, ["a", "b"], { sequence: 2 ** 31 - 1 });
  await rig.write(of, ["c"], { sequence: 1 });
  await rig.session.endTransaction(of, "commit");
  const next = await rig.begin();
  for (const partition of [0, 1]) {
    await rig.add(next, partition);
    const ahead = rig.write(next, ["d"], { sequence: 2, partition });
    await refuses(ahead, "OUT_OF_ORDER_SEQUENCE_NUMBER");
    await rig.write(next, ["d"], { sequence: 0, partition });
  }
});

test("a partition forgets an idle producer, but not one in a transaction", async () => {
  const rig = new ClusterModelRig();
  const { session, model } = rig;
  const producer = { id: 7n, epoch: 3 };
  const write = (sequence: number) =>
    session.produce(
      [
        {
          topic,
          partition: 2,
          bytes: batch(["a"], { producer, sequence, isTransactional: false }),
        },
      ],
      { transactionalId: undefined },
    );
  await write(0);
  await refuses(write(2), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  rig.nowMs += day;
  await write(2);
  model.limits.transactionTimeoutMsMax = 10 * day;
  const options = { transactionalId: "long", timeoutMs: 9 * day };
  const of = { transactionalId: "long", producer: await session.initProducer(options) };
  await rig.add(of);
  await rig.write(of, ["a"], { sequence: 0 });
  rig.nowMs += 8 * day;
  await refuses(rig.write(of, ["a"], { sequence: 2 }), "OUT_OF_ORDER_SEQUENCE_NUMBER");
});

test("a transactional batch needs its partition in the open transaction, and an id", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await refuses(rig.write(of, ["a"], { sequence: 0 }), "INVALID_TXN_STATE");
  await rig.add(of);
  await refuses(rig.write(of, ["a"], { sequence: 0, partition: 1 }), "INVALID_TXN_STATE");
  const bytes = batch(["a"], { producer: of.producer, sequence: 0 });
  const nameless = rig.session.produce([{ topic, partition: 0, bytes }], {
    transactionalId: undefined,
  });
  await assert.rejects(nameless, { code: "UPLINK_RIGHT_MISSING" });
  const stranger = { transactionalId: "stranger", producer: of.producer };
  await refuses(rig.write(stranger, ["a"], { sequence: 0 }), "INVALID_PRODUCER_ID_MAPPING");
  await rig.add(of, 1);
  const after = rig.write(of, ["b"], { sequence: 1, partition: 1 });
  await refuses(after, "OUT_OF_ORDER_SEQUENCE_NUMBER");
});

test("a batch that is damaged, miscounted, doubled, too large or too far ahead is refused", async () => {
  const rig = new ClusterModelRig();
  const good = batch(["a=1"], {});
  const damaged = good.slice();
  damaged[damaged.length - 1] = 0;
  const produce = (bytes: Uint8Array, to = topic) =>
    rig.session.produce([{ topic: to, partition: 0, bytes }], { transactionalId: undefined });
  await refuses(produce(damaged), "CORRUPT_MESSAGE");
  for (const bytes of [new Uint8Array(0), good.subarray(0, 70), Buffer.concat([good, good])]) {
    await refuses(produce(bytes), "INVALID_RECORD");
  }
  rig.model.configure(topic, { "max.message.bytes": String(good.length) });
  await produce(good);
  await refuses(produce(batch(["aa=1"], {})), "MESSAGE_TOO_LARGE");
  const ahead = batch(["b"], { timeMs: rig.nowMs + 3_600_001 });
  await refuses(produce(ahead), "INVALID_TIMESTAMP");
  rig.model.configure(topic, { "message.timestamp.type": "LogAppendTime" });
  await produce(ahead);
  assert.deepEqual(
    rig.model.readCommitted(topic).map(({ timestamp }) => timestamp),
    [0, rig.nowMs],
  );
  await refuses(produce(good, "none"), "UNKNOWN_TOPIC_OR_PARTITION");
});

test("each batch of a request stands for itself", async () => {
  const rig = new ClusterModelRig();
  const batches = [topic, "none"].map((to) => ({
    topic: to,
    partition: 0,
    bytes: batch(["a"], {}),
  }));
  const answer = rig.session.produce(batches.toReversed(), { transactionalId: undefined });
  await assert.rejects(answer, (error: Fault) => error.facts["topic"] === "none");
  assert.deepEqual(rig.committed(), ["a"]);
});

// ---- reading ----

test("fetch gives batches with markers, one in any case, and refuses offsets outside", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await rig.transact(of, ["a", "b"], 0);
  await rig.transact(of, ["c"], 2);
  const fetch = (offset: number, bytesMax: number) =>
    rig.session.fetch({ topic, partition: 0 }, { offset, bytesMax });
  const all = await fetch(1, 1_000_000);
  assert.deepEqual(
    all.batches.map(({ control, records }) => control ?? records.map(({ offset }) => offset)),
    [[1], "commit", [3], "commit"],
  );
  assert.equal(all.next, 5);
  const one = await fetch(1, 1);
  assert.deepEqual([one.batches.length, one.next], [1, 2]);
  assert.deepEqual(await fetch(5, 1), { batches: [], next: 5 });
  await refuses(fetch(6, 1), "OFFSET_OUT_OF_RANGE");
  rig.model.truncateFront({ topic, partition: 0 }, 3);
  await refuses(fetch(2, 1), "OFFSET_OUT_OF_RANGE");
  assert.deepEqual(await rig.session.offsets({ topic, partition: 0 }), { first: 3, end: 5 });
  await refuses(rig.write(of, ["d"], { sequence: 9 }), "INVALID_TXN_STATE");
});

test("compaction keeps the last committed value of a key, and every offset", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await rig.transact(of, ["a=1", "b=1"], 0);
  await rig.transact(of, ["a=2"], 2);
  await rig.add(of);
  await rig.write(of, ["b=aborted"], { sequence: 3 });
  await rig.session.endTransaction(of, "abort");
  rig.model.settle();
  await rig.add(of);
  await rig.write(of, ["a=open"], { sequence: 4 });
  rig.model.compact(topic);
  assert.deepEqual(
    rig.model.readAll(topic).map(({ offset, value }) => [offset, value]),
    [
      [1, "b=1"],
      [3, "a=2"],
      [7, "a=open"],
    ],
  );
  const { next } = await rig.session.fetch({ topic, partition: 0 }, { offset: 0, bytesMax: 1e6 });
  assert.equal(next, 8);
});
