import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterModel } from "../../../test/support/kafka/cluster-model.ts";
import { batch } from "../../../test/support/kafka/cluster-model-rig.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { behindCommands, openPositions } from "./command-positions.ts";

test("other hardware begins behind all commands that are there, in whatever partition", async () => {
  const model = new ClusterModel({ clock: () => 0 });
  const topic = "weir.commands";
  model.createTopic(topic, { partitions: 2 });
  const cluster = model.connect();
  const bytes = batch(["a=1", "b=2"], {});
  await cluster.produce([{ topic, partition: 1, bytes }], { transactionalId: undefined });
  const kv = new KvMemory();
  const get = (key: string): Uint8Array | undefined => kv.get(key);
  const of = { uplink: "kafka", topic };
  assert.equal(await behindCommands(get, { uplink: "kafka", cluster }), undefined);

  const before = openPositions(get, of);
  before.use(cluster.id);
  for (const partition of [0, 1]) before.begin(partition, { first: 0, end: 0 });
  await kv.commit([before.writeOf(1, 1)]);
  const write = await behindCommands(get, { uplink: "kafka", cluster });
  assert.ok(write !== undefined);
  await kv.commit([write]);
  const after = openPositions(get, of);
  assert.deepEqual(after.begin(0, { first: 0, end: 0 }), { from: 0, gone: 0 });
  assert.deepEqual(after.begin(1, { first: 0, end: 2 }), { from: 2, gone: 0 });
});
