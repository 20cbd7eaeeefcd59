/**
 * The failure table on Kafka itself, fourth part: time passes. The cluster forgets producers and
 * transactional ids, which takes days elsewhere and seconds here, and others leave transactions open.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { outputQueues } from "../../src/store/outbox/lane.ts";
import { laneName } from "../../src/sync/kafka/lane-state.ts";
import type { TransactionOf } from "../../src/sync/kafka/cluster.ts";
import { batchBytes } from "../support/kafka/cluster-contract-rig.ts";
import type { KafkaBroker } from "../support/kafka/broker.ts";
import {
  begun,
  once,
  oneBroker,
  openCluster,
  passAll,
  portion,
  type Step,
} from "../support/kafka/failure-rig.ts";
import { readCommitted } from "../support/kafka/kcat.ts";
import type { KafkaProxy } from "../support/kafka/proxy.ts";
import { forgotten } from "../support/kafka/transactional-ids.ts";
import {
  type HalfOptions,
  partitions,
  type Remains,
  startHalf,
  topicNames,
  type UplinkHalf,
} from "../support/kafka/uplink-half.ts";
import { assertOnce } from "../support/kafka/upstream-records.ts";

const version = "3.9";
const stuckTimeoutMs = 6_000;

describe("a cluster with a short memory", () => {
  const broker = oneBroker({ version, expiry: "short" });

  it("has forgotten producers, ids and offsets: the cursor topic tells, and it goes on", async (t) => {
    const rig = await broker(t);
    if (rig === undefined) return;
    const { kafka, proxy } = rig;
    const of = (agent: string): HalfOptions => ({ agent, bootstrap: proxy.bootstrap });
    await using idle = await begun(of("old-idle"));
    const remains = await diedAt(proxy, await begun(of("old-unheard")), "EndTxn");
    const gone = await begun(of("old-gone"));
    gone.crash();
    const producers = outputQueues.map((lane) => idle.status(lane).facts["producer"]);

    const agents = ["old-idle", "old-unheard", "old-gone"];
    const names = agents.flatMap((agent) => outputQueues.map((lane) => laneName(agent, lane)));
    await forgotten(kafka.bootstrap, names);
    for (const group of names) await kafka.deleteGroup(group);

    await idle.emit(portion);
    await idle.sent();
    for (const [index, lane] of outputQueues.entries()) {
      assert.equal(idle.found(lane), "resumed");
      assert.notEqual(idle.status(lane).facts["producer"], producers[index], "a new producer id");
    }
    await using unheard = await startHalf({ ...of("old-unheard"), remains });
    await unheard.emit(portion);
    await unheard.sent();
    assert.equal(unheard.found("summaries"), "committed");
    await assertOnce([idle, unheard], kafka);

    // Nothing here says where the cursor might be: the topic is read from its beginning. What was
    // found is seen at once, and told when it is stored.
    await using successor = await startHalf(of("old-gone"));
    await successor.until("its outputQueues tell what they found", () =>
      outputQueues.every((lane) => successor.told(lane) !== ""),
    );
    for (const lane of outputQueues) {
      assert.equal(successor.found(lane), "begun");
      assert.match(
        successor.told(lane),
        new RegExp(`has written ${portion[lane]} records as old-gone, which this agent takes over`),
      );
    }
  });

  it("has an aborted cursor last in the topic: the one before it counts", async (t) => {
    const rig = await broker(t);
    if (rig === undefined) return;
    const { kafka, proxy } = rig;
    const of = { agent: "aborted", bootstrap: proxy.bootstrap };
    const remains = await diedAt(proxy, await begun(of), "Produce");
    for (const lane of outputQueues) await kafka.deleteGroup(laneName(of.agent, lane));
    await using again = await startHalf({ ...of, remains });
    await again.emit(portion);
    await again.sent();
    for (const lane of outputQueues) assert.equal(again.found(lane), "resumed");
    await assertOnce([again], kafka);
  });

  it("has a stuck transaction of another: the cursor is found behind it, and it goes on", async (t) => {
    const rig = await broker(t);
    if (rig === undefined) return;
    const { kafka, proxy } = rig;
    const of = { agent: "behind-stuck", bootstrap: proxy.bootstrap };
    const half = await begun(of);
    await using stuck = await openStuck(kafka);
    const remains = await diedAt(proxy, half, "EndTxn");
    for (const lane of outputQueues) await kafka.deleteGroup(laneName(of.agent, lane));

    await using again = await startHalf({ ...of, remains });
    await again.emit(portion);
    await again.sent();
    assert.equal(again.found("summaries"), "committed");
    assert.equal(await visible(kafka, of.agent), portion.summaries, "the rest lies behind");
    assert(stuck.ageMs < stuckTimeoutMs, "it was looked at before the other timed out");
    await assertOnce([again], kafka);
    assert(stuck.ageMs >= stuckTimeoutMs);
  });
});

/** What is left of it after a transaction of its summaries where this answer was never heard. */
async function diedAt(proxy: KafkaProxy, half: UplinkHalf, step: Step): Promise<Remains> {
  const { promise, resolve } = Promise.withResolvers<Remains>();
  once(proxy, { step, side: "response" }, () => {
    resolve(half.crash());
    return "cut";
  });
  await half.emit({ summaries: portion.summaries });
  const remains = await promise;
  passAll(proxy);
  return remains;
}

/** A transaction on every partition of ours, which nobody will end. */
async function openStuck({
  bootstrap,
}: KafkaBroker): Promise<AsyncDisposable & { readonly ageMs: number }> {
  const cluster = await openCluster(bootstrap);
  const transactionalId = "stuck";
  const producer = await cluster.initProducer({ transactionalId, timeoutMs: stuckTimeoutMs });
  const since = performance.now();
  const of: TransactionOf = { transactionalId, producer };
  const { alerts, summaries, cursors } = topicNames;
  const at = [
    ...Array.from({ length: partitions }, (_, partition) => ({ topic: alerts, partition })),
    ...Array.from({ length: partitions }, (_, partition) => ({ topic: summaries, partition })),
    { topic: cursors, partition: 0 },
    { topic: cursors, partition: 1 },
  ];
  await cluster.addPartitions(of, at);
  const bytes = batchBytes({ producer, sequence: 0, count: 1 });
  await cluster.produce(
    at.map((place) => ({ ...place, bytes })),
    of,
  );
  return {
    get ageMs() {
      return performance.now() - since;
    },
    [Symbol.asyncDispose]: async () => await cluster.close(),
  };
}

/** Summaries of the agent that a read_committed reader sees now. */
async function visible({ bootstrap }: KafkaBroker, agent: string): Promise<number> {
  const read = await readCommitted({ bootstrap, topic: topicNames.summaries });
  return read.filter(({ headers }) => headers["ce_source"] === `/weir/${agent}`).length;
}
