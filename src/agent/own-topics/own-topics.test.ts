import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sampleStatus } from "../../../test/support/agent-view.ts";
import { FaultDisk } from "../../../test/support/fault-disk.ts";
import {
  connected,
  connectPacket,
  openRig,
  packetsIn,
  publishPacket,
  subscribePacket,
  turns,
} from "../../../test/support/front-rig.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { SimulatedNet, type SimulatedPeer } from "../../../test/support/simulated-net.ts";
import type { Kv, KvWrite } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import type { PipelineSpec } from "../../edge-ops/spec.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { OutboxWriter } from "../../store/outbox/outbox.ts";
import { openAgent } from "../agent.ts";
import { type Config, configOf, ownTopicsDefaults, sourceDefaults } from "../config/config.ts";
import { systemHashing } from "../doors/hashing.ts";
import type { Status } from "../status.ts";
import { type OwnStatus, OwnTopics, statusPayload } from "./own-topics.ts";
import type { LocalBroker } from "./local-broker.ts";

// ---- by itself ----

type Published = { readonly topic: string; readonly text: string; readonly retain: boolean };

/** A broker that notes what it is given and says what a test lets it say. */
class NotingBroker implements LocalBroker {
  readonly published: Published[] = [];
  readonly asked: string[] = [];
  subscribed: (topic: string) => boolean = () => true;
  subscriptionCount = 1;
  backlogBytes = 0;
  backlogged = false;
  unreadBytes = 0;

  isSubscribed(topic: string): boolean {
    this.asked.push(topic);
    return this.subscribed(topic);
  }

  subscribe(): void {
    assert.fail("nobody is to be heard");
  }

  publish(topic: string, payload: Uint8Array, { retain }: { readonly retain: boolean }): void {
    this.published.push({ topic, text: Buffer.from(payload).toString(), retain });
  }

  get topics(): readonly string[] {
    return this.published.map(({ topic }) => topic);
  }
}

const fine: OwnStatus = {
  state: "running",
  version: "1",
  startedAt: 1,
  reasons: [],
  notices: [],
};

function rig(config: Partial<typeof ownTopicsDefaults> = {}) {
  const clock = new SimulatedClock(1_764_000_000_000);
  const broker = new NotingBroker();
  const own = new OwnTopics({
    agent: "gw1",
    config: { ...ownTopicsDefaults, statusMs: undefined, ...config },
    clock,
    status: () => fine,
  });
  own.open(broker);
  return { clock, broker, own };
}

function record(kind: "summary" | "alert", pipeline: string, filler = 0): Uint8Array {
  const text = `{"v":1,"kind":"${kind}","id":"gw1/${pipeline}/device=p1/0/1/0","x":"${"x".repeat(filler)}"}`;
  return Buffer.from(text);
}

function outboxOf(records: {
  readonly alerts?: readonly Uint8Array[];
  readonly summaries?: readonly Uint8Array[];
}): OutboxWriter {
  const outbox = new OutboxWriter();
  for (const each of records.alerts ?? []) outbox.add("alerts", each);
  for (const each of records.summaries ?? []) outbox.add("summaries", each);
  return outbox;
}

describe("own topics", () => {
  test("carry the records of a commit, alerts first, each on the topic of its pipeline", () => {
    const { broker, own } = rig();
    const summary = record("summary", "temp");
    const alert = record("alert", "outliers");
    own.committed(outboxOf({ summaries: [summary, summary], alerts: [alert] }));
    assert.deepEqual(broker.published, [
      { topic: "weir/gw1/alert/outliers", text: alert.toString(), retain: false },
      { topic: "weir/gw1/summary/temp", text: summary.toString(), retain: false },
      { topic: "weir/gw1/summary/temp", text: summary.toString(), retain: false },
    ]);
  });

  test("cost nothing while nobody subscribed, and one question per pipeline where others did", () => {
    const { broker, own } = rig();
    const many = outboxOf({ summaries: Array.from({ length: 500 }, () => record("summary", "t")) });
    broker.subscriptionCount = 0;
    own.committed(many);
    assert.deepEqual(broker.asked, []);
    broker.subscriptionCount = 1;
    broker.subscribed = () => false;
    own.committed(many);
    assert.deepEqual(broker.asked, ["weir/gw1/summary/t"]);
    assert.deepEqual([broker.published, own.counters.waitingBytes], [[], 0]);
  });

  test("that are off are not published", () => {
    const { broker, own } = rig({ summaries: false });
    own.committed(
      outboxOf({ summaries: [record("summary", "t")], alerts: [record("alert", "a")] }),
    );
    assert.deepEqual(broker.topics, ["weir/gw1/alert/a"]);
  });

  test("take a large commit in turns, in order, so that sockets are read between", async () => {
    const { broker, own, clock } = rig();
    const records = Array.from({ length: 500 }, (_, i) => record("summary", "t", i));
    const all = records.reduce((sum, { length }) => sum + length, 0);
    own.committed(outboxOf({ summaries: records }));
    const first = broker.published.reduce((sum, { text }) => sum + text.length, 0);
    assert.ok(first >= limits.ownTurnBytes && first < limits.ownTurnBytes + 1_000, `${first}`);
    assert.equal(own.counters.waitingBytes, all - first);
    await clock.pass(0);
    assert.deepEqual(
      broker.published.map(({ text }) => text),
      records.map(String),
    );
    assert.equal(own.counters.waitingBytes, 0);
  });

  test("wait for clients that read slowly, alerts do not; what does not fit is counted", async () => {
    const { broker, own, clock } = rig();
    broker.unreadBytes = limits.ownUnreadBytes + 1;
    const big = (): Uint8Array => record("summary", "t", 100_000);
    const fits = Math.floor(limits.ownWaitingBytesMax / big().length);
    own.committed(outboxOf({ summaries: Array.from({ length: fits + 3 }, big) }));
    assert.deepEqual(broker.topics, []);
    assert.equal(own.counters.dropped, 3);
    own.committed(outboxOf({ alerts: [record("alert", "a")] }));
    await clock.pass(limits.ownLookMs);
    assert.deepEqual(broker.topics, ["weir/gw1/alert/a"]);

    broker.unreadBytes = 0;
    await clock.pass(limits.ownPatienceMs / 2);
    assert.equal(broker.published.length, fits + 1);
    assert.deepEqual(own.counters, {
      alerts: 1,
      summaries: fits,
      statuses: 0,
      dropped: 3,
      waitingBytes: 0,
    });
  });

  test("go on after a while beside a client that reads nothing: its own bound ends it", async () => {
    const { broker, own, clock } = rig();
    broker.unreadBytes = limits.ownUnreadBytes + 1;
    own.committed(outboxOf({ summaries: [record("summary", "t")] }));
    await clock.pass(limits.ownPatienceMs - limits.ownLookMs);
    assert.deepEqual(broker.topics, []);
    await clock.pass(2 * limits.ownLookMs);
    assert.deepEqual(broker.topics, ["weir/gw1/summary/t"]);
  });

  test("wait while the broker delivers, however long that takes", async () => {
    const { broker, own, clock } = rig();
    broker.backlogged = true;
    own.committed(outboxOf({ alerts: [record("alert", "a")] }));
    await clock.pass(10 * limits.ownPatienceMs);
    assert.deepEqual(broker.topics, []);
    broker.backlogged = false;
    await clock.pass(limits.ownLookMs);
    assert.deepEqual(broker.topics, ["weir/gw1/alert/a"]);
  });

  test("renew the retained status, and end with one that says offline", async () => {
    const { broker, own, clock } = rig({ statusMs: 10_000 });
    await clock.pass(25_000);
    await own.close();
    await clock.pass(60_000);
    const statuses = broker.published.map(({ text }) => JSON.parse(text) as { state: string });
    assert.deepEqual(
      statuses.map(({ state }) => state),
      ["running", "running", "running", "offline"],
    );
    assert.ok(broker.published.every(({ topic, retain }) => retain && topic === "weir/gw1/status"));
    assert.deepEqual(statuses[2], {
      v: 1,
      kind: "status",
      agent: "gw1",
      online: true,
      state: "running",
      version: "1",
      time: 1_764_000_020_000,
      startedAt: 1,
      reasons: [],
      notices: [],
      noticesLeftOut: 0,
    });
  });

  test("say what the agent is made of, what it runs, and what waits", () => {
    const { inventory, uplinks } = sampleStatus;
    const audit = { counters: {}, audit: [], channels: [], trouble: undefined };
    const remote = {
      ...audit,
      inForce: { version: 7, digest: "d" },
      trial: { tries: 1, triesMax: 2 },
      highest: 8,
    } as unknown as Status["remote"];
    const said = JSON.parse(
      Buffer.from(statusPayload("gw1", { ...sampleStatus, remote })).toString(),
    ) as Record<string, unknown>;
    assert.deepEqual(said["inventory"], inventory);
    assert.deepEqual(said["configuration"], { version: 7, digest: "d", trial: true, highest: 8 });
    const lanes = uplinks.flatMap((uplink) => Object.values(uplink.lanes));
    assert.deepEqual(said["waiting"], {
      records: lanes.reduce((sum, { behind }) => sum + behind, 0),
      oldest: Math.min(...lanes.map(({ oldest }) => Number(oldest ?? Infinity))),
    });
    assert.ok(lanes.some(({ behind }) => behind > 0));
  });

  test("publish what waits before they close", async () => {
    const { broker, own } = rig();
    own.committed(
      outboxOf({ summaries: Array.from({ length: 300 }, () => record("summary", "t", 500)) }),
    );
    assert.ok(broker.published.length < 300);
    await own.close();
    assert.equal(broker.published.length, 300);
  });
});

// ---- on a real front ----

describe("own topics on a front", () => {
  test("bring everything to whoever reads, while one who reads nothing is closed at its bound", async () => {
    await using front = await openRig();
    const own = new OwnTopics({
      agent: "gw1",
      config: { ...ownTopicsDefaults, statusMs: undefined },
      clock: front.clock,
      status: () => fine,
    });
    own.open(front.front);
    const readers: SimulatedPeer[] = [];
    for (let i = 0; i < 2; i++) {
      const reader = await connected(front);
      reader.send(subscribePacket("weir/#", 1, 0));
      await turns();
      reader.clear();
      readers.push(reader);
    }
    const [stuck, awake] = readers;
    assert.ok(stuck !== undefined && awake !== undefined);
    stuck.fallAsleep();
    const each = record("summary", "t", 20_000);
    const records = Math.ceil(limits.outboundBytesPerConnectionMax / each.length) + 20;
    for (let left = records; left > 0; left -= 10) {
      own.committed(
        outboxOf({ summaries: Array.from({ length: Math.min(10, left) }, () => each) }),
      );
    }
    for (let i = 0; i < 600 && own.counters.waitingBytes > 0; i++) {
      front.clock.advance(limits.ownLookMs);
      await turns(2);
    }
    await turns();
    assert.equal(own.counters.waitingBytes, 0);
    assert.equal(own.counters.summaries + own.counters.dropped, records);
    assert.equal(messagesOf(awake).length, own.counters.summaries);
    assert.ok(stuck.isClosed);
    assert.equal(front.front.status.slowReaderCloses, 1);
    assert.ok(!awake.isClosed);
  });
});

// ---- in an agent ----

/** A store whose commits with outputs wait until they are let go. */
class HeldKv extends KvMemory {
  held: (() => void)[] | undefined;

  override async commit(writes: readonly KvWrite[]): Promise<void> {
    const isOutput = writes.some(({ key }) => key.startsWith("outbox/"));
    const { held } = this;
    if (isOutput && held !== undefined) await new Promise<void>((resolve) => held.push(resolve));
    await super.commit(writes);
  }
}

/** Alerts for each text that is half of all: for the first one at once. */
const modes: PipelineSpec = {
  kind: "frequency",
  name: "modes",
  where: { sources: [], metrics: [], tags: {} },
  key: [],
  depth: 2,
  width: 64,
  heavyShare: 0.5,
  rareCount: 0,
  minimum: 1,
  periodMs: 3_600_000,
};

async function agentRig(kv: Kv, changes: Partial<Config> = {}) {
  const clock = new SimulatedClock(1_764_000_000_000);
  const net = new SimulatedNet();
  const random = seededRandom(1);
  const config = configOf({
    agent: "gw1",
    dataDirectory: "/data",
    sources: [{ ...sourceDefaults, name: "all", topics: ["#"] }],
    pipelines: [modes],
    ...changes,
  });
  const agent = await openAgent({
    config,
    doors: { clock, random, disk: new FaultDisk(random).mount(), net, kv, hashing: systemHashing },
    logDirectory: "/data/log",
    tablesDirectory: "/data/tables",
    segmentBytes: 1_048_576,
    listen: true,
    onFailed: (fault) => {
      throw fault;
    },
    onClosed: () => kv.close(),
  });
  const arrive = async (): Promise<SimulatedPeer> => {
    const peer = net.arrive();
    peer.send(connectPacket());
    await clock.pass(1);
    return peer;
  };
  return { agent, clock, arrive };
}

/** Topics and texts of what a client was sent. */
function messagesOf(peer: SimulatedPeer): readonly (readonly [string, string])[] {
  return packetsIn(peer).flatMap((packet) =>
    packet.cmd === "publish" ? [[packet.topic, packet.payload.toString()] as const] : [],
  );
}

/** Ends the agent while its clock goes on. */
async function close({ agent, clock }: Awaited<ReturnType<typeof agentRig>>): Promise<void> {
  const closed = agent.close();
  await clock.pass(30_000);
  await closed;
}

describe("an agent's own topics", () => {
  test("give an alert to a subscriber only once its commit is durable", async () => {
    const kv = new HeldKv();
    kv.held = [];
    const rigged = await agentRig(kv);
    const { clock, arrive } = rigged;
    const reader = await arrive();
    reader.send(subscribePacket("weir/+/alert/#", 1, 1));
    const device = await arrive();
    device.send(publishPacket("plant/p1", '{"mode":"run"}', { qos: 1, id: 7 }));
    await clock.pass(1_000);
    assert.ok(packetsIn(device).some(({ cmd }) => cmd === "puback"));
    assert.equal(kv.held.length, 1);
    assert.deepEqual(messagesOf(reader), []);

    kv.held[0]!();
    kv.held = undefined;
    await clock.pass(10);
    const [[topic, text] = ["", "{}"], ...more] = messagesOf(reader);
    assert.deepEqual([topic, more], ["weir/gw1/alert/modes", []]);
    const { kind, reason, value } = JSON.parse(text) as Record<string, unknown>;
    assert.deepEqual([kind, reason, value], ["alert", "heavy_symbol", "run"]);
    await close(rigged);
  });

  test("are never received as readings, though a source takes every topic", async () => {
    const rigged = await agentRig(new KvMemory());
    const { agent, clock, arrive } = rigged;
    const reader = await arrive();
    reader.send(subscribePacket("weir/#", 1, 1));
    const device = await arrive();
    device.send(publishPacket("plant/p1", '{"mode":"run"}', { qos: 1, id: 7 }));
    await clock.pass(60_000);
    const kinds = new Set(messagesOf(reader).map(([topic]) => topic));
    assert.deepEqual([...kinds].sort(), ["weir/gw1/alert/modes", "weir/gw1/status"]);
    const [row] = agent.ledger().sources;
    assert.equal(row?.messages.decoded, 1);
    assert.equal(agent.status().cardinality.devices, 1);
    await close(rigged);
  });

  test("that come back by some bridge are no readings either, and counted", async () => {
    const rigged = await agentRig(new KvMemory());
    const { agent, clock, arrive } = rigged;
    const bridge = await arrive();
    const summary = '{"v":1,"kind":"summary","mode":"run"}';
    bridge.send(
      publishPacket("weir/gw1/summary/temp", summary, { qos: 1, id: 7 }),
      publishPacket("weir/gw1/status", summary, { qos: 1, id: 8, retain: true }),
      publishPacket("weir/gw1/alert/modes", summary, { qos: 2, id: 9 }),
      publishPacket("weir/gw2/summary/temp", summary, { qos: 1, id: 10 }),
    );
    await clock.pass(1_000);
    const [row] = agent.ledger().sources;
    assert.equal(row?.messages.decoded, 1, "another agent's summary is whatever the source says");
    assert.equal(agent.status().intake.own, 3, "each once, whatever its QoS");
    assert.equal(agent.status().intake.unwanted, 0);
    assert.ok(agent.notices().some(({ code }) => code === "own_topics_returned"));
    await close(rigged);
  });

  test("end with a status that says offline, for whoever is subscribed", async () => {
    const rigged = await agentRig(new KvMemory());
    const reader = await rigged.arrive();
    reader.send(subscribePacket("weir/gw1/status", 1, 1));
    await rigged.clock.pass(5);
    const online = messagesOf(reader).map(([, text]) => JSON.parse(text) as { online: boolean });
    assert.deepEqual(
      online.map((status) => status.online),
      [true],
      "the retained one",
    );
    reader.clear();
    await close(rigged);
    const states = messagesOf(reader).map(
      ([, text]) => (JSON.parse(text) as { state: string }).state,
    );
    assert.deepEqual(states, ["offline"]);
  });
});
