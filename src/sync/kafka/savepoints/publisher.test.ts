import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../../../test/support/fault-disk.ts";
import { ClusterModel, type ModelFate } from "../../../../test/support/kafka/cluster-model.ts";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import { SimulatedClock } from "../../../../test/support/simulated-clock.ts";
import { Catalog } from "../../../core/catalog.ts";
import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { position } from "../../../core/units.ts";
import { Ledger } from "../../../edge-ops/ledger.ts";
import { slotOf } from "../../../store/care/savepoint-set.ts";
import { restoreSavepoint } from "../../../store/care/savepoint.ts";
import { writeWhole } from "../../../store/care/whole-files.ts";
import { OutboxWriter } from "../../../store/outbox/outbox.ts";
import { readCheckpoint } from "../../../store/state/checkpoint-store.ts";
import { uplinkKey } from "../../../store/state/kv-key.ts";
import { KvMemory } from "../../../store/state/kv-memory.ts";
import { openStateStore } from "../../../store/state/state-store.ts";
import { encodeLaneState, type LaneState } from "../lane-state.ts";
import { noCompression } from "../message/record-batch.ts";
import { type PublisherOptions, SavepointPublisher } from "./publisher.ts";
import { fetchSet, findSets } from "./sets-upstream.ts";

const topic = "weir.savepoints";
const agent = "gw1";
const everyMs = 3_600_000;
const transactionMs = 60_000;

const uplink = "kafka";

/** An agent that checkpoints, and a cluster with a topic of records. */
async function rig({ bytes = 300, ...more }: Partial<PublisherOptions> & { bytes?: number } = {}) {
  const clock = new SimulatedClock(1_764_000_000_000);
  const model = new ClusterModel({ clock: () => clock.now() });
  model.createTopic("weir.summaries", { partitions: 2 });
  const faults = new FaultDisk(seededRandom(1));
  const disk = faults.mount();
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  let ids = 0;
  const options: PublisherOptions = {
    uplink,
    agent,
    version: "0.1.0",
    topic,
    topics: {
      create: true,
      partitions: -1,
      replication: 1,
      cursorPartitions: 3,
      summaries: "weir.summaries",
      alerts: "weir.alerts",
      raw: "weir.raw",
      cursor: "weir.cursor",
    },
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
    randomHex: (count) => (ids++).toString(16).padStart(2 * count, "0"),
    ...more,
  };
  const publisher = new SavepointPublisher(options);
  let through = 0;
  let size = bytes;
  const ledger = new Ledger(new Catalog()).encode();
  /** As the loop does it; whether a savepoint was due. */
  const checkpoint = async (of = publisher): Promise<boolean> => {
    through += 1;
    const chunks = [{ table: "sums", chunk: 0, bytes: new Uint8Array(size).fill(through) }];
    await store.commit({
      through: position(through),
      ledger,
      definitions: [],
      deadLetters: [],
      outbox: new OutboxWriter(),
      checkpoint: { chunks, tables: ["sums"], spec: "{}", refused: new Uint8Array(4) },
    });
    const written = of.atCheckpoint();
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
    const state = new Uint8Array(chunk?.bytes.length ?? 0).fill(at);
    assert.deepEqual(chunk?.bytes, state, "the state is of that checkpoint");
    return { at, number: set.head.number };
  };
  /** The keys that the topic has, each with the bytes of its value. */
  const keys = (): readonly (readonly [string, number])[] => {
    const newest = new Map(model.readAll(topic).map(({ key, valueBytes }) => [key, valueBytes]));
    return [...newest].flatMap(([key, value]) =>
      value === undefined ? [] : [[String(key), value.length] as const],
    );
  };
  const resize = (to: number): void => void (size = to);
  return {
    clock,
    model,
    faults,
    disk,
    kv,
    store,
    options,
    publisher,
    checkpoint,
    found,
    keys,
    resize,
  };
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

test("one that waits behind others for too long is dropped and told of, and a fresh one is made", async () => {
  let isBusy = true;
  const { clock, publisher, checkpoint, found } = await rig({ mustYield: () => isBusy });
  await checkpoint();
  await clock.pass(everyMs - 1_000);
  assert.deepEqual([publisher.status.state, publisher.status.isLate], ["sending", false]);
  await clock.pass(10_000);
  assert.deepEqual([publisher.status.state, publisher.status.isLate], ["waiting", true]);
  assert.match(publisher.status.trouble ?? "", /of 60 minutes ago was dropped with 0 of 0 chunks/);
  isBusy = false;
  assert.equal(await checkpoint(), true);
  await clock.pass(1_000);
  assert.deepEqual(await found(), { at: 2, number: 0 });
  assert.deepEqual([publisher.status.trouble, publisher.status.isLate], [undefined, false]);
  await publisher.close();
});

test("one that goes out slowly is finished, unless it is far too old", async () => {
  const slowEveryMs = limits.savepointPatienceMsMin;
  for (const [slowMs, isSent] of [
    [slowEveryMs / 2, true],
    [slowEveryMs * 0.9, false],
  ] as const) {
    let free = 0;
    const { clock, publisher, checkpoint } = await rig({
      mustYield: (bytes) => {
        if (bytes === 0) return false;
        if (clock.monotonic() < free) return true;
        free = clock.monotonic() + slowMs;
        return false;
      },
      everyMs: slowEveryMs,
      bytes: 500,
    });
    await checkpoint();
    await clock.pass(1_000);
    assert.equal(publisher.status.chunks, 6);
    await clock.pass(7 * slowEveryMs);
    assert.equal(publisher.status.published, Number(isSent), publisher.status.trouble ?? "");
    await publisher.close();
  }
});

test("keys that a larger set had are removed behind the head of a smaller one", async () => {
  const { clock, model, publisher, checkpoint, found, keys, resize } = await rig({ bytes: 3_000 });
  const send = async (): Promise<void> => {
    await checkpoint();
    await clock.pass(600_000);
    await clock.pass(everyMs);
  };
  await send();
  await send();
  const before = keys().length;
  resize(300);
  // Some answers are lost, those to removals among them.
  let calls = 0;
  model.fate = () => (calls++ % 7 === 6 ? "lose-answer" : "answer");
  await send();
  await send();
  model.fate = () => "answer";
  const { chunks } = (await findSets(model.connect(), { topic, agent })).sets[0]!.head;
  assert.ok(chunks < before / 4, `${chunks} of ${before}`);
  assert.equal(keys().length, 2 * (chunks + 1));
  assert.deepEqual(await found(), { at: 4, number: 3 });
  await publisher.close();
});

test("a link that is down leaves chunks as they are; one too slow for them has smaller ones for a while", async () => {
  let isDown = true;
  let bytesMax = Infinity;
  const { clock, model, publisher, checkpoint, found, keys } = await rig({
    bytes: 400_000,
    chunkBytes: 100_000,
    connect: async () => {
      if (isDown) throw new Fault("UPLINK_UNREACHABLE", "no link");
      const cluster = model.connect();
      const produce = cluster.produce.bind(cluster);
      cluster.produce = async (batches, options) => {
        if (batches[0]!.bytes.length <= bytesMax) return await produce(batches, options);
        const facts = { request: "Produce", waitedMs: 30_000 };
        throw new Fault("UPLINK_UNREACHABLE", "no answer within 30000 ms", { facts });
      };
      return cluster;
    },
  });
  const largest = (number: number): number =>
    Math.max(
      ...keys().flatMap(([key, bytes]) =>
        key.startsWith(`gw1/${slotOf(number)}/`) ? [bytes] : [],
      ),
    );
  await checkpoint();
  await clock.pass(60_000);
  isDown = false;
  await clock.pass(60_000);
  assert.equal(largest(0), 100_016);
  bytesMax = 60_000;
  await clock.pass(everyMs);
  await checkpoint();
  await clock.pass(60_000);
  assert.equal(largest(1), 50_016);
  assert.deepEqual(await found(), { at: 2, number: 1 });
  bytesMax = Infinity;
  await clock.pass(everyMs);
  await checkpoint();
  await clock.pass(60_000);
  assert.equal(largest(2), 100_016, "and is tried again with larger ones");
  await publisher.close();
});

test("one that is too large, or leaves the disk too little, is made once each time, and not to its end", async () => {
  const full = await rig({ bytes: 100_000 });
  full.faults.bytesMax = limits.savepointFreeBytesMin + 20_000;
  let written = 0;
  full.faults.fate = ({ name }) => void (written += Number(name === "write"));
  assert.equal(await full.checkpoint(), true);
  await full.clock.pass(1_000);
  assert.match(full.publisher.status.trouble ?? "", /would leave the disk less than/);
  assert.equal(full.faults.bytesTaken, 0);
  assert.equal(await full.checkpoint(), false, "the next one is not due");
  full.faults.bytesMax = Infinity;
  await full.clock.pass(everyMs);
  assert.equal(await full.checkpoint(), true);
  await full.clock.pass(1_000);
  assert.deepEqual(await full.found(), { at: 3, number: 0 });
  await full.publisher.close();
});

test("commits wait for the file alone: it is not synced, not read, and the end waits for none of it", async () => {
  const { clock, faults, publisher, checkpoint } = await rig();
  const calls: string[] = [];
  faults.fate = ({ name, path }) => void (path.endsWith("upstream.sending") && calls.push(name));
  let isBusy = false;
  await checkpoint();
  await clock.pass(1_000);
  assert.ok(!calls.includes("sync"));
  assert.equal(calls.indexOf("read") > calls.lastIndexOf("write"), true);
  // A disk that hangs.
  const { promise, resolve } = Promise.withResolvers<void>();
  faults.fate = ({ name }) => (name === "write" ? promise : undefined);
  await clock.pass(everyMs);
  const waiting = checkpoint().then(() => (isBusy = true));
  await clock.pass(1_000);
  assert.equal(isBusy, false);
  publisher.stop();
  await waiting;
  resolve();
  await publisher.close();
  assert.equal(publisher.status.published, 1);
});

test("who ends between a head and its number does not take the slot of the last whole set", async () => {
  for (const fate of ["lose-request", "lose-answer"] as const) {
    const { clock, model, options, store, publisher, checkpoint, found } = await rig();
    await checkpoint();
    await clock.pass(1_000);
    await clock.pass(everyMs);
    // The process ends where it stores the number of the set whose head it sent.
    let isOver = false;
    const dying = new SavepointPublisher({
      ...options,
      store: async (writes) => {
        if (isOver) throw new Fault("STORE_FAILED", "the power is out");
        isOver = new TextDecoder().decode(writes[0]!.value!).includes('"head"');
        await store.advance(writes);
        if (isOver && fate === "lose-request") model.fate = () => "lose-request";
      },
    });
    await checkpoint(dying);
    await clock.pass(500);
    await dying.close();
    model.fate = () => "answer";
    assert.deepEqual(await found(), {
      at: fate === "lose-answer" ? 2 : 1,
      number: Number(fate === "lose-answer"),
    });
    await clock.pass(everyMs);
    // It ends, too, as soon as it has written a chunk.
    let chunks = 0;
    const fresh = new SavepointPublisher({
      ...options,
      mustYield: (bytes) => bytes > 200 && chunks++ > 0,
    });
    await checkpoint(fresh);
    await clock.pass(500);
    await fresh.close();
    model.compact(topic);
    assert.deepEqual(await found(), { at: 2, number: 1 }, fate);
    await publisher.close();
  }
});

test("a lane whose state cannot be read keeps nobody from committing", async () => {
  const { publisher, checkpoint } = await rig({
    holds: () => {
      throw new Fault("STORE_FAILED", "the state of a lane is damaged");
    },
  });
  assert.equal(await checkpoint(), false);
  assert.match(publisher.status.trouble ?? "", /damaged/);
  await publisher.close();
});

test("a transaction whose end nobody was told of is read again, however long ago it was", async () => {
  const { clock, model, store, publisher, checkpoint } = await rig();
  const since = async () => (await findSets(model.connect(), { topic, agent })).sets[0]?.head.since;
  const mark = { outbox: "0".repeat(32), seq: 5, digest: "0".repeat(32) };
  const state: LaneState = {
    agent,
    cluster: model.id,
    mark,
    number: 5,
    there: mark,
    boots: [],
    before: [],
    forkedFrom: "",
    intent: { number: 9, mark: { ...mark, seq: 9 }, delivery: "transactional" },
    place: undefined,
    incidents: { count: 0, last: undefined },
  };
  const key = uplinkKey(uplink, "summaries");
  const put = (value: LaneState) => store.advance([{ key, value: encodeLaneState(value) }]);
  const send = async () => {
    await checkpoint();
    await clock.pass(1_000);
    await clock.pass(everyMs);
  };
  await put(state);
  await send();
  await send();
  assert.deepEqual(await since(), {}, "it may be there, and the lane does not know");
  await put({ ...state, mark: { ...mark, seq: 9 }, intent: undefined });
  await send();
  assert.deepEqual(await since(), { "weir.summaries": [0, 0] });
  await publisher.close();
});
