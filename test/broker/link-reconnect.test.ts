/**
 * A real broker comes back after an outage, over a link with a bandwidth: what is fresh is there within
 * two seconds of the first connect although hours wait, and the alert before it.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { linkOf } from "../../src/agent/config/link-config.ts";
import { systemClock } from "../../src/agent/doors/clock.ts";
import { systemKafka } from "../../src/agent/doors/kafka.ts";
import { systemRandom } from "../../src/agent/doors/random.ts";
import { limits } from "../../src/core/limits.ts";
import { KvMemory } from "../../src/store/state/kv-memory.ts";
import { byLane, type OutputQueue } from "../../src/store/outbox/lane.ts";
import { OutboxWriter } from "../../src/store/outbox/outbox.ts";
import { openStateStore } from "../../src/store/state/state-store.ts";
import { openDrain } from "../../src/sync/drain.ts";
import { openKafkaUplink } from "../../src/sync/kafka/kafka-uplink.ts";
import { Link } from "../../src/sync/link/link.ts";
import { Via } from "../../src/sync/link/via.ts";
import { commitRecords } from "../support/commit-records.ts";
import { oneBroker } from "../support/kafka/failure-rig.ts";
import { sampleRecord } from "../support/kafka/sample-record.ts";

const bandwidth = 16_000;
/** A second of event time each; the last five minutes are fresh, and more than one delivery. */
const backlog = 4_000;
const broker = oneBroker({ version: "3.9" });

test("after an outage the alert comes first, then what is fresh within 2 s of the connect, then the rest", async (t) => {
  const rig = await broker(t);
  if (rig === undefined) return;
  const { proxy } = rig;
  const { store } = await openStateStore(new KvMemory());
  const clock = systemClock();
  const random = systemRandom();
  const link = new Link({
    policy: linkOf({ name: "lte", bandwidth }),
    clock,
    trustedNow: () => clock.now(),
    get: (key) => store.get(key),
    store: (writes) => store.advance(writes),
  });
  const over = new Via({ links: [link], clock, isShared: false });
  const door = systemKafka(clock);
  let connectedAt: number | undefined;
  const uplink = openKafkaUplink({
    name: "kafka",
    agent: "back",
    version: "0.0.0-test",
    delivery: "transactional",
    lanes: byLane((lane) => `back.${lane}`),
    cursorTopic: "back.cursors",
    topics: { create: true, partitions: 1, replication: 1, cursorPartitions: 1 },
    headers: "cloudevents",
    compression: "none",
    avro: undefined,
    lingerMs: 0,
    batchBytesMax: limits.kafkaBatchBytesMax,
    recordBytesMax: limits.kafkaRecordBytesMax,
    transactionMs: limits.kafkaTransactionMs,
    clock,
    random,
    over,
    connect: async (clientId, lane) => {
      const cluster = await door.connect({
        bootstrap: [proxy.bootstrap],
        clientId,
        requestTimeoutMs: limits.kafkaRequestMs,
        connectTimeoutMs: limits.kafkaConnectMs,
        wire: over.wire(lane),
      });
      connectedAt ??= clock.monotonic();
      return cluster;
    },
    isOutdated: undefined,
    freshForMs: limits.freshForMs,
    get: (key) => store.get(key),
    read: (at, of) => store.lanes.readLane(at, of),
  });
  const drain = openDrain({ store, uplinks: [uplink], clock, random });
  t.after(() => drain.close());
  const lanes = (): (typeof drain.status)[number]["lanes"] => drain.status[0]!.lanes;
  const emit = async (lane: OutputQueue, first: number, count: number): Promise<void> => {
    const outbox = new OutboxWriter();
    for (let number = first; number < first + count; number++) {
      outbox.add(lane, sampleRecord({ agent: "back", lane, number, by: "x".repeat(200) }));
    }
    await commitRecords(store, outbox);
    drain.wake();
  };
  const until = async (what: string, isSo: () => boolean): Promise<number> => {
    const deadline = clock.monotonic() + 60_000;
    while (!isSo()) {
      assert.ok(clock.monotonic() < deadline, `${what}: ${JSON.stringify(drain.status)}`);
      await sleep(5);
    }
    return clock.monotonic();
  };

  // Topics, and what the client loads once, are there before the network goes away.
  await emit("alerts", 0, 1);
  await emit("summaries", 0, 1);
  await until(
    "both lanes are open",
    () => lanes().alerts.delivered + lanes().summaries.delivered === 2,
  );
  await proxy.down();
  for (let first = 1; first < backlog; first += 500) await emit("summaries", first, 500);
  await emit("alerts", 1, 1);
  await until("both lanes notice", () => lanes().alerts.failures * lanes().summaries.failures > 0);
  const before = { alerts: lanes().alerts.deliveries, summaries: lanes().summaries.deliveries };
  connectedAt = undefined;
  await proxy.up();

  const alertAt = await until("the alert", () => lanes().alerts.deliveries > before.alerts);
  const freshAt = await until("fresh", () => lanes().summaries.deliveries > before.summaries);
  assert.ok(connectedAt !== undefined);
  const [alertMs, freshMs] = [alertAt - connectedAt, freshAt - connectedAt];
  t.diagnostic(`alert ${alertMs.toFixed(0)} ms after the connect, fresh ${freshMs.toFixed(0)} ms`);
  assert.ok(alertMs <= freshMs, "the alert was not behind");
  assert.ok(freshMs <= 2_000, `${freshMs} ms`);
  assert.equal(lanes().backfill.deliveries, 0, "nothing of the backlog was before");
  assert.ok(lanes().backfill.behind > 3_000, `${lanes().backfill.behind} are behind`);
  await until("the rest begins", () => lanes().backfill.deliveries > 0);
});
