/**
 * Two halves under one name, restored copies, and clusters that forget: nothing is lost or repeated
 * in silence. What is upstream twice is there under two outboxes and was reported; of two that run,
 * one halts.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { byOutputQueue, outputQueues } from "../../src/store/outbox/lane.ts";
import { assertNothingSilent } from "../support/kafka/repetition-oracle.ts";
import { below } from "../support/seeded-random.ts";
import { eachSeed, seedCount } from "../support/seeds.ts";
import {
  cursorTopic,
  type HalfOptions,
  startHalf,
  type UpstreamHalf,
  UpstreamWorld,
} from "../support/kafka/upstream-half.ts";
import { histories, lastCursor } from "../support/kafka/upstream-oracle.ts";

const seeds = Math.ceil(seedCount / 4);

async function emitAndSend(half: UpstreamHalf, count: number): Promise<void> {
  await half.emit({ alerts: count, summaries: count });
  await atRest(half);
}

async function atRest(half: UpstreamHalf): Promise<void> {
  assert.ok(await half.world.until(() => half.isDone), String(half.status().trouble));
}

/** A half that has sent so many records, in transactions of two. */
async function sentBy(
  world: UpstreamWorld,
  count: number,
  options: HalfOptions = {},
): Promise<UpstreamHalf> {
  const half = await startHalf(world, options);
  for (let sent = 0; sent < count; sent += 2) await emitAndSend(half, 2);
  return half;
}

function findings(half: UpstreamHalf): readonly unknown[] {
  return outputQueues.map((lane) => half.status(lane).facts["found"]);
}

// ---- restored copies ----

test("a restored copy with the same records catches up and sends nothing again", async () => {
  const world = new UpstreamWorld(1);
  const original = await sentBy(world, 4);
  // What is restored had the next records in its outbox, unsent.
  world.fate = () => "lose-request";
  await original.emit({ alerts: 3, summaries: 3 });
  await world.pass(5_000);
  await original.emit({ alerts: 2, summaries: 2 });
  const backup = original.remains;
  world.fate = () => "answer";
  await world.until(() => original.isDone);
  original.crash();
  const restored = await startHalf(world, backup);
  await world.until(() => restored.isDone);
  assert.deepEqual(findings(restored), ["caught-up", "caught-up"]);
  assert.match(restored.status().incidents.last!.what, /5 records more than this agent remembered/);
  await emitAndSend(restored, 2);
  assert.equal(restored.incidents, 2);
  world.cluster.settle();
  const found = histories(world.cluster, "summaries", "restored");
  assert.deepEqual([...found.values()], [restored.emitted.summaries]);
});

test("a restored copy with other records goes on as a new outbox and says where it parted", async () => {
  const world = new UpstreamWorld(2);
  const original = await sentBy(world, 4);
  const backup = original.remains;
  await emitAndSend(original, 3);
  original.crash();
  const restored = await startHalf(world, { ...backup, origin: "b" });
  await emitAndSend(restored, 5);
  assertNothingSilent(world, [original, restored], "restored");
  assert.deepEqual(findings(restored), ["forked", "forked"]);
  const sent = world.cluster.readCommitted("summaries");
  const cursor = lastCursor(world.cluster, "gw1", "summaries");
  const [old, seq] = cursor.before[0] ?? [];
  const forked = sent.filter(({ headers }) => headers["ce_id"]?.startsWith(cursor.outbox));
  assert.equal(seq, 7);
  assert.deepEqual(
    forked.map(({ headers }) => headers["weir-forked-from"]),
    Array.from({ length: 5 }, () => `${old}:4`),
  );
});

test("a fork sends what it does not know to be sent, and says so although a takeover was told before", async () => {
  const world = new UpstreamWorld(10);
  (await sentBy(world, 2, { origin: "old" })).crash();
  const original = await sentBy(world, 4);
  world.fate = () => "lose-request";
  await original.emit({ alerts: 3, summaries: 3 });
  const backup = original.remains;
  await world.pass(5_000);
  await original.emit({ alerts: 1, summaries: 1 });
  world.fate = () => "answer";
  await atRest(original);
  original.crash();
  const restored = await startHalf(world, { ...backup, origin: "b" });
  await emitAndSend(restored, 2);
  assert.deepEqual(findings(restored), ["forked", "forked"]);
  world.cluster.settle();
  const unknown = original.emitted.summaries.slice(4, 7);
  const sent = [...histories(world.cluster, "summaries", "fork").values()];
  const those = sent.filter((texts) => unknown.every((text) => texts.includes(text)));
  assert.equal(those.length, 2, "they are in both outboxes");
  assertNothingSilent(world, [original, restored], "fork");
});

test("a fork is reported once, also when it has nothing to send for a long time", async () => {
  const world = new UpstreamWorld(3);
  const original = await sentBy(world, 4);
  const backup = original.remains;
  await emitAndSend(original, 2);
  original.crash();
  let restored = await startHalf(world, { ...backup, origin: "b" });
  for (let start = 0; start < 3; start++) {
    await atRest(restored);
    assert.equal(restored.incidents, 2);
    restored.crash();
    restored = await startHalf(world, { ...restored.remains, origin: "b" });
  }
  await emitAndSend(restored, 2);
  assert.equal(restored.incidents, 2);
  assertNothingSilent(world, [original, restored], "forked");
});

// ---- two at a time ----

/** Runs until both have nothing to do: all sent, or halted. */
async function settle(world: UpstreamWorld, halves: readonly UpstreamHalf[]): Promise<void> {
  const isSettled = (half: UpstreamHalf): boolean =>
    outputQueues.every((lane) => half.isLaneDone(lane) || half.status(lane).state === "halted");
  assert.ok(await world.until(() => halves.every(isSettled)), "both come to rest");
}

function haltedLanes(half: UpstreamHalf): number {
  return outputQueues.filter((lane) => half.status(lane).state === "halted").length;
}

test("of two clones that run at once one halts in each lane, and nothing is lost or repeated in silence", async (t) => {
  await eachSeed(t, seeds, async (seed) => {
    const world = new UpstreamWorld(seed);
    const first = await sentBy(world, 2 * below(world.random, 3));
    if (below(world.random, 2) === 0) await first.emit({ alerts: 2, summaries: 3 });
    const copy = first.remains;
    const second = await startHalf(world, { ...copy, origin: "b" });
    for (let round = 0; round < 12; round++) {
      const half = below(world.random, 2) === 0 ? first : second;
      await half.emit(byOutputQueue(() => 1 + below(world.random, 2)));
      if (below(world.random, 2) === 0) await world.pass(below(world.random, 4_000));
    }
    await first.emit({ alerts: 1, summaries: 1 });
    await world.pass(3_000);
    await second.emit({ alerts: 1, summaries: 1 });
    await settle(world, [first, second]);
    assert.equal(haltedLanes(first) + haltedLanes(second), 2, `seed ${seed}: one of each lane`);
    assertNothingSilent(world, [first, second], `seed ${seed}`);
    const halted = first.isHalted ? first : second;
    const lane = outputQueues.find((name) => halted.status(name).state === "halted") ?? "alerts";
    assert.match(halted.status(lane).trouble ?? "", /another agent writes as gw1 .* give one/);
    // What is halted asks nothing more.
    const calls = world.cluster.calls;
    await world.pass(120_000);
    assert.equal(world.cluster.calls, calls, `seed ${seed}`);
  });
});

test("two agents that were given the same name: one halts, and both outboxes are told apart", async () => {
  const world = new UpstreamWorld(4);
  const first = await sentBy(world, 4);
  const second = await sentBy(world, 2, { origin: "b" });
  assert.match(
    second.status().incidents.last!.what,
    /has written 4 records as gw1, which this agent/,
  );
  assert.equal(second.incidents, 2);
  await first.emit({ alerts: 2, summaries: 2 });
  await settle(world, [first, second]);
  assert.deepEqual([haltedLanes(first), haltedLanes(second)], [2, 0]);
  await emitAndSend(second, 2);
  assertNothingSilent(world, [first, second], "two agents");
  assert.equal(first.status().behind, 2);
});

test("an agent that starts anew under a used name takes it over, and says so once", async () => {
  const world = new UpstreamWorld(5);
  const old = await sentBy(world, 4);
  old.crash();
  const fresh = await sentBy(world, 4, { origin: "b" });
  assert.deepEqual(findings(fresh), ["begun", "begun"]);
  assert.equal(fresh.incidents, 2);
  fresh.crash();
  const again = await sentBy(world, 2, { ...fresh.remains, origin: "b" });
  assert.equal(again.incidents, 2);
  assertNothingSilent(world, [old, again], "fresh");
});

test("two that take the name from each other, one start after the other, find their own marks again", async (t) => {
  await eachSeed(t, seeds, async (seed) => {
    const world = new UpstreamWorld(seed);
    const { random } = world;
    const first = await sentBy(world, 2);
    let copies: HalfOptions[] = [first.remains, { ...first.remains, origin: "b" }];
    first.crash();
    const ended: UpstreamHalf[] = [];
    for (let turn = 0; turn < 10; turn++) {
      const half = await startHalf(world, copies[turn % 2]);
      await emitAndSend(half, 1 + below(random, 3));
      // The answer to its last commit is lost with it.
      world.fate = ({ request }) => {
        if (request !== "EndTxn" || half.isDead) return "answer";
        half.crash();
        return below(random, 2) === 0 ? "hang-request" : "hang-answer";
      };
      await half.emit({ summaries: 2 });
      await world.until(() => half.isDead);
      world.fate = () => "answer";
      await world.quiet();
      copies = copies.with(turn % 2, { ...copies[turn % 2], ...half.remains });
      ended[turn % 2] = half;
    }
    const last: UpstreamHalf[] = [];
    for (const copy of copies) {
      const half = await startHalf(world, copy);
      await emitAndSend(half, 1);
      half.crash();
      last.push(half);
    }
    assertNothingSilent(world, last, `seed ${seed}`);
    const found = histories(world.cluster, "summaries", `seed ${seed}`);
    assert.equal(found.size, 2, `seed ${seed}: two outboxes`);
  });
});

// ---- clusters that forget ----

type Loss = (world: UpstreamWorld) => void;

const losses: readonly (readonly [name: string, lose: Loss, found: string])[] = [
  ["the cursor topic is deleted", ({ cluster }) => cluster.deleteTopic(cursorTopic), "cursor-lost"],
  [
    "the cluster is replaced",
    (world) => {
      world.cluster = world.newCluster("cluster-2");
    },
    "cluster-replaced",
  ],
];

for (const [name, lose, finding] of losses) {
  test(`${name} while nothing is under way: reported once, and nothing is repeated`, async () => {
    const world = new UpstreamWorld(6);
    let half = await sentBy(world, 4);
    const old = world.cluster;
    half.crash();
    old.settle();
    lose(world);
    half = await startHalf(world, half.remains);
    await atRest(half);
    assert.deepEqual(findings(half), [finding, finding]);
    assert.equal(half.incidents, 2);
    half.crash();
    half = await startHalf(world, half.remains);
    await emitAndSend(half, 3);
    assert.deepEqual(findings(half), ["resumed", "resumed"]);
    assert.equal(half.incidents, 2, "the second start has nothing new to tell");
    world.cluster.settle();
    const clusters = new Set([old, world.cluster]);
    const values = [...clusters].flatMap((cluster) =>
      cluster.readCommitted("summaries").map(({ value }) => value),
    );
    assert.equal(values.length, half.emitted.summaries.length);
    assert.deepEqual(new Set(values), new Set(half.emitted.summaries));
  });

  test(`${name} while records are under way: they are sent again and named`, async () => {
    const world = new UpstreamWorld(7);
    let half = await sentBy(world, 4);
    world.fate = ({ request }) => (request === "EndTxn" ? "hang-answer" : "answer");
    await half.emit({ summaries: 3 });
    await world.quiet();
    half.crash();
    world.fate = () => "answer";
    world.cluster.settle();
    lose(world);
    half = await startHalf(world, half.remains);
    await emitAndSend(half, 2);
    const { last } = half.status().incidents;
    assert.deepEqual([last?.first, last?.next], [4, 7]);
    assert.equal(half.status().facts["found"], finding);
    world.cluster.settle();
    const sent = world.cluster.readCommitted("summaries").map(({ value }) => value);
    for (const text of half.emitted.summaries.slice(4)) assert.ok(sent.includes(text));
  });
}

test("a cluster that forgot the offsets of the group still has the cursor in its topic", async () => {
  const world = new UpstreamWorld(8);
  let half = await sentBy(world, 4);
  half.crash();
  world.aheadMs += 8 * 86_400_000;
  world.cluster.settle();
  half = await startHalf(world, half.remains);
  await emitAndSend(half, 2);
  assert.deepEqual(findings(half), ["resumed", "resumed"]);
  assert.equal(half.incidents, 0);
});

test("a cursor is found where it was first written, although the topic has more partitions now", async () => {
  const world = new UpstreamWorld(9);
  const first = await sentBy(world, 4);
  world.cluster.growTopic(cursorTopic, 31);
  const second = await sentBy(world, 2, { origin: "b" });
  assert.equal(second.incidents, 2, "it sees that the name is used");
  await first.emit({ alerts: 1, summaries: 1 });
  await settle(world, [first, second]);
  assert.equal(haltedLanes(first), 2);
  assertNothingSilent(world, [first, second], "grown");
});
