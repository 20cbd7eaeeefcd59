/**
 * The failure table on Kafka itself, second part: the cluster fails. The broker is killed while
 * transactions are under way, topics are missing, another cluster comes to the same address.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { outputQueues } from "../../src/store/outbox/lane.ts";
import { startKafka } from "../support/kafka/broker.ts";
import { begun, once, oneBroker, passAll, portion, warmUp } from "../support/kafka/failure-rig.ts";
import { type HalfOptions, startHalf } from "../support/kafka/uplink-half.ts";
import { assertOnce } from "../support/kafka/upstream-records.ts";

describe("a cluster", () => {
  const broker = oneBroker({ version: "3.9" });

  it("is killed while transactions are under way: they go on when it is back", async (t) => {
    const rig = await broker(t);
    if (rig === undefined) return;
    const { kafka, proxy } = rig;
    const of = (agent: string): HalfOptions => ({ agent, bootstrap: proxy.bootstrap });
    await using idle = await begun(of("killed-idle"));
    await using sending = await begun(of("killed-sending"));
    await using committing = await begun(of("killed-committing"));

    const produced = reached();
    once(proxy, { step: "Produce", side: "response" }, () => {
      produced.resolve();
      return "hold";
    });
    await sending.emit(portion);
    await produced.promise;
    const committed = reached();
    once(proxy, { step: "EndTxn", side: "request" }, () => {
      committed.resolve();
      return "cut-after";
    });
    await committing.emit(portion);
    await committed.promise;
    await kafka.kill();
    await idle.emit(portion);
    await kafka.restart();

    const halves = [idle, sending, committing];
    for (const half of halves) await half.sent();
    await assertOnce(halves, kafka);
    assert.deepEqual(
      halves
        .flatMap((half) => outputQueues.map((lane) => half.told(lane)))
        .filter((what) => what !== ""),
      [],
    );
  });

  it("lacks topics that weir may not make: it says which, and goes on when they are there", async (t) => {
    const rig = await broker(t);
    if (rig === undefined) return;
    const { kafka, proxy } = rig;
    const topics = { alerts: "a-made", summaries: "s-made", cursors: "c-made" };
    const of = { agent: "makes-none", bootstrap: proxy.bootstrap, topics, createTopics: false };
    await using half = await startHalf(of);
    await half.emit(portion);
    await half.until("it says so", () => half.status("alerts").trouble !== undefined);
    assert.match(
      half.status("alerts").trouble ?? "",
      /no topic a-made \(.*\) and no topic c-made \(.*cleanup\.policy=compact.*: create it, or/,
    );
    await kafka.createTopic(topics.alerts);
    await kafka.createTopic(topics.summaries);
    await kafka.createTopic(topics.cursors, { config: { "cleanup.policy": "delete" } });
    const isTold = (): boolean =>
      /cleanup\.policy=delete/.test(half.status("alerts").trouble ?? "");
    await half.until("it says that cursors would expire", isTold);
    await kafka.deleteTopic(topics.cursors);
    await kafka.createTopic(topics.cursors, { config: { "cleanup.policy": "compact" } });
    await half.sent();
    await assertOnce([half], { bootstrap: kafka.bootstrap, topics });
  });

  it("is replaced by another at the same address: each has its part, and it is told", async (t) => {
    const rig = await broker(t);
    if (rig === undefined) return;
    const { kafka, proxy } = rig;
    await using other = await startKafka({ version: "4", proxied: proxy.port });
    await warmUp(other.bootstrap);
    const bootstrap = proxy.bootstrap;
    await using steady = await begun({ agent: "replaced", bootstrap });
    await using unheard = await begun({ agent: "replaced-in-doubt", bootstrap });
    const inOld = steady.backup();
    const lost = reached();
    once(proxy, { step: "EndTxn", side: "response" }, () => {
      lost.resolve();
      return "cut";
    });
    // The other lane has nothing under way: a transaction left open would hold readers up for long.
    await unheard.emit({ summaries: portion.summaries });
    await lost.promise;
    await proxy.down();
    proxy.to = other.behindProxy;
    passAll(proxy);
    await proxy.up();

    for (const half of [steady, unheard]) {
      await half.emit(portion);
      await half.sent();
      assert.deepEqual(
        outputQueues.map((lane) => half.found(lane)),
        ["cluster-replaced", "cluster-replaced"],
      );
      for (const lane of outputQueues) assert.match(half.told(lane), /the cluster is another one/);
    }
    const from = { alerts: 2, summaries: 5 };
    await assertOnce([steady, unheard], { bootstrap: other.bootstrap, from });
    await assertOnce([{ agent: steady.agent, emitted: inOld.emitted }], kafka);
  });
});

function reached(): PromiseWithResolvers<void> {
  return Promise.withResolvers<void>();
}
