import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../test/support/fault-disk.ts";
import { seededRandom } from "../../test/support/seeded-random.ts";
import { SimulatedClock } from "../../test/support/simulated-clock.ts";
import { SimulatedNet } from "../../test/support/simulated-net.ts";
import { brokerConfig, ScriptedBroker, wordsOf } from "../../test/support/subscriber-rig.ts";
import { limits } from "../core/limits.ts";
import { KvMemory } from "../store/state/kv-memory.ts";
import { openAgent } from "./agent.ts";
import { configOf, sourceDefaults } from "./config/config.ts";
import { systemHashing } from "./doors/hashing.ts";

const random = seededRandom(1);

/** A gateway's disk and store, and the broker of its site, which outlive the agent. */
function site() {
  const net = new SimulatedNet();
  return {
    net,
    disk: new FaultDisk(random),
    kv: new KvMemory(),
    broker: new ScriptedBroker(net, 5),
    clock: new SimulatedClock(1_764_000_000_000),
  };
}

async function start({ net, disk, kv, broker, clock }: ReturnType<typeof site>) {
  const agent = await openAgent({
    config: configOf({
      agent: "gw1",
      dataDirectory: "/data",
      brokers: [brokerConfig()],
      sources: [
        { ...sourceDefaults, name: "own", topics: ["plant/{device}"] },
        { ...sourceDefaults, name: "site", broker: "site", topics: ["plant/{device}"] },
      ],
    }),
    doors: { clock, random, disk: disk.mount(), net, kv, hashing: systemHashing },
    logDirectory: "/data/log",
    tablesDirectory: "/data/tables",
    segmentBytes: 1_048_576,
    listen: true,
    onFailed: (fault) => {
      throw fault;
    },
    onClosed: () => Promise.resolve(),
  });
  const settle = async (ms = 1): Promise<void> => {
    for (let i = 0; i < 5; i++) {
      await clock.pass(ms / 5);
      broker.work();
    }
  };
  await settle();
  assert.equal(agent.status().brokers[0]?.state, "running");
  return { agent, settle };
}

function pubacks(broker: ScriptedBroker): number {
  return wordsOf(broker.end.packets).filter((word) => word.startsWith("puback")).length;
}

function publish(broker: ScriptedBroker, id: number, { dup = false } = {}): void {
  broker.end.publish("plant/p1", `{"ts":${1_764_000_000_000 + id},"v":${id}}`, { qos: 1, id, dup });
}

async function close(
  agent: Awaited<ReturnType<typeof openAgent>>,
  { clock }: ReturnType<typeof site>,
): Promise<void> {
  const closed = agent.close();
  await clock.pass(30_000);
  await closed;
}

test("few messages wait for others to share their sync; when the broker can send no more they do not", async () => {
  const world = site();
  const { agent, settle } = await start(world);
  const { broker } = world;
  for (let id = 1; id <= 5; id++) publish(broker, id);
  await settle(limits.commitWaitMs - 50);
  assert.equal(pubacks(broker), 0);
  await settle(100);
  assert.equal(pubacks(broker), 5);
  // A window of 20 is full: at first that is taken to be all the broker sends.
  for (let id = 11; id <= 30; id++) publish(broker, id);
  await settle(10);
  assert.equal(pubacks(broker), 25);
  await close(agent, world);
});

test("a message of a broker belongs to the sources of that broker", async () => {
  const world = site();
  const { agent, settle } = await start(world);
  publish(world.broker, 1);
  await settle(300);
  assert.deepEqual(
    agent.ledger().sources.map(({ source, readings }) => [source, readings.accepted]),
    [["site", 1]],
  );
  await close(agent, world);
});

test("after a kill the broker sends again what was not acknowledged, and nothing is lost or counted twice", async () => {
  const world = site();
  const first = await start(world);
  const { broker } = world;
  for (let id = 1; id <= 4; id++) publish(broker, id);
  await first.settle(300);
  assert.equal(pubacks(broker), 4);
  for (let id = 5; id <= 8; id++) publish(broker, id);
  await first.settle(20);
  // The process stands still for good: of the first four the acknowledgements of two never arrived.
  broker.end.peer.vanish();
  const later = { ...world, clock: new SimulatedClock(world.clock.now()), net: new SimulatedNet() };
  later.net.server = world.net.server;
  world.net.server = () => undefined;
  const second = await start(later);
  assert.equal(broker.end.packets[0]?.cmd, "connect");
  assert.equal(second.agent.status().brokers[0]?.sessionPresent, true);
  for (let id = 3; id <= 8; id++) publish(broker, id, { dup: true });
  await second.settle(300);
  assert.equal(pubacks(broker), 6);
  const [row] = second.agent.ledger().sources;
  assert.deepEqual([row?.readings.accepted, row?.readings.duplicate], [8, 2]);
  assert.ok(second.agent.ledger().balanced);
  await close(second.agent, later);
  await close(first.agent, world); // it is not gone as a process would be
});

test("an orderly end acknowledges what was received, says goodbye, and leaves the session", async () => {
  const world = site();
  const { agent, settle } = await start(world);
  publish(world.broker, 1);
  await settle();
  await close(agent, world);
  assert.deepEqual(wordsOf(world.broker.end.packets).slice(-2), ["puback 1", "disconnect"]);
});

test("a broker that is away for long is a notice, and the agent runs on", async () => {
  const world = site();
  const { agent, settle } = await start(world);
  world.broker.deaf.add("one");
  world.broker.end.peer.vanish();
  for (let i = 0; i < 50; i++) await settle(1_000);
  assert.deepEqual(
    agent.status().notices.filter((notice) => notice.includes("broker")),
    [],
  );
  for (let i = 0; i < 20; i++) await settle(1_000);
  const notice = agent.notices().find(({ code }) => code === "broker_away_site");
  assert.match(notice?.message ?? "", /broker site is away for [67]\d s: .*cannot connect/);
  assert.equal(agent.status().state, "running");
  await close(agent, world);
});
