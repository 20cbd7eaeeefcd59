import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterModel } from "../../../test/support/kafka/cluster-model.ts";
import { Fault } from "../../core/faults.ts";
import { type Cluster, errorOf, type TransactionOf } from "./cluster.ts";
import { cursorKey, emptyDigest, encodeCursor } from "./cursor.ts";
import { type CursorToFind, readCursor } from "./cursor-reading.ts";
import { encodeRecordBatch, noCompression } from "./message/record-batch.ts";

const topic = "c";
const group = "weir.gw1.alerts";
const key = cursorKey("gw1", "alerts");

class Rig {
  nowMs = 0;
  readonly model: ClusterModel = new ClusterModel({ clock: () => this.nowMs });
  readonly session: Cluster = this.model.connect();

  constructor(partitions = 1) {
    this.model.createTopic(topic, { partitions, config: { "cleanup.policy": "compact" } });
  }

  /** Writes a cursor in a transaction of its own, and says at which offset. */
  async write(
    seq: number,
    {
      outcome = "commit" as "commit" | "abort" | "open",
      of = key,
      inGroup = false,
      text = "",
    } = {},
  ): Promise<number> {
    const transactionalId = String.fromCharCode(...of);
    const { session } = this;
    const producer = await session.initProducer({ transactionalId, timeoutMs: 60_000 });
    const transaction: TransactionOf = { transactionalId, producer };
    const value = text === "" ? cursorBytes(seq) : Buffer.from(text);
    const at = { topic, partition: 0 };
    await session.addPartitions(transaction, [at]);
    const bytes = encodeRecordBatch([{ key: of, value, headers: [] }], {
      producer,
      sequence: 0,
      isTransactional: true,
      timeMs: this.nowMs,
      compression: noCompression,
    });
    const [written] = await session.produce([{ ...at, bytes }], { transactionalId });
    if (inGroup) {
      await session.addGroup(transaction, group);
      const metadata = new TextDecoder().decode(value);
      await session.commitOffset(transaction, { ...at, group, offset: seq, metadata });
    }
    if (outcome !== "open") {
      await session.endTransaction(transaction, outcome);
      this.model.settle();
    }
    return written?.offset ?? -1;
  }

  async read(more: Partial<CursorToFind> = {}): Promise<number | undefined> {
    const wanted = { group, topic, partitions: 1, key, hint: undefined, ...more };
    return (await readCursor(this.session, wanted)).cursor?.mark.seq;
  }

  requests(): readonly string[] {
    const seen: string[] = [];
    this.model.fate = ({ request }) => {
      seen.push(request);
      return "answer";
    };
    return seen;
  }
}

function cursorBytes(seq: number): Uint8Array {
  return encodeCursor({
    agent: "gw1",
    lane: "alerts",
    mark: { outbox: "a".repeat(32), seq, digest: emptyDigest },
    boots: [],
    before: [],
    version: "0.1.0",
  });
}

test("where nothing was written there is no cursor", async () => {
  assert.equal(await new Rig().read(), undefined);
});

test("the offset of the group is enough", async () => {
  const rig = new Rig();
  await rig.write(5, { inGroup: true });
  const requests = rig.requests();
  assert.equal(await rig.read(), 5);
  assert.deepEqual(requests, ["OffsetFetch"]);
});

test("without an offset the last committed cursor of the topic counts, not one that was aborted", async () => {
  const rig = new Rig();
  await rig.write(5);
  await rig.write(8);
  await rig.write(9, { outcome: "abort" });
  assert.equal(await rig.read(), 8);
  rig.model.compact(topic);
  assert.equal(await rig.read(), 8);
});

test("open transactions and cursors of others do not hide ours", async () => {
  const rig = new Rig();
  await rig.write(1, { of: cursorKey("gw2", "alerts"), outcome: "open" });
  await rig.write(5);
  await rig.write(6, { of: cursorKey("gw3", "alerts") });
  assert.equal(await rig.read(), 5);
});

test("it is read from where it was last written, if that is still there", async () => {
  const rig = new Rig();
  for (let seq = 0; seq < 20; seq++) await rig.write(seq);
  const offset = await rig.write(20);
  const fetches: number[] = [];
  const session: Cluster = Object.assign(Object.create(rig.session), {
    fetch: async (...of: Parameters<Cluster["fetch"]>) => {
      fetches.push(of[1].offset);
      return await rig.session.fetch(...of);
    },
  });
  const wanted = { group, topic, partitions: 1, key, hint: { partition: 0, offset } };
  assert.equal((await readCursor(session, wanted)).cursor?.mark.seq, 20);
  assert.equal(fetches[0], offset);
});

test("a place that means nothing any more is no harm", async () => {
  const rig = new Rig();
  await rig.write(5);
  await rig.write(6, { of: cursorKey("gw2", "alerts") });
  for (const hint of [
    { partition: 0, offset: 999 },
    { partition: 0, offset: 2 },
    { partition: 7, offset: 0 },
  ]) {
    assert.equal(await rig.read({ hint }), 5);
  }
  rig.model.truncateFront({ topic, partition: 0 }, 2);
  assert.equal(await rig.read({ hint: { partition: 0, offset: 0 } }), undefined);
});

test("a cursor of a grown topic is found in the partition where it was first written", async () => {
  const rig = new Rig();
  await rig.write(5, { inGroup: true });
  rig.model.growTopic(topic, 40);
  const wanted = { group, topic, partitions: 40, key, hint: undefined };
  const { cursor, partition } = await readCursor(rig.session, wanted);
  assert.deepEqual([cursor?.mark.seq, partition], [5, 0]);
});

test("words of somebody else at the group's offset are passed over, in the topic they are a fault", async () => {
  const rig = new Rig();
  await rig.write(5);
  await rig.write(6, { inGroup: true, text: "reset", of: cursorKey("gw2", "alerts") });
  assert.equal(await rig.read(), 5);
  await rig.write(7, { text: "reset" });
  const isSaid = (error: unknown): boolean =>
    error instanceof Fault && /c\/0 holds under gw1\/alerts is no cursor/.test(error.message);
  await assert.rejects(rig.read(), isSaid);
});

test("a cursor of a newer weir is a fault that says so", async () => {
  const rig = new Rig();
  await rig.write(7, { text: '{"v":2}' });
  await assert.rejects(rig.read(), /has version 2, this weir knows 1/);
});

test("a partition that gives nothing, although it should, is a fault", async () => {
  const rig = new Rig();
  await rig.write(5);
  const session: Cluster = Object.assign(Object.create(rig.session), {
    fetch: async () => ({ batches: [], next: 0 }),
  });
  const wanted = { group, topic, partitions: 1, key, hint: undefined };
  await assert.rejects(readCursor(session, wanted), /c\/0 gives nothing from offset 0 on/);
});

test("an answer that is not decided yet is passed on, to be asked for again", async () => {
  const rig = new Rig();
  await rig.write(5, { inGroup: true, outcome: "open" });
  const error = await rig.read().catch((reason: unknown) => errorOf(reason));
  assert.equal(error, "UNSTABLE_OFFSET_COMMIT");
});

test("without the group the topic is believed, in whatever partition the cursor is", async () => {
  const rig = new Rig();
  await rig.write(5, { inGroup: true });
  rig.model.growTopic(topic, 40);
  const requests = rig.requests();
  assert.equal(await rig.read({ group: undefined, partitions: 40 }), 5);
  assert.ok(!requests.includes("OffsetFetch"));
});
