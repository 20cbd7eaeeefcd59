import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { commitRecords } from "../../../test/support/commit-records.ts";
import { ClusterModel } from "../../../test/support/kafka/cluster-model.ts";
import { FaultDisk } from "../../../test/support/fault-disk.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { ManualClock } from "../../../test/support/simulated-net.ts";
import type { Disk, Hashing, Net } from "../../core/doors.ts";
import { Catalog } from "../../core/catalog.ts";
import { millis, position } from "../../core/units.ts";
import { Ledger } from "../../edge-ops/ledger.ts";
import { writeWhole } from "../../store/care/whole-files.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { OutboxWriter } from "../../store/outbox/outbox.ts";
import { encodeAlert } from "../../store/outbox/record-codec.ts";
import { openStateStore } from "../../store/state/state-store.ts";
import { openDrain } from "../../sync/drain.ts";
import { configOf } from "../config/config.ts";
import { type KafkaUplinkConfig, kafkaUplinkDefaults } from "../config/kafka-config.ts";
import type { KafkaDoor } from "../doors/kafka.ts";
import type { SchemaToRegister } from "../doors/schema-registry.ts";
import { openSavepoints, openUplinks } from "./uplinks.ts";

/** A door to a model of a cluster and to a registry that gives 41, 42, ... */
class ModelDoor implements KafkaDoor {
  readonly asked: SchemaToRegister[] = [];
  readonly clients: string[] = [];
  readonly #model: ClusterModel;

  constructor(model: ClusterModel) {
    this.#model = model;
  }

  connect: KafkaDoor["connect"] = ({ clientId }) => {
    this.clients.push(clientId);
    return Promise.resolve(this.#model.connect());
  };

  credentials: KafkaDoor["credentials"] = () => ({
    read: () => Promise.resolve({}),
    isOutdated: () => Promise.resolve(false),
  });

  registerSchema: KafkaDoor["registerSchema"] = (schema) => {
    this.asked.push(schema);
    return Promise.resolve(40 + this.asked.length);
  };
}

const unused = new Proxy({}, { get: () => assert.fail("it is not touched") });

/** Sends one alert through an agent's uplinks. */
async function sendAlert(kv: KvMemory, kafka: KafkaDoor, uplink: Partial<KafkaUplinkConfig>) {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const { store } = await openStateStore(kv);
  const config = configOf({
    agent: "gw1",
    dataDirectory: "/data",
    sources: [],
    uplinks: [{ ...kafkaUplinkDefaults, brokers: ["k:9092"], ...uplink }],
  });
  const doors = {
    clock,
    random,
    kv,
    kafka,
    disk: unused as Disk,
    net: unused as Net,
    hashing: unused as Hashing,
  };
  const drain = openDrain({
    store,
    clock,
    random,
    uplinks: await openUplinks({
      config,
      doors,
      store,
      status: () => assert.fail("it is not asked"),
      viaOf: () => undefined,
    }),
  });
  const outbox = new OutboxWriter();
  outbox.add("alerts", encodeAlert("gw1", alert));
  await commitRecords(store, outbox);
  drain.wake();
  await whileTimePasses(clock, drain.idle());
  assert.equal(drain.status[0]?.trouble, undefined);
  await drain.close();
}

/** `work`, with a clock that goes on whenever nothing else does. */
async function whileTimePasses(clock: ManualClock, work: Promise<void>): Promise<void> {
  let over = false;
  const done = work.finally(() => {
    over = true;
  });
  while (!over) {
    clock.advance(10);
    await nextTurn();
  }
  await done;
}

const alert = {
  kind: "alert",
  pipeline: "outliers",
  key: [["device", "p1"]],
  time: millis(1_764_000_000_000),
  reason: "ewma_high",
  value: 7,
  score: 9,
  expected: 1,
  limit: 2,
} as const;

test("the registry is asked once for each schema; what it said is remembered", async () => {
  const model = new ClusterModel({ clock: () => 1_764_000_000_000 });
  const kv = new KvMemory();
  const registry = { url: "https://schemas.example", user: "gw", password: "hush" };
  const uplink = { format: "avro-confluent", registry } as const;
  const first = new ModelDoor(model);
  await sendAlert(kv, first, uplink);
  assert.deepEqual(
    first.asked.map(({ subject, user, password }) => ({ subject, user, password })),
    [
      { subject: "weir.summaries-value", user: "gw", password: "hush" },
      { subject: "weir.alerts-value", user: "gw", password: "hush" },
    ],
  );
  const again = new ModelDoor(model);
  await sendAlert(kv, again, uplink);
  assert.deepEqual(again.asked, []);
  const elsewhere = new ModelDoor(model);
  await sendAlert(kv, elsewhere, { ...uplink, registry: { url: "https://other.example" } });
  assert.equal(elsewhere.asked.length, 2, "another registry has other ids");

  const values = model.readAll("weir.alerts").map(({ valueBytes }) => valueBytes?.subarray(0, 5));
  const framed = (id: number): Uint8Array => Uint8Array.of(0, 0, 0, 0, id);
  assert.deepEqual(values, [framed(42), framed(42), framed(42)]);
});

test("each lane connects under its own name", async () => {
  const door = new ModelDoor(new ClusterModel({ clock: () => 1_764_000_000_000 }));
  await sendAlert(new KvMemory(), door, {});
  assert.deepEqual(door.clients.sort(), ["weir-gw1-alerts", "weir-gw1-summaries"]);
});

test("a savepoint that the process before was sending is gone, whatever is configured now", async () => {
  const disk = new FaultDisk(seededRandom(1)).mount();
  await disk.makeDirectory("/d/savepoints");
  await writeWhole(disk, "/d/savepoints/upstream.sending", Uint8Array.of(1));
  await writeWhole(disk, "/d/savepoints/mine.savepoint", Uint8Array.of(1));
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  const config = configOf({ agent: "a", dataDirectory: "/d", sources: [] });
  const doors = {
    clock: new ManualClock(),
    random: seededRandom(1),
    kv,
    disk,
    net: unused as Net,
    hashing: unused as Hashing,
  };
  const publisher = await openSavepoints({
    config,
    doors,
    store,
    kv,
    disk,
    drain: { status: [] },
    directory: "/d/savepoints",
    status: () => assert.fail(),
    viaOf: () => undefined,
  });
  assert.equal(publisher, undefined);
  assert.deepEqual(await disk.list("/d/savepoints"), ["mine.savepoint"]);
});

test("a savepoint waits with the uplink that is paused, and is sent when that is resumed", async () => {
  const disk = new FaultDisk(seededRandom(1)).mount();
  await disk.makeDirectory("/d");
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  const checkpoint = { chunks: [], tables: [], spec: "{}", refused: new Uint8Array(4) };
  await store.commit({
    through: position(7),
    ledger: new Ledger(new Catalog()).encode(),
    definitions: [],
    deadLetters: [],
    outbox: new OutboxWriter(),
    checkpoint,
  });
  const savepoints = { topic: "weir.savepoints", everyMs: 3_600_000 };
  const config = configOf({
    agent: "gw1",
    dataDirectory: "/d",
    sources: [],
    uplinks: [{ ...kafkaUplinkDefaults, brokers: ["k:9092"], savepoints }],
  });
  const clock = new ManualClock();
  const random = seededRandom(1);
  const kafka = new ModelDoor(new ClusterModel({ clock: () => 1_764_000_000_000 }));
  const doors = { clock, random, kv, kafka, disk, net: unused as Net, hashing: unused as Hashing };
  const parts = {
    config,
    doors,
    store,
    status: () => assert.fail("it is not asked"),
    viaOf: () => undefined,
  };
  const drain = openDrain({ store, clock, random, uplinks: await openUplinks(parts) });
  await whileTimePasses(clock, drain.idle());
  await drain.pause(["kafka"], undefined);
  const directory = "/d/savepoints";
  const publisher = await openSavepoints({ ...parts, kv, disk, drain, directory });
  assert.ok(publisher !== undefined);
  await publisher.atCheckpoint();
  const pass = async (turns: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn++) {
      clock.advance(100);
      await nextTurn();
    }
  };
  await pass(600);
  assert.equal(publisher.status.state, "sending");
  assert.ok(!kafka.clients.includes("weir-gw1-savepoints"), "nothing is connected for it");
  await drain.resume(["kafka"]);
  await pass(600);
  assert.deepEqual([publisher.status.trouble, publisher.status.published], [undefined, 1]);
  await publisher.close();
  await drain.close();
});
