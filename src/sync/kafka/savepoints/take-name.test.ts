import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cursorTopic,
  startHalf,
  topics,
  UpstreamWorld,
} from "../../../../test/support/kafka/upstream-half.ts";
import type { SetHead } from "../../../store/care/savepoint-set.ts";
import { type Lane, lanes, type Queue } from "../../../store/outbox/lane.ts";
import { KvMemory } from "../../../store/state/kv-memory.ts";
import { uplinkKey } from "../../../store/state/kv-key.ts";
import { goOn, waitingIn } from "./go-on.ts";
import { SentSince } from "./sent-since.ts";
import { type TakenLane, takeName } from "./take-name.ts";

const head: SetHead = {
  set: "0".repeat(32),
  number: 3,
  agent: "gw1",
  life: 0,
  made: 1_767_225_600_000,
  position: 1,
  weir: "0.1.0",
  chunks: 1,
  bytes: 1,
  digest: "",
  topics: { summaries: "summaries", alerts: "alerts", raw: "raw", cursor: "cursors" },
  since: {},
};

async function take(
  world: UpstreamWorld,
  more: Partial<Readonly<Record<Queue, string>>> = {},
): Promise<readonly TakenLane[]> {
  let made = 0;
  const taking = takeName(world.cluster.connect(), {
    agent: "gw1",
    version: "0.1.0",
    topics: { ...topics, ...more },
    cursorTopic,
    transactionMs: 20_000,
    clock: world.clock,
    wait: (ms) => new Promise((done) => void world.clock.after(ms, () => done())),
    boot: "a".repeat(16),
    randomHex: (bytes) => String(made++).padStart(2 * bytes, "e"),
  });
  let isOver = false;
  const over = (): void => void (isOver = true);
  taking.then(over, over);
  assert.ok(await world.until(() => isOver));
  return await taking;
}

test("every lane is taken, also where nothing was sent: the old hardware halts in all of them", async () => {
  const world = new UpstreamWorld(1);
  const old = await startHalf(world, { origin: "old" });
  await old.emit({ summaries: 4 });
  assert.ok(await world.until(() => old.isDone));
  const savepoint = old.remains;
  const dead = old.crash();

  const taken = await take(world);
  const seqs = new Map<Lane, number>([["summaries", 4]]);
  assert.deepEqual(
    taken.map(({ lane, cursor }) => [lane, cursor.life, cursor.mark.seq]),
    lanes.map((lane) => [lane, 1, seqs.get(lane) ?? 0]),
  );
  assert.equal(new Set(taken.map(({ cursor }) => cursor.mark.outbox)).size, lanes.length);
  const image = savepoint.image;
  const kv = new KvMemory(image === undefined ? {} : { image });
  const waiting = waitingIn(kv, "kafka");
  const sent = new SentSince([]);
  const of = { uplink: "kafka", agent: "gw1", head, taken, pipelines: [], takenAt: head.made };
  await goOn(kv, { ...of, waiting, sent });

  // The old one is there first, and has an alert for a lane that it never even opened.
  const card = new KvMemory(dead.image === undefined ? {} : { image: dead.image });
  await card.commit([{ key: uplinkKey("kafka", "alerts"), value: undefined }]);
  const back = await startHalf(world, { ...dead, image: card.image(), origin: "old" });
  await back.emit({ summaries: 2, alerts: 2 });
  await world.pass(20_000);
  const fresh = await startHalf(world, {
    image: kv.image(),
    ...(savepoint.emitted && { emitted: savepoint.emitted }),
    origin: "new",
  });
  await fresh.emit({ summaries: 2, alerts: 2 });
  await world.pass(20_000);
  await back.emit({ summaries: 2, alerts: 2 });
  await world.pass(20_000);
  for (const lane of ["summaries", "alerts"] as const) {
    assert.equal(back.status(lane).state, "halted", lane);
    assert.match(String(back.status(lane).trouble), /this gateway was replaced/);
    assert.equal(fresh.status(lane).state, "running");
  }
  world.cluster.settle();
  const origins = world.cluster
    .readCommitted("alerts")
    .map(({ value }) => value?.includes('"new"'));
  assert.deepEqual(origins, [true, true]);
  assert.equal(fresh.status("alerts").facts["found"], "resumed");
});

test("a name is taken again as a whole, with one life more", async () => {
  const world = new UpstreamWorld(2);
  const old = await startHalf(world);
  await old.emit({ alerts: 1 });
  assert.ok(await world.until(() => old.isDone));
  old.crash();
  const first = await take(world);
  const second = await take(world);
  assert.deepEqual(
    second.map(({ cursor }) => [cursor.mark, cursor.life]),
    first.map(({ cursor }) => [cursor.mark, 2]),
  );
});

test("where a topic is missing, or nothing has the name, nothing is taken", async () => {
  const world = new UpstreamWorld(3);
  const old = await startHalf(world);
  await old.emit({ summaries: 2 });
  assert.ok(await world.until(() => old.isDone));
  await assert.rejects(take(world, { alerts: "others" }), {
    code: "INPUT_INVALID",
    message: /no topic others, which gw1 sends to: nothing was changed/,
  });
  await old.emit({ summaries: 2, alerts: 2 });
  assert.ok(await world.until(() => old.isDone), "it was not fenced");
  assert.equal(old.incidents, 0);

  const empty = new UpstreamWorld(4);
  for (const topic of [...Object.values(topics), cursorTopic]) {
    empty.cluster.createTopic(topic, { partitions: 1, config: { "cleanup.policy": "compact" } });
  }
  assert.deepEqual(await take(empty), []);
  empty.cluster.settle();
  assert.deepEqual(empty.cluster.readCommitted(cursorTopic), []);
});
