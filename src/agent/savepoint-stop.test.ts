import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../test/support/fault-disk.ts";
import { ClusterModel } from "../../test/support/kafka/cluster-model.ts";
import { secondsPipeline } from "../../test/support/pipelines.ts";
import { seededRandom } from "../../test/support/seeded-random.ts";
import { SimulatedClock } from "../../test/support/simulated-clock.ts";
import { emittedKey } from "../store/state/kv-key.ts";
import { KvMemory } from "../store/state/kv-memory.ts";
import { openAgent } from "./agent.ts";
import { configOf, sourceDefaults } from "./config/config.ts";
import { kafkaUplinkDefaults } from "./config/kafka-config.ts";
import { systemHashing } from "./doors/hashing.ts";
import { plainNet } from "./doors/net.ts";

const startMs = 1_764_000_000_000;

test("an agent that is stopped commits, though the disk does not take a savepoint that commits wait for", async () => {
  const clock = new SimulatedClock(startMs);
  const random = seededRandom(1);
  const model = new ClusterModel({ clock: () => clock.now() });
  const faults = new FaultDisk(random);
  const { promise: hung, resolve: goOn } = Promise.withResolvers<void>();
  let isHanging = false;
  faults.fate = ({ name, path }) => {
    if (name !== "write" || !path.endsWith("upstream.sending")) return undefined;
    isHanging = true;
    return hung;
  };
  const kv = new KvMemory();
  const savepoints = { topic: "weir.savepoints", everyMs: 3_600_000 };
  const agent = await openAgent({
    config: configOf({
      agent: "gw1",
      dataDirectory: "/data",
      sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{line}/{device}/state"] }],
      pipelines: [secondsPipeline],
      uplinks: [{ ...kafkaUplinkDefaults, brokers: ["k:9092"], savepoints }],
    }),
    doors: {
      clock,
      random,
      disk: faults.mount(),
      net: plainNet(),
      kv,
      hashing: systemHashing,
      kafka: {
        connect: async () => model.connect(),
        credentials: () => ({ read: async () => ({}), isOutdated: async () => false }),
        registerSchema: async () => assert.fail("there is no registry"),
      },
    },
    logDirectory: "/data/log",
    tablesDirectory: "/data/tables",
    savepointsDirectory: "/data/savepoints",
    segmentBytes: 1_048_576,
    listen: false,
    onFailed: (fault) => {
      throw fault;
    },
    onClosed: async () => {},
  });
  let sent = 0;
  const feed = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const payload = `{"ts":${clock.now()},"v":${sent++}}`;
      const fed = agent.feeder.feed("plant/a/d1/state", new TextEncoder().encode(payload));
      await clock.pass(500);
      await fed;
    }
  };
  for (let minutes = 0; !isHanging; minutes++) {
    assert.ok(minutes < 60, "a savepoint is written");
    await feed(4);
    await clock.pass(60_000);
  }
  await feed(20);
  const committed = (): string => Buffer.from(kv.get(emittedKey) ?? []).toString();
  const before = committed();
  await clock.pass(10_000);
  assert.equal(committed(), before, "commits wait for the file");
  let isClosed = false;
  const closing = agent.close().then(() => (isClosed = true));
  await clock.pass(1_000);
  assert.notEqual(committed(), before, "what was received is committed");
  goOn();
  for (let waits = 0; !isClosed && waits < 100; waits++) await clock.pass(1_000);
  await closing;
});
