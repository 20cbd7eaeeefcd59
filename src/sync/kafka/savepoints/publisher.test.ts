import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../../../test/support/fault-disk.ts";
import { ClusterModel, type ModelFate } from "../../../../test/support/kafka/cluster-model.ts";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import { SimulatedClock } from "../../../../test/support/simulated-clock.ts";
import { Catalog } from "../../../core/catalog.ts";
import { position } from "../../../core/units.ts";
import { Ledger } from "../../../edge-ops/ledger.ts";
import { restoreSavepoint } from "../../../store/care/savepoint.ts";
import { writeWhole } from "../../../store/care/whole-files.ts";
import { OutboxWriter } from "../../../store/outbox/outbox.ts";
import { readCheckpoint } from "../../../store/state/checkpoint-store.ts";
import { KvMemory } from "../../../store/state/kv-memory.ts";
import { openStateStore } from "../../../store/state/state-store.ts";
import { noCompression } from "../message/record-batch.ts";
import { type PublisherOptions, SavepointPublisher } from "./publisher.ts";
import { fetchSet, findSets } from "./sets-upstream.ts";

const topic = "weir.savepoints";
const agent = "gw1";
const everyMs = 3_600_000;
const transactionMs = 60_000;

/** An agent that checkpoints, and a cluster with a topic of records. */
async function rig(more: Partial<PublisherOptions> = {}) {
  const clock = new SimulatedClock(1_764_000_000_000);
  const model = new ClusterModel({ clock: () => clock.now() });
  model.createTopic("weir.summaries", { partitions: 2 });
  const disk = new FaultDisk(seededRandom(1)).mount();
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  let ids = 0;
  const publisher = new SavepointPublisher({
    uplink: "kafka",
    agent,
    version: "0.1.0",
    topic,
    topics: { create: true, partitions: -1, replication: 1, cursorPartitions: 3 },
    dataTopics: ["weir.summaries"],
    everyMs,
    transactionMs,
    chunkBytes: 200,
    clock,
    disk,
    directory: "/savepoints",
    kv,
    store: (writes) => store.advance(writes),
    outboxBytes: () => 0,
    holds: () => ({ life: 0 }),
    mustYield: () => false,
    connect: async () => model.connect(),
    compression: async () => noCompression,
    randomHex: (bytes) => (ids++).toString(16).padStart(2 * bytes, "0"),
    ...more,
  });
  let through = 0;
  const ledger = new Ledger(new Catalog()).encode();
  /** As the loop does it; whether a savepoint was due. */
  const checkpoint = async (): Promise<boolean> => {
    through += 1;
    const chunks = [{ table: "sums", chunk: 0, bytes: new Uint8Array(300).fill(through) }];
    await store.commit({
      through: position(through),
      ledger,
      definitions: [],
      deadLetters: [],
      outbox: new OutboxWriter(),
      checkpoint: { chunks, tables: ["sums"], spec: "{}", refused: new Uint8Array(4) },
    });
    const written = publisher.atCheckpoint();
    await written;
    return written !== undefined;
  };
  const found = async (): Promise<{ readonly at: number; readonly number: number } | undefined> => {
    const cluster = model.connect();
    const [set] = (await findSets(cluster, { topic, agent })).sets;
    if (set === undefined) return undefined;
    const pieces: Uint8Array[] = [];
    await fetchSet(cluster, set, async (piece) => void pieces.push(piece.slice()));
    const fresh = new FaultDisk(seededRandom(2)).mount();
    await fresh.makeDirectory("/x");
    await writeWhole(fresh, "/x/file", Buffer.concat(pieces));
    const restored = new KvMemory();
    await restoreSavepoint(fresh, "/x/file", restored);
    const at = readCheckpoint(restored)?.checkpoint.at ?? -1;
    const [chunk] = readCheckpoint(restored)!.checkpoint.chunks();
    assert.deepEqual(chunk?.bytes, new Uint8Array(300).fill(at), "the state is of that checkpoint");
    return { at, number: set.head.number };
  };
  return { clock, model, disk, publisher, checkpoint, found };
}

test("what is sent at a checkpoint is upstream whole, and the file is gone", async () => {
  const { clock, disk, publisher, checkpoint, found } = await rig();
  assert.equal(await checkpoint(), true);
  await clock.pass(1_000);
  assert.deepEqual(await found(), { at: 1, number: 0 });
  const { state, published, last, trouble } = publisher.status;
  assert.deepEqual([state, published, last?.position, trouble], ["waiting", 1, 1, undefined]);
  assert.deepEqual(await disk.list("/savepoints"), []);
  assert.equal(await checkpoint(), false, "the next one is not due");
  await clock.pass(everyMs);
  assert.equal(await checkpoint(), true);
  await clock.pass(1_000);
  assert.deepEqual(await found(), { at: 3, number: 1 });
  await publisher.close();
});

test("wherever the second one ends for good, the first or the second is there whole", async () => {
  for (let at = 0, isOver = false; !isOver; at++) {
    for (const fate of ["lose-request", "lose-answer"] satisfies ModelFate[]) {
      const { clock, model, publisher, checkpoint, found } = await rig();
      await checkpoint();
      await clock.pass(1_000);
      await clock.pass(everyMs);
      let calls = 0;
      model.fate = () => (calls++ < at ? "answer" : fate);
      await checkpoint();
      await clock.pass(500);
      const { published } = publisher.status;
      await publisher.close();
      model.fate = () => "answer";
      model.compact(topic);
      const there = await found();
      assert.ok(there !== undefined && there.number <= 1, `${fate} at request ${at}`);
      if (published === 2) assert.equal(there.number, 1);
      isOver = published === 2;
    }
    assert.ok(at < 100, "it comes to its end");
  }
});

test("an answer that is lost is asked for again, until the set is whole", async () => {
  const { clock, model, publisher, checkpoint, found } = await rig();
  const random = seededRandom(3);
  model.fate = () => (random.uint32() % 5 === 0 ? "lose-answer" : "answer");
  await checkpoint();
  await clock.pass(1_800_000);
  model.fate = () => "answer";
  assert.deepEqual(await found(), { at: 1, number: 0 });
  assert.ok(publisher.status.failures > 0);
  assert.equal(publisher.status.trouble, undefined);
  await publisher.close();
});

test("without the name, or with a backlog, none is made; a name lost on the way ends it", async () => {
  const without = await rig({ holds: () => undefined });
  assert.equal(await without.checkpoint(), false);
  const behind = await rig({ outboxBytes: () => 1e9 });
  assert.equal(await behind.checkpoint(), false);
  assert.match(behind.publisher.status.trouble ?? "", /wait to be sent/);
  let asked = 0;
  const losing = await rig({ holds: () => (asked++ < 3 ? { life: 0 } : undefined) });
  await losing.checkpoint();
  await losing.clock.pass(10_000);
  assert.equal(await losing.found(), undefined);
  assert.match(losing.publisher.status.trouble ?? "", /another agent has the name/);
  await losing.publisher.close();
});

test("others go first", async () => {
  let isBusy = true;
  const { clock, publisher, checkpoint, found } = await rig({ mustYield: () => isBusy });
  await checkpoint();
  await clock.pass(60_000);
  assert.deepEqual([publisher.status.state, publisher.status.sentChunks], ["sending", 0]);
  isBusy = false;
  await clock.pass(2_000);
  assert.deepEqual(await found(), { at: 1, number: 0 });
  await publisher.close();
});

test("a set says where topics ended when every transaction of then was decided", async () => {
  const { clock, model, publisher, checkpoint } = await rig({ everyMs: 10_000 });
  const since = async () => {
    const { sets } = await findSets(model.connect(), { topic, agent });
    return sets[0]?.head.since;
  };
  await checkpoint();
  await clock.pass(1_000);
  assert.deepEqual(await since(), {}, "nothing is known of before");
  await clock.pass(10_000);
  await checkpoint();
  await clock.pass(1_000);
  assert.deepEqual(await since(), {}, "a transaction of then may be open");
  await clock.pass(2 * transactionMs);
  await checkpoint();
  await clock.pass(1_000);
  assert.deepEqual(await since(), { "weir.summaries": [0, 0] });
  await publisher.close();
});
