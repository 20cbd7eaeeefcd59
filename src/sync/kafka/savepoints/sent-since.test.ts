import assert from "node:assert/strict";
import { test } from "node:test";
import { startHalf, UpstreamWorld } from "../../../../test/support/kafka/upstream-half.ts";
import { encodeRecordBatch, noCompression } from "../message/record-batch.ts";
import { readSentSince, type SentOptions, type SentSince } from "./sent-since.ts";

const options: SentOptions = {
  agent: "gw1",
  outboxes: new Set(),
  topics: ["summaries"],
  since: {},
  waiting: [],
  slides: new Map(),
};

async function readIn(world: UpstreamWorld, more: Partial<SentOptions> = {}): Promise<SentSince> {
  const reading = readSentSince(world.cluster.connect(), { ...options, ...more });
  let isOver = false;
  const over = (): void => void (isOver = true);
  reading.then(over, over);
  assert.ok(await world.until(() => isOver));
  return await reading;
}

/** Eight records of an agent, over both partitions. */
async function sentWorld(): Promise<UpstreamWorld> {
  const world = new UpstreamWorld(1);
  const old = await startHalf(world);
  await old.emit({ summaries: 8 });
  assert.ok(await world.until(() => old.isDone));
  old.crash();
  world.cluster.settle();
  return world;
}

test("a value that is no record is passed over and counted, and what follows is read", async () => {
  const world = await sentWorld();
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  const name = { name: text("ce_id"), value: text(`${"a".repeat(32)}:summaries:0`) };
  const record = { key: text("gw1/temp/device=d0/1"), value: text("{nothing"), headers: [name] };
  const bytes = encodeRecordBatch([record], {
    producer: undefined,
    sequence: 0,
    isTransactional: false,
    timeMs: world.clock.now(),
    compression: noCompression,
  });
  const produced = world.cluster
    .connect()
    .produce([{ topic: "summaries", partition: 0, bytes }], { transactionalId: undefined });
  await world.quiet();
  await produced;
  const back = await startHalf(world, { origin: "b" });
  await back.emit({ summaries: 8 });
  assert.ok(await world.until(() => back.isDone));
  const { records, unread, expired } = await readIn(world);
  assert.deepEqual({ records, unread, expired }, { records: 16, unread: 1, expired: 0 });
});

test("what has expired behind the savepoint is counted, and what had before it is not", async () => {
  const world = await sentWorld();
  world.cluster.truncateFront({ topic: "summaries", partition: 0 }, 2);
  const behind = await readIn(world, { since: { summaries: [1, 0] } });
  assert.equal(behind.expired, 1);
  assert.ok(behind.records > 0);
  assert.equal((await readIn(world, { since: { summaries: [2, 0] } })).expired, 0);
  assert.equal((await readIn(world)).expired, 0, "where nothing is known, nothing is missed");
});
