/**
 * The queues to Kafka on a model of a cluster: wherever a crash falls, and whatever requests and
 * cluster do, a read_committed consumer has every record once, in order. Seeds: test/support/seeds.ts.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { byOutputQueue, outputQueues } from "../../src/store/outbox/lane.ts";
import type { ModelCall } from "../support/kafka/cluster-model.ts";
import { leaveTransactionOpen } from "../support/kafka/stuck-transaction.ts";
import { below } from "../support/seeded-random.ts";
import { eachSeed, reachesAll, seedCount } from "../support/seeds.ts";
import {
  cursorTopic,
  type Fate,
  type HalfOptions,
  startHalf,
  topics,
  UpstreamHalf,
  UpstreamWorld,
} from "../support/kafka/upstream-half.ts";
import { assertExactlyOnce, assertProven, received } from "../support/kafka/upstream-oracle.ts";

// ---- crashes ----

const total = 10;

/** Emits in small steps and crashes at call `crashAt`; goes on until all is out. How often it crashed. */
async function runWithCrash(seed: number, crashAt: number): Promise<number> {
  const world = new UpstreamWorld(seed * 1_000_003 + crashAt);
  let options: HalfOptions = { crashAt };
  for (let crashes = 0; ; crashes++) {
    const half = new UpstreamHalf(world, options);
    if ((await Promise.race([emitAll(half), half.crashed])) !== "crashed") {
      assertExactlyOnce(half, `crash at call ${crashAt}, seed ${seed}`);
      await assertProven(half, `crash at call ${crashAt}, seed ${seed}`);
      await half.drain.close();
      return crashes;
    }
    await world.quiet();
    // The second life may crash as well, while it recovers; the third does not.
    const again = crashes === 0 ? { crashAt: 1 + below(world.random, 30) } : {};
    options = { ...half.remains, ...again };
  }
}

async function emitAll(half: UpstreamHalf): Promise<void> {
  const { world } = half;
  const { random } = world;
  await half.start();
  if (below(random, 2) === 0) await world.quiet();
  while (outputQueues.some((lane) => half.store.span(lane).next < total)) {
    const left = byOutputQueue((lane) => total - half.store.span(lane).next);
    await half.emit(byOutputQueue((lane) => Math.min(left[lane], below(random, 4))));
    if (below(random, 10) < 7) await world.quiet();
  }
  assert.ok(await world.until(() => half.isDone), "all is out in the end");
}

test("each record is in Kafka exactly once, in order, wherever a crash falls", async (t) => {
  const rounds = Math.ceil(seedCount / 10);
  let crashes = 0;
  await eachSeed(t, rounds, async (seed) => {
    for (let crashAt = 1; (await runWithCrash(seed, crashAt)) > 0; crashAt++) crashes += 1;
  });
  assert.ok(crashes > rounds * 25, `${crashes} crash points`);
});

// ---- faults by chance ----

const day = 86_400_000;

/** What brokers answer on bad days, at any step. */
const refusals = [
  "NOT_LEADER_OR_FOLLOWER",
  "LEADER_NOT_AVAILABLE",
  "REQUEST_TIMED_OUT",
  "NOT_ENOUGH_REPLICAS",
  "COORDINATOR_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "NOT_COORDINATOR",
  "CONCURRENT_TRANSACTIONS",
  "UNSTABLE_OFFSET_COMMIT",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "KAFKA_STORAGE_ERROR",
  "INVALID_PRODUCER_EPOCH",
  "PRODUCER_FENCED",
  "INVALID_PRODUCER_ID_MAPPING",
  "INVALID_TXN_STATE",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN_SERVER_ERROR",
];

function randomFate({ clock, random }: UpstreamWorld): Fate {
  const refusal = refusals[below(random, refusals.length)] ?? "UNKNOWN_SERVER_ERROR";
  const fates: readonly Fate[] = [
    "lose-request",
    "lose-answer",
    "hang-request",
    "hang-answer",
    `refuse ${refusal}`,
  ];
  const chosen = below(random, fates.length + 1);
  if (chosen < fates.length) return fates[chosen] ?? "answer";
  // It arrives late: in time, or when nobody waits for it any more.
  const { promise, resolve } = Promise.withResolvers<"answer">();
  clock.after(below(random, 60_000), () => resolve("answer"));
  return promise;
}

/** For the next few requests, each with a chance to go well. */
function badNetwork(world: UpstreamWorld): void {
  let left = 1 + below(world.random, 8);
  world.fate = (): Fate => {
    if (left === 0) return "answer";
    left -= 1;
    return below(world.random, 2) === 0 ? "answer" : randomFate(world);
  };
}

/** The next transaction takes so long that the coordinator aborts it. */
function slowTransaction(world: UpstreamWorld): void {
  let isOver = false;
  world.fate = ({ request }: ModelCall): Fate => {
    if (request === "EndTxn" && !isOver) {
      world.aheadMs += 61_000;
      isOver = true;
    }
    return "answer";
  };
}

/** Another agent leaves a transaction open on partitions that we write to. */
async function stuckTransaction({ cluster: model, clock }: UpstreamWorld): Promise<void> {
  const at = { topics: [topics.summaries, cursorTopic], timeMs: clock.now() };
  await leaveTransactionOpen(model.connect(), at);
}

type Event = (half: UpstreamHalf) => Promise<UpstreamHalf> | UpstreamHalf;

const events: readonly Event[] = [
  (half) => (badNetwork(half.world), half),
  (half) => (badNetwork(half.world), half),
  (half) => (badNetwork(half.world), half),
  (half) => (slowTransaction(half.world), half),
  async (half) => (await stuckTransaction(half.world), half),
  // Transactional ids, offsets of groups and producers are forgotten; or producers alone.
  (half) => ((half.world.aheadMs += 8 * day), half),
  (half) => ((half.world.aheadMs += 2 * day), half),
  (half) => (half.world.cluster.compact(cursorTopic), half),
  async (half) => (await half.world.pass(below(half.world.random, 90_000)), half),
  async (half) => {
    half.crash();
    await half.world.quiet();
    return await startHalf(half.world, half.remains);
  },
];

async function runWithFaults(seed: number): Promise<void> {
  const world = new UpstreamWorld(seed);
  const { random } = world;
  let half = await startHalf(world);
  await world.quiet();
  for (let round = 0; round < 25; round++) {
    await half.emit(byOutputQueue(() => below(random, 4)));
    const event = events[below(random, events.length)];
    if (event !== undefined) half = await event(half);
    if (below(random, 3) === 0) await world.quiet();
    if (below(random, 3) === 0) await world.pass(below(random, 20_000));
  }
  world.fate = () => "answer";
  const where = `seed ${seed}`;
  const isDone = await world.until(() => half.isDone);
  assert.ok(isDone, `${where}: ${half.status("alerts").trouble} ${half.status().trouble}`);
  world.aheadMs += 120_000;
  assertExactlyOnce(half, where);
  await half.drain.close();
  assert.equal(half.timers, 0, `${where}: no timer is left`);
}

test("each record is in Kafka exactly once, in order, whatever requests and cluster do", async (t) => {
  await eachSeed(t, seedCount, runWithFaults);
});

// ---- without transactions ----

test("without transactions no record is lost, and what is repeated has the same id and bytes", async (t) => {
  let repeated = 0;
  await eachSeed(t, Math.ceil(seedCount / 2), async (seed) => {
    const world = new UpstreamWorld(seed);
    const options = { uplink: { delivery: "upsert" } } as const;
    let half = await startHalf(world, options);
    for (let round = 0; round < 10; round++) {
      await half.emit(byOutputQueue(() => below(world.random, 4)));
      badNetwork(world);
      await world.pass(below(world.random, 90_000));
      if (below(world.random, 4) > 0) continue;
      half.crash();
      await world.quiet();
      half = await startHalf(world, { ...options, ...half.remains });
    }
    world.fate = () => "answer";
    assert.ok(await world.until(() => half.isDone), `seed ${seed}`);
    for (const lane of outputQueues) {
      const all = received(world.cluster, lane);
      const values = new Map(all.map(({ seq, value }) => [seq, value]));
      repeated += all.length - values.size;
      for (const { seq, value } of all) assert.equal(value, values.get(seq), `seed ${seed}`);
      const sorted = [...values].toSorted(([a], [b]) => a - b).map(([, value]) => value);
      assert.deepEqual(sorted, half.emitted[lane], `seed ${seed}, ${lane}`);
      assert.ok(new Set(all.map(({ outbox }) => outbox)).size <= 1, `seed ${seed}`);
    }
    await half.drain.close();
  });
  if (reachesAll) assert.ok(repeated > 0, "some were repeated");
});
