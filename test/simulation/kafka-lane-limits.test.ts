/** What a Kafka lane does where topics, rights and sizes are not as it wants them, and how it ends. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../src/core/limits.ts";
import { outputQueues } from "../../src/store/outbox/lane.ts";
import type { Cluster } from "../../src/sync/kafka/cluster.ts";
import type { ModelRight } from "../support/kafka/cluster-model-broker.ts";
import {
  cursorTopic,
  startHalf,
  topics,
  type UpstreamHalf,
  UpstreamWorld,
} from "../support/kafka/upstream-half.ts";
import { assertExactlyOnce, received } from "../support/kafka/upstream-oracle.ts";

async function atRest(half: UpstreamHalf): Promise<void> {
  assert.ok(await half.world.until(() => half.isDone), String(half.drain.status[0]?.trouble));
}

// ---- sizes ----

test("a topic that takes smaller batches gets smaller ones, and every record", async () => {
  const world = new UpstreamWorld(1);
  world.cluster.createTopic(topics.summaries, { config: { "max.message.bytes": "2000" } });
  const half = await startHalf(world);
  await half.emit({ summaries: 40 });
  await atRest(half);
  assertExactlyOnce(half, "small batches");
});

test("a record that the topic refuses alone is left out once, named, and the others go on", async () => {
  const world = new UpstreamWorld(2);
  world.cluster.createTopic(topics.summaries, { config: { "max.message.bytes": "2000" } });
  const half = await startHalf(world);
  await half.emit({ summaries: 3 });
  await half.emit({ summaries: 1 }, { bytes: 2_000 });
  await half.emit({ summaries: 3 });
  await atRest(half);
  world.cluster.settle();
  const { count, last } = half.status().incidents;
  assert.equal(count, 1);
  assert.deepEqual([last?.first, last?.next], [3, 4]);
  assert.match(last?.what ?? "", /summaries 3 .* bytes, and the topic refuses it/);
  const values = received(world.cluster, "summaries").toSorted((a, b) => a.seq - b.seq);
  assert.deepEqual(
    values.map(({ value }) => value),
    half.emitted.summaries.toSpliced(3, 1),
  );
});

test("a record above the limit is left out with one incident, however often it is tried", async () => {
  const world = new UpstreamWorld(3);
  const half = await startHalf(world, { uplink: { recordBytesMax: 1_500 } });
  let losses = 6;
  world.fate = ({ request }) => (request === "Produce" && losses-- > 0 ? "lose-answer" : "answer");
  await half.emit({ summaries: 2 });
  await half.emit({ summaries: 1 }, { bytes: 2_000 });
  await half.emit({ summaries: 2 });
  await atRest(half);
  world.cluster.settle();
  assert.equal(half.status().incidents.count, 1);
  assert.equal(received(world.cluster, "summaries").length, 4);
});

test("a cursor topic that refuses batches as too large costs no record", async () => {
  const world = new UpstreamWorld(4);
  const config = { "cleanup.policy": "compact", "max.message.bytes": "200" };
  world.cluster.createTopic(cursorTopic, { config });
  const half = await startHalf(world);
  await half.emit({ summaries: 2 });
  await world.pass(30_000);
  assert.match(half.status().trouble ?? "", /cursors\/0: MESSAGE_TOO_LARGE/);
  world.cluster.configure(cursorTopic, { "max.message.bytes": "1048588" });
  await atRest(half);
  assertExactlyOnce(half, "cursor topic");
});

// ---- topics ----

test("missing topics are created: cursors compacted, times given by the cluster", async () => {
  const world = new UpstreamWorld(5);
  const half = await startHalf(world);
  await atRest(half);
  const session = world.cluster.connect();
  const names = ["cleanup.policy", "message.timestamp.type"];
  for (const lane of outputQueues) {
    const config = await session.topicConfig(topics[lane], names);
    assert.deepEqual([...config.values()], ["delete", "LogAppendTime"]);
  }
  const config = await session.topicConfig(cursorTopic, names);
  assert.deepEqual([...config.values()], ["compact", "LogAppendTime"]);
});

test("missing topics that may not be created are named with their settings, and waited for", async () => {
  const world = new UpstreamWorld(6);
  const create = { create: false, partitions: 1, replication: 1, cursorPartitions: 1 };
  const half = await startHalf(world, { uplink: { topics: create } });
  await half.emit({ summaries: 1 });
  await world.pass(1_000);
  assert.match(
    half.status().trouble ?? "",
    /no topic summaries \(.*LogAppendTime\) and no topic cursors \(.*cleanup.policy=compact/,
  );
  for (const topic of Object.values(topics)) world.cluster.createTopic(topic);
  world.cluster.createTopic(cursorTopic, { config: { "cleanup.policy": "compact" } });
  await atRest(half);
  assertExactlyOnce(half, "created by hand");
});

test("a cursor topic that expires is refused until it is compacted", async () => {
  const world = new UpstreamWorld(7);
  world.cluster.createTopic(cursorTopic, { config: { "cleanup.policy": "delete" } });
  const half = await startHalf(world);
  await half.emit({ summaries: 1 });
  await world.pass(1_000);
  assert.match(
    half.status().trouble ?? "",
    /cursors has cleanup.policy=delete: .* set cleanup.policy=compact/,
  );
  world.cluster.configure(cursorTopic, { "cleanup.policy": "compact" });
  await atRest(half);
});

// ---- rights ----

const cursors = `Topic ${cursorTopic}`;
const name = "weir.gw1.summaries";
const rights: readonly (readonly [
  operation: ModelRight["operation"],
  on: string,
  grant: RegExp,
])[] = [
  ["DESCRIBE", cursors, /DESCRIBE on Topic cursors/],
  ["CREATE", cursors, /CREATE on Topic cursors/],
  ["READ", cursors, /READ on Topic cursors/],
  ["WRITE", cursors, /WRITE on Topic cursors/],
  ["WRITE", `Topic ${topics.summaries}`, /WRITE on Topic summaries/],
  ["DESCRIBE", `Topic ${topics.summaries}`, /DESCRIBE on Topic summaries/],
  ["CREATE", `Topic ${topics.summaries}`, /CREATE on Topic summaries/],
  ["WRITE", `TransactionalId ${name}`, new RegExp(`WRITE and DESCRIBE on TransactionalId ${name}`)],
  ["READ", `Group ${name}`, new RegExp(`READ on Group ${name}`)],
  ["DESCRIBE", `Group ${name}`, new RegExp(`on Group ${name}`)],
];

test("a missing right is named with what to grant, and once granted all is sent", async () => {
  for (const [operation, on, grant] of rights) {
    const world = new UpstreamWorld(8);
    world.cluster.forbid(
      (right) => right.operation === operation && `${right.resource} ${right.name}` === on,
    );
    const half = await startHalf(world);
    await half.emit({ summaries: 2 });
    await world.pass(20_000);
    assert.match(half.status().trouble ?? "", grant, `${operation} on ${on}`);
    world.cluster.forbid(() => false);
    await atRest(half);
    assertExactlyOnce(half, `${operation} on ${on}`);
  }
});

test("who may not look at the settings of the cursor topic may still send", async () => {
  const world = new UpstreamWorld(9);
  world.cluster.forbid(({ operation }) => operation === "DESCRIBE_CONFIGS");
  const half = await startHalf(world);
  await half.emit({ summaries: 2 });
  await atRest(half);
  assertExactlyOnce(half, "no DESCRIBE_CONFIGS");
});

// ---- the end ----

const requests = [
  "Metadata",
  "CreateTopics",
  "DescribeConfigs",
  "InitProducerId",
  "OffsetFetch",
  "ListOffsets",
  "AddPartitionsToTxn",
  "AddOffsetsToTxn",
  "Produce",
  "TxnOffsetCommit",
  "EndTxn",
] as const;

test("closing while a request hangs ends in time and leaves no timer and no request behind", async () => {
  for (const hanging of requests) {
    const world = new UpstreamWorld(10);
    const half = await startHalf(world);
    world.fate = ({ request }) => (request === hanging ? "hang-request" : "answer");
    await half.emit({ alerts: 1, summaries: 1 });
    await world.pass(1_000);
    let isClosed = false;
    const closed = half.drain.close().then(() => {
      isClosed = true;
    });
    await world.quiet();
    assert.equal(isClosed, false, `${hanging}: what is under way may still end`);
    await world.pass(limits.uplinkCloseWaitMs);
    assert.equal(isClosed, true, hanging);
    await closed;
    assert.equal(half.timers, 0, hanging);
    const { calls } = world.cluster;
    await world.pass(120_000);
    assert.equal(world.cluster.calls, calls, hanging);
  }
});

test("closing while a connection is being made ends in time, and what comes of it is closed", async () => {
  const world = new UpstreamWorld(11);
  const opened = Promise.withResolvers<void>();
  let closes = 0;
  const connect = async (): Promise<Cluster> => {
    await opened.promise;
    const cluster = world.cluster.connect();
    const close = cluster.close.bind(cluster);
    cluster.close = async () => {
      closes += 1;
      await close();
    };
    return cluster;
  };
  const half = await startHalf(world, { uplink: { connect } });
  await world.quiet();
  const closed = half.drain.close();
  await world.pass(limits.uplinkCloseWaitMs);
  await closed;
  opened.resolve();
  await world.quiet();
  assert.equal(closes, outputQueues.length);
});

test("a lane that finds the cluster busy waits a while, gives up, and begins anew", async () => {
  const world = new UpstreamWorld(12);
  const half = await startHalf(world);
  world.fate = ({ request }) =>
    request === "InitProducerId" ? "refuse CONCURRENT_TRANSACTIONS" : "answer";
  await half.emit({ summaries: 1 });
  await world.pass(70_000);
  assert.equal(half.status().state, "opening");
  await world.pass(20_000);
  assert.match(half.status().trouble ?? "", /CONCURRENT_TRANSACTIONS/);
  const closed = half.drain.close();
  await world.pass(limits.uplinkCloseWaitMs);
  await closed;
  assert.equal(half.timers, 0);
});
