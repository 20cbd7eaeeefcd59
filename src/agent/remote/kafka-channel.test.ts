import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterModel } from "../../../test/support/kafka/cluster-model.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { localConfig, version } from "../../../test/support/remote-process.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { limits } from "../../core/limits.ts";
import { encodeRecordBatch, noCompression } from "../../sync/kafka/message/record-batch.ts";
import { kafkaUplinkDefaults } from "../config/kafka-config.ts";
import type { KafkaDoor } from "../doors/kafka.ts";
import type { Channel } from "./channel.ts";
import { sift } from "./judge.ts";
import { openKafkaChannel } from "./kafka-channel.ts";
import type { Offer } from "./remote-status.ts";

const topic = "weir.config";
const pollMs = 10_000;
const { remote = assert.fail("it has a remote section") } = await localConfig();

class World {
  readonly clock = new SimulatedClock(1_796_000_000_000);
  readonly model = new ClusterModel({ clock: () => this.clock.now() });
  readonly offers: string[] = [];
  sessions = 0;

  open({ isStarted = true } = {}): Channel {
    const kafka: KafkaDoor = {
      connect: async () => {
        this.sessions += 1;
        return this.model.connect();
      },
      credentials: () => ({ read: async () => ({}), isOutdated: async () => false }),
      registerSchema: () => Promise.reject(new Error("nobody registers here")),
    };
    const channel = openKafkaChannel({
      agent: "gw1",
      topic,
      pollMs,
      uplink: { ...kafkaUplinkDefaults, brokers: ["h:1"] },
      kafka,
      clock: this.clock,
      random: seededRandom(1),
      sift: (offers) => sift(offers, { remote, agent: "gw1" }),
      offer: ({ bytes, isHistory }: Offer) => {
        this.offers.push(`${isHistory ? "history" : "news"} ${Buffer.from(bytes).toString()}`);
      },
    });
    if (isStarted) channel.start();
    return channel;
  }

  async write(
    records: readonly (readonly [key: string, value: string | undefined])[],
  ): Promise<void> {
    const bytes = encodeRecordBatch(
      records.map(([key, value]) => ({
        key: Buffer.from(key),
        value: Buffer.from(value ?? ""),
        headers: [],
      })),
      {
        producer: undefined,
        sequence: -1,
        isTransactional: false,
        timeMs: 0,
        compression: noCompression,
      },
    );
    const cluster = this.model.connect();
    await cluster.produce([{ topic, partition: 0, bytes }], { transactionalId: undefined });
    await cluster.close();
  }
}

test("all that lies there comes at once, what comes then by itself, and others' keys are passed over", async () => {
  const world = new World();
  world.model.createTopic(topic);
  await world.write([
    ["gw1", "v5"],
    ["gw2", "other"],
    ["gw*", "v7"],
    ["", "v6"],
    ["gw1", undefined],
  ]);
  const channel = world.open();
  await world.clock.pass(pollMs);
  assert.deepEqual(world.offers, ["history v5", "history v7", "history v6"]);
  assert.equal(channel.status.state, "reading");
  await world.write([
    ["gw1", "v8"],
    ["x*", "other"],
  ]);
  await world.clock.pass(2 * pollMs);
  assert.deepEqual(world.offers.slice(3), ["news v8"]);
  await channel.close();
  assert.equal(channel.status.state, "closed");
});

test("however much is written after it, the highest version that is signed is offered", async () => {
  const world = new World();
  world.model.createTopic(topic);
  const [v9, v8] = [version(9), version(8)].map((bytes) => Buffer.from(bytes).toString());
  const junk = Array.from({ length: 3 * limits.remoteWaitingMax }, (_, at) => `junk ${at}`);
  await world.write([["gw1", v9]]);
  for (const each of junk) await world.write([["gw1", each]]);
  await world.write([["gw1", v8]]);
  const channel = world.open();
  await world.clock.pass(pollMs);
  assert.equal(world.offers.length, limits.remoteWaitingMax);
  assert.equal(world.offers[0], `history ${v9}`);
  assert.equal(world.offers.at(-1), `history ${v8}`);
  await channel.close();
});

test("a topic that is missing is said with what to do, and tried again; a lost session begins anew", async () => {
  const world = new World();
  const channel = world.open();
  await world.clock.pass(1_000);
  assert.equal(channel.status.state, "waiting");
  assert.match(
    channel.status.trouble ?? "",
    /no topic weir\.config for configurations: create it, compacted/,
  );
  world.model.createTopic(topic);
  await world.write([["gw1", "v1"]]);
  await world.clock.pass(60_000);
  assert.deepEqual(world.offers, ["history v1"]);
  assert.equal(channel.status.trouble, undefined);
  const before = world.sessions;
  let isLost = false;
  world.model.fate = ({ request }) => {
    if (isLost || request !== "Fetch") return "answer";
    isLost = true;
    return "lose-answer";
  };
  await world.clock.pass(60_000);
  assert.equal(world.sessions, before + 1);
  assert.deepEqual(world.offers, ["history v1", "history v1"]);
  await channel.close();
});

test("it opens nothing before it is started, and what waits is tried at once when it is started again", async () => {
  const world = new World();
  const idle = world.open({ isStarted: false });
  await world.clock.pass(60_000);
  assert.equal(world.sessions, 0);
  assert.deepEqual([idle.status.state, idle.status.trouble], ["opening", undefined]);
  await idle.close();
  idle.start();
  await world.clock.pass(1_000);
  assert.equal(world.sessions, 0, "what is closed stays so");
  const channel = world.open();
  await world.clock.pass(0);
  assert.equal(channel.status.state, "waiting");
  world.model.createTopic(topic);
  channel.start();
  assert.deepEqual([channel.status.state, channel.status.trouble], ["opening", undefined]);
  await world.clock.pass(0);
  assert.deepEqual([channel.status.state, world.sessions], ["reading", 2]);
  await channel.close();
});

test("closing ends whatever is under way", async () => {
  const world = new World();
  world.model.createTopic(topic);
  world.model.fate = () => "hang-request";
  const channel = world.open();
  await world.clock.pass(100);
  await channel.close();
  assert.equal(channel.status.state, "closed");
});
