/** An uplink over a link with a bandwidth, to a real broker: what is measured between the two. */

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
/** So many windows of 10 s, each begun a second after the one before. */
const windows = 8;
const broker = oneBroker({ version: "3.9" });

test("a backlog is sent at the bandwidth of its link and never above it, and an alert passes it", async (t) => {
  const rig = await broker(t);
  if (rig === undefined) return;
  const { proxy } = rig;
  const { store } = await openStateStore(new KvMemory());
  const clock = systemClock();
  const link = new Link({
    policy: linkOf({ name: "lte", bandwidth }),
    clock,
    trustedNow: () => clock.now(),
    get: (key) => store.get(key),
    store: (writes) => store.advance(writes),
  });
  const over = new Via({ links: [link], clock, isShared: false });
  const door = systemKafka(clock);
  const random = systemRandom();
  const uplink = openKafkaUplink({
    name: "kafka",
    agent: "link",
    version: "0.0.0-test",
    delivery: "transactional",
    lanes: byLane((lane) => `link.${lane}`),
    cursorTopic: "link.cursors",
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
    connect: (clientId, lane) =>
      door.connect({
        bootstrap: [proxy.bootstrap],
        clientId,
        requestTimeoutMs: limits.kafkaRequestMs,
        connectTimeoutMs: limits.kafkaConnectMs,
        wire: over.wire(lane),
      }),
    isOutdated: undefined,
    freshForMs: Infinity,
    get: (key) => store.get(key),
    read: (at, of) => store.lanes.readLane(at, of),
  });
  const arrivals: { readonly atMs: number; readonly bytes: number }[] = [];
  proxy.onArrival = (bytes) => arrivals.push({ atMs: clock.monotonic(), bytes });
  const drain = openDrain({ store, uplinks: [uplink], clock, random });
  t.after(() => drain.close());
  const emit = async (lane: OutputQueue, count: number): Promise<void> => {
    const outbox = new OutboxWriter();
    for (let number = 0; number < count; number++) {
      outbox.add(lane, sampleRecord({ agent: "link", lane, number, by: "x".repeat(200) }));
    }
    await commitRecords(store, outbox);
    drain.wake();
  };
  await emit("summaries", 2_000);
  const lanes = (): (typeof drain.status)[number]["lanes"] => drain.status[0]!.lanes;
  const deadline = clock.monotonic() + 60_000;
  while (lanes().summaries.deliveries === 0) {
    assert.ok(clock.monotonic() < deadline, JSON.stringify(drain.status));
    await sleep(50);
  }
  const from = clock.monotonic();
  await sleep(5_000);
  await emit("alerts", 1);
  const emitted = clock.monotonic();
  while (lanes().alerts.behind > 0 && clock.monotonic() < emitted + 10_000) await sleep(10);
  const alertMs = clock.monotonic() - emitted;
  await sleep(Math.max(0, from + limits.linkSpanMs + windows * 1_000 - clock.monotonic()));
  assert.ok(lanes().summaries.behind > 0, "there was a backlog all the time");

  const most = (bandwidth * limits.linkSpanMs) / 1_000;
  for (let second = 0; second < windows; second++) {
    const begin = from + second * 1_000;
    const sum = arrivals
      .filter(({ atMs }) => atMs >= begin && atMs < begin + limits.linkSpanMs)
      .reduce((total, { bytes }) => total + bytes, 0);
    t.diagnostic(`${sum} bytes in 10 s, ${((100 * sum) / most).toFixed(1)} % of the bandwidth`);
    // What a reader that was late finds of the moment before.
    assert.ok(sum <= most + link.wire("summaries").pieceBytesMax, `${sum} of ${most}`);
    assert.ok(sum >= 0.9 * most, `${sum} of ${most}`);
  }
  t.diagnostic(`an alert was committed ${alertMs.toFixed(0)} ms after it was there`);
  assert.ok(alertMs < 2_000, `the alert took ${alertMs} ms`);
  assert.equal(lanes().summaries.failures, 0);
});
