/**
 * What changes around a lane that has something under way: its configuration, the cluster, the link,
 * what others write. On the model cluster; each of these once lost, repeated or blocked something.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Cluster } from "../../src/sync/kafka/cluster.ts";
import { Fault } from "../../src/core/faults.ts";
import { partitionOf } from "../../src/sync/kafka/message/murmur2.ts";
import { encodeRecordBatch, noCompression } from "../../src/sync/kafka/message/record-batch.ts";
import { cursorTopic, startHalf, topics, UpstreamWorld } from "../support/kafka/upstream-half.ts";
import { received } from "../support/kafka/upstream-oracle.ts";

const hourMs = 3_600_000;

/** `outbox:seq` of every summary that a read_committed consumer sees, and those seen twice. */
function seen(world: UpstreamWorld): { readonly all: string[]; readonly twice: string[] } {
  world.cluster.settle();
  const all = received(world.cluster, "summaries").map(({ outbox, seq }) => `${outbox}:${seq}`);
  return { all, twice: all.filter((id, index) => all.indexOf(id) !== index) };
}

function changed(cluster: Cluster, changes: Partial<Cluster>): Cluster {
  return new Proxy(cluster, {
    get(target, name) {
      const value: unknown = Reflect.get(changes, name) ?? Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test("a cursor that anybody may have written is not believed: the lane says so and goes on later", async () => {
  const world = new UpstreamWorld(1);
  const key = Buffer.from("gw1/summaries");
  world.cluster.createTopic(cursorTopic, { config: { "cleanup.policy": "compact" } });
  const cursor = {
    v: 1,
    agent: "gw1",
    lane: "summaries",
    seq: 1,
    boots: [],
    before: [],
    weir: "1",
  };
  const value = JSON.stringify({ ...cursor, outbox: "x".repeat(4_000), digest: "d" });
  const bytes = encodeRecordBatch([{ key, value: Buffer.from(value), headers: [] }], {
    producer: undefined,
    sequence: 0,
    isTransactional: false,
    timeMs: world.clock.now(),
    compression: noCompression,
  });
  const at = { topic: cursorTopic, partition: partitionOf(key, 1) };
  await world.cluster.connect().produce([{ ...at, bytes }], { transactionalId: undefined });
  const half = await startHalf(world);
  await half.emit({ summaries: 1 });
  await world.pass(10_000);
  assert.match(half.status().trouble ?? "", /holds under gw1\/summaries is no cursor/);
  world.cluster.truncateFront(at, 1);
  await world.pass(120_000);
  assert.equal(half.status().delivered, 1);
});

for (const [change, uplink] of [
  ["renamed", { cursorTopic: "other" }],
  ["the same", {}],
] as const) {
  test(`an answer that was lost is found where it was written, the cursor topic being ${change} now`, async () => {
    const world = new UpstreamWorld(2);
    let half = await startHalf(world);
    await half.emit({ summaries: 10 });
    await world.pass(10_000);
    world.fate = ({ request }) => (request === "EndTxn" ? "hang-answer" : "answer");
    await half.emit({ summaries: 10 });
    await world.pass(1_000);
    const remains = half.crash();
    world.fate = () => "answer";
    half = await startHalf(world, { ...remains, uplink });
    await half.emit({ summaries: 5 });
    await world.pass(120_000);
    assert.deepEqual([seen(world).all.length, seen(world).twice], [25, []]);
    assert.equal(half.incidents, 0);
    half = await startHalf(world, half.crash());
    await half.emit({ summaries: 5 });
    await world.pass(120_000);
    assert.deepEqual([seen(world).all.length, seen(world).twice, half.incidents], [30, [], 0]);
  });
}

test("what was in doubt without transactions is named when there are transactions", async () => {
  const world = new UpstreamWorld(3);
  let half = await startHalf(world, { uplink: { delivery: "upsert" } });
  await half.emit({ summaries: 10 });
  await world.pass(10_000);
  world.fate = ({ request }) => (request === "Produce" ? "hang-answer" : "answer");
  await half.emit({ summaries: 10 });
  await world.pass(1_000);
  const remains = half.crash();
  world.fate = () => "answer";
  half = await startHalf(world, remains);
  await world.pass(60_000);
  assert.equal(seen(world).twice.length, 10);
  const { count, last } = half.status().incidents;
  assert.deepEqual([count, last?.first, last?.next], [1, 10, 20]);
});

test("back in a cluster of before, nothing is said to be lost", async () => {
  const world = new UpstreamWorld(4);
  const first = world.cluster;
  let half = await startHalf(world);
  for (const cluster of [first, world.newCluster("another"), first]) {
    world.cluster = cluster;
    half = await startHalf(world, half.crash());
    await half.emit({ summaries: 10 });
    await world.pass(10_000);
  }
  assert.equal(half.incidents, 2);
  assert.match(half.status().incidents.last?.what ?? "", /the cluster is another one/);
});

test("a lane whose first record was left out has lost no cursor", async () => {
  const world = new UpstreamWorld(5);
  const uplink = { recordBytesMax: 1_500 };
  const half = await startHalf(world, { uplink });
  await half.emit({ summaries: 1 }, { bytes: 2_000 });
  await world.pass(10_000);
  const next = await startHalf(world, { ...half.crash(), uplink });
  await world.pass(10_000);
  assert.equal(next.incidents, 1, "the record that was left out");
});

test("on a slow link batches become small enough to get through", async () => {
  const world = new UpstreamWorld(6);
  const bytesPerMs = 20;
  const connect = async (): Promise<Cluster> => {
    const cluster = world.cluster.connect();
    const produce: Cluster["produce"] = async (batches, options) => {
      const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
      const { promise, resolve } = Promise.withResolvers<void>();
      world.clock.after(Math.min(bytes / bytesPerMs, 30_000), resolve);
      await promise;
      if (bytes / bytesPerMs > 30_000) throw new Fault("UPLINK_UNREACHABLE", "no answer in time");
      return await cluster.produce(batches, options);
    };
    return changed(cluster, { produce });
  };
  const half = await startHalf(world, { uplink: { connect: () => connect() } });
  await half.emit({ summaries: 3_000 }, { bytes: 200 });
  await world.pass(hourMs);
  assert.equal(half.status().next, 3_000);
  assert.ok(half.status().failures < 10, `${half.status().failures} failures`);
});

test("connections that are lost as soon as they are there are not opened in a loop", async () => {
  const world = new UpstreamWorld(7);
  let opens = 0;
  const connect = (): Promise<Cluster> => {
    opens += 1;
    return Promise.resolve(changed(world.cluster.connect(), { isLost: true }));
  };
  const half = await startHalf(world, { uplink: { connect } });
  for (let n = 0; n < 20; n++) {
    await half.emit({ summaries: 1 });
    await world.pass(5_000);
  }
  assert.equal(half.status().delivered, 20);
  assert.ok(opens < 60, `${opens} sessions for 20 deliveries`);
});

test("a topic that takes small batches only is not tried with large ones after each success", async () => {
  const world = new UpstreamWorld(9);
  const config = { "max.message.bytes": "20000" };
  world.cluster.createTopic(topics.summaries, { partitions: 1, config });
  const sessions = new Set<number>();
  world.fate = ({ session }) => {
    sessions.add(session);
    return "answer";
  };
  const half = await startHalf(world, { uplink: { freshForMs: Infinity } });
  await half.emit({ summaries: 2_000 }, { bytes: 200 });
  await world.pass(hourMs);
  const { delivered, deliveries } = half.status();
  assert.equal(delivered, 2_000);
  assert.ok(deliveries > 50, `${deliveries} deliveries`);
  assert.ok(sessions.size < deliveries / 6, `${sessions.size} sessions, ${deliveries} deliveries`);
});

test("a gateway whose clock was never set sends records without a time", async () => {
  const world = new UpstreamWorld(10);
  world.cluster.createTopic(topics.summaries, { partitions: 1 });
  const clock = new Proxy(world.clock, {
    get(target, name) {
      if (name === "now") return () => 0;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const half = await startHalf(world, { uplink: { clock } });
  await half.emit({ summaries: 1 });
  await world.pass(10_000);
  world.cluster.settle();
  const times = world.cluster.readCommitted(topics.summaries).map(({ timestamp }) => timestamp);
  assert.deepEqual(times, [-1]);
});

test("records that a topic never takes cost a moment each, not a backoff", async () => {
  const world = new UpstreamWorld(8);
  world.cluster.createTopic(topics.summaries, { config: { "max.message.bytes": "2000" } });
  const half = await startHalf(world);
  for (let n = 0; n < 40; n++) await half.emit({ summaries: 5 }, { bytes: 2_000 });
  await world.pass(hourMs);
  const { delivered, failures } = half.status();
  assert.deepEqual([delivered, failures], [200, 0]);
  assert.equal(half.status().incidents.count, 200);
});

test("a group that stays undecided though all transactions are over is passed over", async () => {
  const world = new UpstreamWorld(11);
  let half = await startHalf(world);
  await half.emit({ summaries: 10, alerts: 3 });
  await world.pass(10_000);
  world.fate = ({ request }) => (request === "EndTxn" ? "hang-answer" : "answer");
  await half.emit({ summaries: 10 });
  await world.pass(1_000);
  const remains = half.crash();
  let asked = 0;
  world.fate = ({ request }) => {
    if (request !== "OffsetFetch") return "answer";
    asked += 1;
    return "refuse UNSTABLE_OFFSET_COMMIT";
  };
  half = await startHalf(world, remains);
  await half.emit({ summaries: 5 });
  await world.pass(30_000);
  assert.ok(half.isDone, half.status().trouble ?? "");
  assert.ok(asked > 2 && asked < 60, `${asked} times asked`);
  const { all, twice } = seen(world);
  assert.equal(all.length, 25);
  assert.deepEqual(twice, []);
  assert.equal(half.incidents, 0);
});
