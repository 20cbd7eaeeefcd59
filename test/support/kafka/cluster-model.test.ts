/** Transactions, groups, topics and faults of the model of a cluster. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterContract } from "./cluster-contract.ts";
import { ClusterModel, type ModelCall, type ModelFate } from "./cluster-model.ts";
import { batch, ClusterModelRig, refuses, topic } from "./cluster-model-rig.ts";
import { seededRandom } from "../seeded-random.ts";

const group = "g";
const day = 86_400_000;
const fenced = ["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"];

// What real brokers are asked too (test/broker/cluster-contract.test.ts).
for (const seed of [undefined, 1]) {
  const random = seed === undefined ? {} : { random: seededRandom(seed) };
  const model = new ClusterModel({ clock: Date.now, ...random });
  const name = seed === undefined ? "the model" : "the model, completing by chance";
  clusterContract(name, async () => ({ open: async () => model.connect() }));
}

// ---- transactions ----

test("a committed transaction is read with keys, values and headers; an open or aborted one is not", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await rig.transact(of, ["a=1", "b=1"], 0);
  await rig.add(of);
  await rig.write(of, ["c=1"], { sequence: 2 });
  await rig.session.endTransaction(of, "abort");
  rig.model.settle();
  await rig.add(of);
  assert.equal(await rig.write(of, ["d=1"], { sequence: 3 }), 5);
  assert.deepEqual(rig.model.readCommitted(topic), [
    record({ offset: 0, value: "a=1", timestamp: rig.nowMs }),
    record({ offset: 1, value: "b=1", timestamp: rig.nowMs }),
  ]);
  const all = rig.model.readAll(topic).map(({ value, outcome }) => [value, outcome]);
  assert.deepEqual(all, [
    ["a=1", "commit"],
    ["b=1", "commit"],
    ["c=1", "abort"],
    ["d=1", undefined],
  ]);
});

function record(of: { offset: number; value: string; timestamp: number }): object {
  const { value } = of;
  return { partition: 0, key: value.split("=")[0], headers: { h: value }, ...of };
}

test("a read_committed reader stops at the oldest open transaction, also for what is decided behind it", async () => {
  const rig = new ClusterModelRig();
  const [slow, quick] = [await rig.begin("slow"), await rig.begin("quick")];
  await rig.add(slow);
  await rig.write(slow, ["s=1"], { sequence: 0 });
  await rig.transact(quick, ["q=1"], 0);
  assert.deepEqual(rig.committed(), []);
  await rig.session.endTransaction(slow, "commit");
  rig.model.settle();
  assert.deepEqual(rig.committed(), ["s=1", "q=1"]);
});

test("a new incarnation has the next epoch, and every request of the older one is refused", async () => {
  const rig = new ClusterModelRig();
  const older = await rig.begin();
  await rig.transact(older, ["a=1"], 0);
  const newer = await rig.begin();
  assert.deepEqual(newer.producer, { id: older.producer.id, epoch: older.producer.epoch + 1 });
  const { session } = rig;
  await refuses(rig.add(older), ...fenced);
  await refuses(session.addGroup(older, group), ...fenced);
  await refuses(session.endTransaction(older, "commit"), ...fenced);
  await refuses(rig.write(older, ["b=1"], { sequence: 1 }), "INVALID_PRODUCER_EPOCH");
  const offset = { group, topic, partition: 0, offset: 1, metadata: "" };
  await refuses(session.commitOffset(older, offset), "INVALID_PRODUCER_EPOCH");
  assert.deepEqual(rig.committed(), ["a=1"]);
});

test("initProducer aborts the open transaction, and succeeds only when that is complete", async () => {
  const rig = new ClusterModelRig();
  const older = await rig.begin();
  await rig.add(older);
  await rig.write(older, ["a=1"], { sequence: 0 });
  const again = rig.session.initProducer({ transactionalId: "x", timeoutMs: 60_000 });
  await refuses(again, "CONCURRENT_TRANSACTIONS");
  assert.equal(rig.model.transactionState("x"), "PrepareAbort");
  await refuses(rig.session.endTransaction(older, "commit"), ...fenced);
  const newer = await rig.begin();
  assert.equal(newer.producer.epoch, older.producer.epoch + 2, "the abort took an epoch as well");
  assert.deepEqual(
    rig.model.readAll(topic).map(({ outcome }) => outcome),
    ["abort"],
  );
});

test("a decided transaction stays decided: initProducer waits for it and it is committed", async () => {
  const rig = new ClusterModelRig();
  const older = await rig.begin();
  await rig.add(older);
  await rig.write(older, ["a=1"], { sequence: 0 });
  await rig.session.endTransaction(older, "commit");
  assert.equal(rig.model.transactionState("x"), "PrepareCommit");
  const newer = await rig.begin();
  assert.equal(newer.producer.epoch, older.producer.epoch + 1);
  assert.deepEqual(rig.committed(), ["a=1"]);
});

test("a late batch joins a transaction that is decided but not complete", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await rig.session.addPartitions(of, [
    { topic, partition: 0 },
    { topic, partition: 1 },
  ]);
  await rig.write(of, ["a=1"], { sequence: 0 });
  rig.model.limits.completionRequests = 3;
  await rig.session.endTransaction(of, "commit");
  await rig.write(of, ["late=1"], { sequence: 1 });
  const elsewhere = rig.write(of, ["late=2"], { sequence: 0, partition: 1 });
  await refuses(elsewhere, "NOT_ENOUGH_REPLICAS");
  rig.model.settle();
  assert.deepEqual(rig.committed(), ["a=1", "late=1"]);
  await refuses(rig.write(of, ["late=1"], { sequence: 1 }), "INVALID_TXN_STATE");
});

test("the next transaction waits for the markers of the last", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await rig.add(of);
  await rig.session.endTransaction(of, "commit");
  await refuses(rig.add(of), "CONCURRENT_TRANSACTIONS");
  await rig.add(of);
});

test("ending twice with one outcome is fine, with two or without a transaction is not", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await refuses(rig.session.endTransaction(of, "commit"), "INVALID_TXN_STATE");
  await rig.transact(of, ["a=1"], 0);
  await rig.session.endTransaction(of, "commit");
  await refuses(rig.session.endTransaction(of, "abort"), "INVALID_TXN_STATE");
});

test("a transaction past its timeout is aborted and its producer fenced", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await rig.add(of);
  await rig.write(of, ["a=1"], { sequence: 0 });
  rig.nowMs += 60_001;
  await refuses(rig.session.endTransaction(of, "commit"), ...fenced);
  rig.model.settle();
  assert.equal(rig.model.transactionState("x"), "CompleteAbort");
  assert.equal((await rig.begin()).producer.epoch, 2);
  const { session } = rig;
  for (const timeoutMs of [0, 900_001]) {
    const begun = session.initProducer({ transactionalId: "y", timeoutMs });
    await refuses(begun, "INVALID_TRANSACTION_TIMEOUT");
  }
});

test("a transactional id that expired, and epochs that are used up, give a new producer id", async () => {
  const rig = new ClusterModelRig();
  const first = await rig.begin();
  await rig.transact(first, ["a=1"], 0);
  rig.nowMs += 7 * day + 1;
  await refuses(rig.add(first), "INVALID_PRODUCER_ID_MAPPING");
  const second = await rig.begin();
  assert.deepEqual(second.producer, { id: first.producer.id + 1n, epoch: 0 });
  rig.model.limits.epochMax = 1;
  await rig.begin();
  const third = await rig.begin();
  assert.deepEqual(third.producer, { id: second.producer.id + 1n, epoch: 0 });
  const late = rig.session.endTransaction(second, "commit");
  await refuses(late, "INVALID_PRODUCER_ID_MAPPING");
});

// ---- groups and topics ----

test("a group's offset is committed and dropped with its transaction", async () => {
  const rig = new ClusterModelRig();
  const { session, model } = rig;
  const of = await rig.begin();
  const put = (offset: number) =>
    session.commitOffset(of, { group, topic, partition: 0, offset, metadata: `m${offset}` });
  await refuses(put(1), "INVALID_TXN_STATE");
  await session.addGroup(of, group);
  await put(1);
  assert.deepEqual(await session.committedOffsets(group), [], "the first is not mentioned");
  const named = [{ topic, partition: 0 }];
  await refuses(session.committedOffsets(group, named), "UNSTABLE_OFFSET_COMMIT");
  await session.endTransaction(of, "commit");
  model.settle();
  const first = [{ topic, partition: 0, offset: 1, metadata: "m1" }];
  assert.deepEqual(await session.committedOffsets(group), first);
  await session.addGroup(of, group);
  await put(2);
  await refuses(session.committedOffsets(group), "UNSTABLE_OFFSET_COMMIT");
  await rig.begin();
  assert.deepEqual(await session.committedOffsets(group), first, "fencing dropped the second");
  rig.nowMs += 7 * day;
  assert.deepEqual(await session.committedOffsets(group), []);
});

test("a deleted topic takes its offsets along, pending ones too, and its transaction still ends", async () => {
  const rig = new ClusterModelRig();
  const { session, model } = rig;
  const of = await rig.begin();
  await rig.add(of);
  await rig.write(of, ["a"], { sequence: 0 });
  await session.addGroup(of, group);
  await session.commitOffset(of, { group, topic, partition: 0, offset: 1, metadata: "" });
  model.deleteTopic(topic);
  await refuses(rig.write(of, ["b"], { sequence: 1 }), "UNKNOWN_TOPIC_OR_PARTITION");
  model.createTopic(topic);
  assert.equal(await rig.write(of, ["b"], { sequence: 1 }), 0, "the new one knows no producer");
  await session.endTransaction(of, "commit");
  model.settle();
  assert.deepEqual(rig.committed(), ["b"]);
  assert.deepEqual(await session.committedOffsets(group), []);
});

test("topics are created once, and described", async () => {
  const { session, model } = new ClusterModelRig();
  const create = (name: string, more: object = {}) =>
    session.createTopic({ topic: name, partitions: -1, replication: -1, config: {}, ...more });
  await create("u", { config: { "cleanup.policy": "compact" } });
  await refuses(create("u"), "TOPIC_ALREADY_EXISTS");
  await refuses(create("a/b"), "INVALID_TOPIC_EXCEPTION");
  await refuses(create("v", { partitions: 0 }), "INVALID_PARTITIONS");
  await refuses(create("v", { replication: 3 }), "INVALID_REPLICATION_FACTOR");
  await refuses(create("v", { config: { nonsense: "1" } }), "INVALID_CONFIG");
  await refuses(create("v", { config: { "retention.ms": "x" } }), "INVALID_CONFIG");
  model.growTopic("u", 4);
  assert.deepEqual([...(await session.partitionsOf(["u", "v"]))], [["u", 4]]);
  const config = await session.topicConfig("u", [
    "cleanup.policy",
    "max.message.bytes",
    "nonsense",
  ]);
  assert.deepEqual([...config.values()], ["compact", "1048588"]);
  await refuses(session.topicConfig("v", []), "UNKNOWN_TOPIC_OR_PARTITION");
});

// ---- rights and faults ----

test("a right that is missing is said with operation and resource", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  rig.model.forbid(({ operation, resource }) => operation === "WRITE" && resource === "Topic");
  await assert.rejects(rig.add(of), {
    code: "UPLINK_RIGHT_MISSING",
    message: /WRITE to topic t: grant WRITE on Topic t/,
  });
});

test("a lost request does nothing, a lost answer has taken effect, a refusal does nothing", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await rig.add(of);
  const fates: readonly ModelFate[] = [
    "lose-request",
    "lose-answer",
    "refuse NOT_LEADER_OR_FOLLOWER",
  ];
  for (const [sequence, fate] of fates.entries()) {
    rig.model.fate = ({ request }) => (request === "Produce" ? fate : "answer");
    const answer = rig.write(of, [fate], { sequence: Math.min(sequence, 0) });
    if (fate.startsWith("lose")) await assert.rejects(answer, { code: "UPLINK_UNREACHABLE" });
    else await refuses(answer, "NOT_LEADER_OR_FOLLOWER");
  }
  assert.deepEqual(
    rig.model.readAll(topic).map(({ value }) => value),
    ["lose-answer"],
  );
});

test("a request that hangs rejects when its session is closed, and other sessions go on", async () => {
  const { model } = new ClusterModelRig();
  const seen: ModelCall[] = [];
  for (const fate of ["hang-request", "hang-answer"] as const) {
    model.fate = (call) => {
      seen.push(call);
      return call.session === 0 ? "answer" : fate;
    };
    const session = model.connect();
    const options = { transactionalId: fate, timeoutMs: 1000 };
    const answer = assert.rejects(session.initProducer(options), { code: "UPLINK_UNREACHABLE" });
    await new Promise(setImmediate);
    await session.close();
    await answer;
    await assert.rejects(session.offsets({ topic, partition: 0 }), { code: "UPLINK_UNREACHABLE" });
  }
  assert.equal(model.transactionState("hang-request"), undefined);
  assert.equal(model.transactionState("hang-answer"), "Empty");
  assert.deepEqual(
    seen.map(({ request, session, index }) => [request, session, index]),
    [
      ["InitProducerId", 1, 0],
      ["InitProducerId", 2, 1],
    ],
  );
});

test("a request held on the wire arrives after its session was closed", async () => {
  const rig = new ClusterModelRig();
  const of = await rig.begin();
  await rig.add(of);
  const held = Promise.withResolvers<ModelFate>();
  rig.model.fate = ({ session }) => (session === 1 ? held.promise : "answer");
  const zombie = rig.model.connect();
  const bytes = batch(["late"], { producer: of.producer, sequence: 0 });
  const answer = zombie.produce([{ topic, partition: 0, bytes }], { transactionalId: "x" });
  await zombie.close();
  await assert.rejects(answer, { code: "UPLINK_UNREACHABLE" });
  assert.deepEqual(rig.model.readAll(topic), []);
  held.resolve("answer");
  await new Promise(setImmediate);
  assert.equal(rig.model.readAll(topic).length, 1);
});

test("with a Random a transaction takes up to completionRequests until it is complete", async () => {
  const model = new ClusterModel({ clock: () => 0, random: seededRandom(1) });
  model.createTopic(topic);
  model.limits.completionRequests = 3;
  const session = model.connect();
  const waits = new Set<number>();
  for (let n = 0; n < 50; n++) {
    const transactionalId = `x${n}`;
    const of = {
      transactionalId,
      producer: await session.initProducer({ transactionalId, timeoutMs: 1000 }),
    };
    await session.addPartitions(of, [{ topic, partition: 0 }]);
    await session.endTransaction(of, "commit");
    let wait = 0;
    for (; model.transactionState(transactionalId) !== "CompleteCommit"; wait++) {
      await session.partitionsOf([]);
    }
    waits.add(wait);
  }
  assert.deepEqual(waits, new Set([0, 1, 2, 3]));
});
