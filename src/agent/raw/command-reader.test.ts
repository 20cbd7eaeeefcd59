import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterModel } from "../../../test/support/kafka/cluster-model.ts";
import { batch } from "../../../test/support/kafka/cluster-model-rig.ts";
import { QueryRig, start } from "../../../test/support/query-rig.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { type Death, MortalKv } from "../../../test/support/mortal-kv.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { limits } from "../../core/limits.ts";
import type { Manifest } from "../../core/record.ts";
import { decodeRecord } from "../../store/outbox/record-codec.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { openStateStore, type StateStore } from "../../store/state/state-store.ts";
import { Link } from "../../sync/link/link.ts";
import { Via } from "../../sync/link/via.ts";
import { linkOf } from "../config/link-config.ts";
import { Query } from "../query/queries.ts";
import { CommandReader } from "./command-reader.ts";
import { RawAnswers } from "./raw-answers.ts";

const uplink = "kafka";
const topic = "weir.commands";
const now = start + 86_400_000;

type Life = {
  readonly kv: MortalKv;
  readonly store: StateStore;
  readonly answers: RawAnswers;
  readonly commands: CommandReader;
};

/** An agent without readings, and a topic that commands come from. */
class World {
  readonly clock = new SimulatedClock(now);
  readonly rig = new QueryRig();
  readonly memory = new KvMemory();
  model = new ClusterModel({ clock: () => this.clock.now() });
  /** Manifests that an uplink has taken, by number: never two of one. */
  readonly sent: Manifest[] = [];
  outboxBytesMax = 1_000_000;
  via: Via | undefined;
  sessions = 0;

  static async open(): Promise<World> {
    const world = new World();
    await world.rig.tables.open();
    world.rig.define("plant", [["device", "p1"]], ["t", "m"]);
    return world;
  }

  async live(death?: Death): Promise<Life> {
    const { clock, outboxBytesMax } = this;
    const kv = new MortalKv(this.memory, death);
    const { store } = await openStateStore(kv, { outboxBytesMax });
    store.serve([uplink]);
    const { catalog, tables } = this.rig;
    const random = seededRandom(1);
    const answers = new RawAnswers({
      agent: "gw1",
      store,
      kv,
      catalog,
      clock,
      random,
      openQuery: () => new Query(catalog, tables.store.snapshot(), () => undefined),
      hasUplinks: true,
      onStored: () => undefined,
    });
    const commands = new CommandReader({
      agent: "gw1",
      uplink,
      topic,
      pollMs: 1_000,
      holdMsMax: 500,
      connect: async () => {
        this.sessions += 1;
        return this.model.connect();
      },
      isOutdated: async () => false,
      via: this.via,
      answers,
      get: (key) => kv.get(key),
      store: (writes) => store.advance(writes),
      clock,
      random,
      trustedNow: () => clock.now(),
    });
    answers.start();
    commands.start();
    return { kv, store, answers, commands };
  }

  async end({ commands, answers, store }: Life): Promise<void> {
    await commands.close();
    await answers.close();
    await store.settle();
  }

  /** The uplink takes what is there. */
  async take({ store }: Life): Promise<void> {
    const at = { uplink, lane: "raw" } as const;
    const from = this.sent.length;
    const read = await store.lanes.take(at, { from, bytesMax: 1e6 });
    if (read === undefined || read.records.length === 0) return;
    assert.equal(read.first, from);
    for (const bytes of read.records) {
      const { record } = decodeRecord(bytes, "a record");
      assert.ok(record.kind === "manifest");
      this.sent.push(record);
    }
    await store.advance([], { ...at, next: read.next });
  }

  async write(values: readonly (object | string)[], partition = 0): Promise<void> {
    const texts = values.map((each) => (typeof each === "string" ? each : JSON.stringify(each)));
    const bytes = batch(texts, { timeMs: this.clock.now() });
    const cluster = this.model.connect();
    await cluster.produce([{ topic, partition, bytes }], { transactionalId: undefined });
    await cluster.close();
  }

  outcomes(): readonly string[] {
    return this.sent.map(({ request, outcome, reason }) =>
      `${request} ${outcome} ${reason}`.trim(),
    );
  }
}

const about = { v: 1, command: "raw.ask", agent: "gw1", select: "t", from: start };
const past = { ...about, to: start + 3_600_000 };
const future = { ...about, to: now + 3_600_000 };
const cancel = { v: 1, command: "raw.cancel", agent: "gw1" };

const many = [
  { ...past, id: "r1" },
  "no command",
  { ...past, id: "bad", select: ["t{"] },
  { ...past, id: "r1" },
  { ...past, agent: "gw2", id: "r9" },
  { ...future, id: "r2" },
  { ...past, id: "late", expires: now - 1 },
  { ...cancel, id: "r2" },
  { ...past, id: "r3", expires: now + 3_600_000 },
];

const wanted = [
  /^bad refused selector "t\{"/,
  /^late refused it expired at 20.*Z, before this agent read it$/,
  /^r1 complete$/,
  /^r2 cancelled$/,
  /^r3 complete$/,
];

async function carriedOut(death?: Death): Promise<World & { commits?: number }> {
  const world = await World.open();
  world.model.createTopic(topic);
  await world.write(many);
  let life = await world.live(death);
  let commits = 0;
  for (let n = 0; n < 40; n++) {
    await world.clock.pass(500);
    if (life.kv.isDead) {
      await world.end(life);
      life = await world.live();
    } else
      await world.take(life).catch((error: unknown) => assert.ok(life.kv.isDead, String(error)));
  }
  commits = life.kv.commits;
  await world.end(life);
  await world.rig.tables.store.close();
  return Object.assign(world, { commits });
}

test("wherever a life ends, each command is carried out once, or refused once upstream", async () => {
  const undisturbed = await carriedOut();
  const commits = undisturbed.commits ?? 0;
  assert.ok(commits > 8, `${commits} commits`);
  const lives = [undisturbed];
  for (let at = 0; at < commits; at++) {
    for (const isDone of [false, true]) lives.push(await carriedOut({ at, isDone }));
  }
  for (const world of lives) {
    const outcomes = world.outcomes().toSorted();
    assert.equal(outcomes.length, wanted.length, outcomes.join("\n"));
    for (const [index, one] of outcomes.entries()) assert.match(one, wanted[index]!);
    const stored = Buffer.from(world.memory.get("uplink/kafka/commands") ?? []).toString();
    assert.equal(stored, `{"topic":"${topic}","cluster":"cluster-model","next":[${many.length}]}`);
  }
});

test("a missing topic, a missing right and expired records are said with what to do, and passed", async () => {
  const world = await World.open();
  const life = await world.live();
  const { commands } = life;
  await world.clock.pass(1_000);
  assert.equal(commands.counters.state, "waiting");
  assert.match(commands.counters.trouble ?? "", /no topic weir\.commands for commands: create it/);
  world.model.createTopic(topic);
  await world.write(many.slice(0, 2));
  world.model.forbid(({ operation }) => operation === "READ");
  await world.clock.pass(60_000);
  assert.match(commands.counters.trouble ?? "", /READ/);
  world.model.forbid(() => false);
  await world.clock.pass(60_000);
  assert.equal(commands.counters.trouble, undefined);
  assert.equal(commands.counters.taken, 1);
  assert.match(commands.counters.lastRefused ?? "", /at offset 1: it is no JSON object$/);
  await world.end(life);

  // Four more, of which the first two expire while the agent is away.
  await world.write(many.slice(5));
  world.model.truncateFront({ topic, partition: 0 }, 4);
  const later = await world.live();
  await world.clock.pass(2_000);
  assert.equal(later.commands.counters.gone, 2);
  assert.equal(later.commands.counters.taken, 2);
  // Made anew, it is read from its beginning; and so is that of another cluster.
  world.model.deleteTopic(topic);
  world.model.createTopic(topic);
  await world.write([{ ...past, id: "r7" }]);
  await world.clock.pass(60_000);
  assert.equal(later.commands.counters.taken, 3);
  await world.end(later);
  world.model = new ClusterModel({ clock: () => world.clock.now(), id: "another" });
  world.model.createTopic(topic);
  await world.write([
    { ...past, id: "r7" },
    { ...past, id: "r8" },
  ]);
  const last = await world.live();
  await world.clock.pass(2_000);
  assert.equal(last.commands.counters.taken, 2);
  await world.take(last);
  await world.clock.pass(2_000);
  await world.take(last);
  const ids = world.sent.map(({ request }) => request);
  assert.deepEqual(ids, [...new Set(ids)], "of one id there is one answer");
  assert.ok(ids.includes("r8"));
  await world.end(last);
  await world.rig.tables.store.close();
});

test("what is not decided is neither carried out nor passed", async () => {
  const world = await World.open();
  world.model.createTopic(topic);
  const at = { topic, partition: 0 };
  const transactionalId = "x";
  const cluster = world.model.connect();
  const producer = await cluster.initProducer({ transactionalId, timeoutMs: 60_000 });
  const of = { transactionalId, producer };
  await cluster.addPartitions(of, [at]);
  const undecided = batch([JSON.stringify({ ...past, id: "r1" })], {
    producer,
    sequence: 0,
    timeMs: world.clock.now(),
  });
  await cluster.produce([{ ...at, bytes: undecided }], { transactionalId });
  await world.write([{ ...past, id: "r2" }]);
  const life = await world.live();
  await world.clock.pass(2_000);
  assert.deepEqual(
    life.answers.status.map(({ id }) => id),
    ["r2"],
  );
  await world.end(life);
  await cluster.endTransaction(of, "commit");
  world.model.settle();
  const next = await world.live();
  await world.clock.pass(2_000);
  assert.deepEqual(
    next.answers.status.map(({ id }) => id),
    ["r2", "r1"],
  );
  await world.end(next);
  await world.rig.tables.store.close();
});

test("where the queue is full a refusal waits for room, and nothing behind it is lost", async () => {
  const world = await World.open();
  world.outboxBytesMax = 16_000;
  world.model.createTopic(topic);
  const bad = Array.from({ length: 12 }, (_, n) => ({ ...past, id: `b${n}`, select: ["t{"] }));
  await world.write([...bad, { ...past, id: "r1" }]);
  const life = await world.live();
  await world.clock.pass(5_000);
  assert.equal(life.commands.counters.state, "full");
  assert.ok(life.commands.counters.refused < bad.length);
  for (let n = 0; n < 30; n++) {
    await world.take(life);
    await world.clock.pass(1_000);
  }
  assert.equal(world.sent.length, bad.length + 1);
  assert.equal(life.commands.counters.state, "reading");
  await world.end(life);
  await world.rig.tables.store.close();
});

test("no more than the bound are open, those beyond it are told so; partitions are all read", async () => {
  const world = await World.open();
  world.model.createTopic(topic, { partitions: 3 });
  const asks = Array.from({ length: limits.rawRequestsMax + 1 }, (_, n) => ({
    ...future,
    id: `r${n}`,
  }));
  for (const [n, one] of asks.entries()) await world.write([one], n % 3);
  const life = await world.live();
  for (let n = 0; n < 50; n++) await world.clock.pass(100);
  const { taken, refused } = life.commands.counters;
  assert.deepEqual([taken, refused], [limits.rawRequestsMax, 1]);
  await world.take(life);
  assert.match(world.outcomes()[0] ?? "", /refused 64 requests are open: wait for one/);
  // The same id with another range is another matter: its own answer must not be ended by it.
  await world.write([{ ...future, from: start + 1, id: "r1" }]);
  await world.clock.pass(5_000);
  assert.match(life.commands.counters.lastRefused ?? "", /request r1 is there with another range/);
  assert.equal(world.sent.length, 1);
  await world.end(life);
  await world.rig.tables.store.close();
});

test("while the link is closed nothing is asked, and a metered one is asked less often", async () => {
  const world = await World.open();
  world.model.createTopic(topic);
  const { clock } = world;
  let isTrusted = false;
  const linked = (policy: Parameters<typeof linkOf>[0]): Via => {
    const link = new Link({
      policy: linkOf(policy),
      clock,
      trustedNow: () => (isTrusted ? clock.now() : undefined),
      get: () => undefined,
      store: async () => undefined,
    });
    return new Via({ links: [link], clock, isShared: false });
  };
  const windows = [{ from: 0, to: 1_440, days: [0, 1, 2, 3, 4, 5, 6] }];
  world.via = linked({ name: "lte", windows });
  const life = await world.live();
  await clock.pass(10_000);
  assert.equal(life.commands.counters.state, "held");
  assert.equal(world.sessions, 0);
  isTrusted = true;
  await world.write([{ ...past, id: "r1" }]);
  await clock.pass(limits.linkLookMs);
  assert.equal(life.commands.counters.taken, 1);
  await world.end(life);

  world.via = linked({ name: "sat", metered: { minBatchBytes: 1_000, maxDelayMs: 600_000 } });
  const rare = await world.live();
  const before = world.sessions;
  await clock.pass(3_600_000);
  const looks = world.sessions - before;
  assert.ok(looks >= 5 && looks <= 7, `${looks} looks in an hour`);
  await world.end(rare);
  await world.rig.tables.store.close();
});
