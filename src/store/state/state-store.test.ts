import assert from "node:assert/strict";
import { RefusedRows } from "../tables/memory/refused-rows.ts";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import type { Kv, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import type { DeadLetter, Named, Posted } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import { deviceId, millis, position, seriesId, sourceId, symbolId } from "../../core/units.ts";
import type { Checkpoint } from "./checkpoint-store.ts";
import { readDeadLetters } from "./dead-letters.ts";
import { KvMemory } from "./kv-memory.ts";
import { type OutputQueue, outputQueues } from "../outbox/lane.ts";
import { OutboxWriter } from "../outbox/outbox.ts";
import { type Commit, openStateStore, type StateStore } from "./state-store.ts";

const text = new TextEncoder();

function outboxOf(records: Partial<Record<OutputQueue, readonly string[]>>): OutboxWriter {
  const writer = new OutboxWriter();
  for (const lane of outputQueues) {
    for (const record of records[lane] ?? []) writer.add(lane, text.encode(record));
  }
  return writer;
}

function commitOf(changes: Partial<Commit> = {}): Commit {
  return {
    through: position(1),
    ledger: Uint8Array.of(1, 2, 3),
    definitions: [],
    deadLetters: [],
    outbox: new OutboxWriter(),
    ...changes,
  };
}

function textsOf(
  store: StateStore,
  lane: OutputQueue,
  from: number,
  bytesMax = 1e9,
): readonly string[] {
  const { records } = store.read(lane, { from, bytesMax });
  return records.map((record) => new TextDecoder().decode(record));
}

async function reopened(kv: KvMemory): ReturnType<typeof openStateStore> {
  return await openStateStore(new KvMemory({ image: kv.image() }));
}

test("a new store is empty, and a reopened one says what was committed last", async () => {
  const kv = new KvMemory();
  const { store, recovered } = await openStateStore(kv);
  assert.deepEqual(recovered, { definitions: [], posted: [] });
  await store.commit(commitOf({ through: position(7) }));
  await store.commit(commitOf({ through: position(12), ledger: Uint8Array.of(9) }));
  const again = await reopened(kv);
  assert.deepEqual(again.recovered.emitted, { through: 12, ledger: Uint8Array.of(9) });
});

test("definitions come back in order, of every kind", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  const definitions: Named[] = [
    { kind: "source", id: sourceId(0), name: "plant" },
    { kind: "device", id: deviceId(0), source: sourceId(0), tags: [["device", "p/ö"]] },
    { kind: "series", id: seriesId(0), device: deviceId(0), metric: "temperature" },
    { kind: "symbol", id: symbolId(2), text: "jam" },
    { kind: "config", json: '{"version":1}' },
  ];
  await store.commit(commitOf({ definitions: definitions.slice(0, 2) }));
  await store.commit(commitOf());
  await store.commit(commitOf({ definitions: definitions.slice(2) }));
  const again = await reopened(kv);
  assert.deepEqual(again.recovered.definitions, definitions);
  await again.store.commit(commitOf({ definitions: definitions.slice(0, 1) }));
});

test("more definitions than a frame brings are still one commit", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  const definitions = Array.from(
    { length: limits.definitionsPerFrameMax + 5 },
    (_, id): Named => ({ kind: "symbol", id: symbolId(id), text: `s${id}` }),
  );
  await store.commit(commitOf({ definitions }));
  const { recovered } = await reopened(kv);
  assert.deepEqual(recovered.definitions, definitions);
});

function checkpointOf(
  tables: readonly string[],
  chunks: readonly (readonly [table: string, chunk: number, fill: number])[],
): Checkpoint {
  return {
    tables,
    chunks: chunks.map(([table, chunk, fill]) => ({ table, chunk, bytes: Uint8Array.of(fill) })),
    spec: '{"version":1}',
    refused: new RefusedRows().encode(),
  };
}

async function chunksIn(kv: KvMemory): Promise<readonly string[]> {
  const { recovered } = await reopened(kv);
  const chunks = [...(recovered.checkpoint?.chunks() ?? [])];
  const stateKeys = [...kv.image().keys()].filter((key) => key.startsWith("state/"));
  assert.equal(stateKeys.length, chunks.length, "nothing else is left in the store");
  return chunks.map(({ table, chunk, bytes }) => `${table} ${chunk}: ${bytes.join()}`).toSorted();
}

test("a checkpoint keeps the chunks that did not change, and drops tables that are gone", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  const write = async (checkpoint: Checkpoint, through: number): Promise<void> =>
    await store.commit(commitOf({ through: position(through), checkpoint }));

  const first = checkpointOf(
    ["a", "b/ä"],
    [
      ["a", 0, 1],
      ["a", 1, 1],
      ["a", 7, 1],
      ["b/ä", 0, 1],
    ],
  );
  await write(first, 5);
  await write(checkpointOf(["a", "b/ä"], [["a", 1, 2]]), 6);
  assert.deepEqual(await chunksIn(kv), ["a 0: 1", "a 1: 2", "a 7: 1", "b/ä 0: 1"]);
  await store.commit(commitOf({ through: position(9) }));

  const { recovered } = await reopened(kv);
  assert.equal(recovered.checkpoint?.at, 6);
  assert.deepEqual(recovered.checkpoint.tables, ["a", "b/ä"]);
  assert.equal(recovered.checkpoint.spec, '{"version":1}');

  await write(checkpointOf(["a", "c"], [["c", 0, 3]]), 10);
  assert.deepEqual(await chunksIn(kv), ["a 0: 1", "a 1: 2", "a 7: 1", "c 0: 3"]);
});

test("a checkpoint that lost a chunk is not believed", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  await store.commit(
    commitOf({
      checkpoint: checkpointOf(
        ["a"],
        [
          ["a", 0, 1],
          ["a", 1, 1],
        ],
      ),
    }),
  );
  await kv.commit([{ key: "state/a/00000001", value: undefined }]);
  const { recovered } = await reopened(kv);
  assert.throws(() => [...recovered.checkpoint!.chunks()], /chunk 1 of a is missing/);
});

test("records get gapless numbers per lane, across commits, prunes and restarts", async () => {
  const kv = new KvMemory();
  let { store } = await openStateStore(kv);
  await store.commit(commitOf({ outbox: outboxOf({ summaries: ["s0", "s1"], alerts: ["a0"] }) }));
  await store.commit(commitOf({ outbox: outboxOf({ summaries: ["s2"] }) }));
  assert.deepEqual(textsOf(store, "summaries", 0), ["s0", "s1", "s2"]);
  assert.deepEqual(textsOf(store, "summaries", 1), ["s1", "s2"]);
  assert.deepEqual(textsOf(store, "summaries", 0, 1), ["s0", "s1"], "at least one block");
  assert.deepEqual(textsOf(store, "summaries", 3), []);
  assert.deepEqual(textsOf(store, "alerts", 0), ["a0"]);

  await store.advance([], { uplink: "a", lane: "summaries", next: 1 });
  assert.deepEqual(store.span("summaries").first, 0, "a block goes only when all of it is below");
  await store.advance([{ key: "uplink/files/summaries", value: Uint8Array.of(4) }], {
    uplink: "a",
    lane: "summaries",
    next: 3,
  });
  assert.deepEqual(store.get("uplink/files/summaries"), Uint8Array.of(4));
  assert.equal(store.status.outbox.summaries.records, 0);
  assert.equal(store.status.outbox.summaries.bytes, 0);

  ({ store } = await reopened(kv));
  await store.commit(commitOf({ outbox: outboxOf({ summaries: ["s3"] }) }));
  assert.deepEqual(store.read("summaries", { from: 3, bytesMax: 1 }).first, 3);
  assert.deepEqual(
    store.read("summaries", { from: 0, bytesMax: 1 }).first,
    3,
    "older ones are gone",
  );
  assert.equal(store.status.outbox.summaries.next, 4);
});

test("a commit with more than a block's bytes is read back whole, in batches", async () => {
  const { store } = await openStateStore(new KvMemory());
  const records = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(20_000, "x"));
  await store.commit(commitOf({ outbox: outboxOf({ summaries: records }) }));
  const read: string[] = [];
  let from = 0;
  while (from < 40) {
    const batch = store.read("summaries", { from, bytesMax: 300_000 });
    assert.ok(batch.records.length <= 15 && batch.first === from);
    read.push(...batch.records.map((record) => new TextDecoder().decode(record)));
    from = batch.next;
  }
  assert.deepEqual(read, records);
});

test("a damaged block is counted to the record and skipped", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  for (const names of [["s0"], ["s1", "s2", "s3"], ["s4"]]) {
    await store.commit(commitOf({ outbox: outboxOf({ summaries: names }) }));
  }
  const key = "outbox/summaries/0000000000000003";
  const block = kv.get(key)!;
  block[20]! ^= 1;
  await kv.commit([{ key, value: block }]);
  const read = (from: number): unknown => {
    const { records, ...rest } = store.read("summaries", { from, bytesMax: 1e9 });
    return { ...rest, count: records.length };
  };
  assert.deepEqual(read(0), { from: 0, first: 0, next: 1, damaged: 0, count: 1 });
  assert.deepEqual(read(1), { from: 1, first: 1, next: 4, damaged: 3, count: 0 });
  assert.deepEqual(read(2), { from: 2, first: 2, next: 4, damaged: 2, count: 0 });
  assert.deepEqual(read(4), { from: 4, first: 4, next: 5, damaged: 0, count: 1 });
});

test("the outbox is a queue: any commits, prunes and restarts against a plain list", async () => {
  const step = fc.oneof(
    fc.array(fc.string(), { maxLength: 5 }).map((add) => ({ kind: "add" as const, add })),
    fc.nat({ max: 40 }).map((below) => ({ kind: "prune" as const, below })),
    fc.constant({ kind: "restart" as const }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      let kv = new KvMemory();
      let { store } = await openStateStore(kv);
      const all: string[] = [];
      let pruned = 0;
      for (const taken of steps) {
        if (taken.kind === "add") {
          await store.commit(commitOf({ outbox: outboxOf({ alerts: taken.add }) }));
          all.push(...taken.add);
        } else if (taken.kind === "prune") {
          await store.advance([], { uplink: "a", lane: "alerts", next: taken.below });
          pruned = Math.max(pruned, Math.min(taken.below, all.length));
        } else {
          kv = new KvMemory({ image: kv.image() });
          ({ store } = await openStateStore(kv));
        }
        const { first, next, bytes } = store.status.outbox.alerts;
        assert.equal(next, all.length);
        assert.ok(first <= pruned && pruned <= next);
        assert.deepEqual(textsOf(store, "alerts", pruned), all.slice(pruned));
        assert.equal(bytes, bytesOfBlocks(kv));
      }
    }),
    { numRuns: 60 },
  );
});

function bytesOfBlocks(kv: KvMemory): number {
  const blocks = [...kv.image()].filter(([key]) => key.startsWith("outbox/"));
  return blocks.reduce((sum, [, value]) => sum + value.length, 0);
}

test("a full outbox makes the commit wait, and room lets it go on", async () => {
  const { store } = await openStateStore(new KvMemory(), { outboxBytesMax: 800 });
  await store.commit(commitOf({ outbox: outboxOf({ alerts: ["x".repeat(60)] }) }));
  let isOver = false;
  const second = store.commit(commitOf({ outbox: outboxOf({ alerts: ["y".repeat(60)] }) }));
  void second.then(() => (isOver = true));
  await store.advance([]);
  await store.advance([]);
  assert.equal(isOver, false);
  assert.equal(store.status.outboxFull, true);
  await store.advance([], { uplink: "a", lane: "alerts", next: 1 });
  await second;
  assert.equal(store.status.outboxFull, false);
  assert.deepEqual(textsOf(store, "alerts", 1), ["y".repeat(60)]);
});

test("a lane that is full keeps nothing out of the other one", async () => {
  const { store } = await openStateStore(new KvMemory(), { outboxBytesMax: 860 });
  const { alerts, summaries, raw } = store.status.outbox;
  assert.deepEqual([alerts.bytesMax, summaries.bytesMax, raw.bytesMax], [107, 700, 53]);
  // Hardly compressed.
  const unlike = (bytes: number): string =>
    String.fromCharCode(...randomBytes(bytes).map((byte) => byte & 127));
  for (const size of [550, 60]) {
    await store.commit(commitOf({ outbox: outboxOf({ summaries: [unlike(size)] }) }));
  }
  const waiting = store.commit(commitOf({ outbox: outboxOf({ summaries: [unlike(100)] }) }));
  await store.advance([]);
  assert.equal(store.status.outboxFull, true);
  assert.deepEqual(store.room("alerts"), { bytes: 0, bytesMax: 107, bytesWaiting: 0 });
  await store.advance([], { uplink: "a", lane: "summaries", next: 2 });
  await waiting;
  await store.commit(commitOf({ outbox: outboxOf({ summaries: [unlike(500)] }) }));
  await store.commit(commitOf({ outbox: outboxOf({ alerts: ["y".repeat(60)] }) }));
  const storm = store.commit(commitOf({ outbox: outboxOf({ alerts: ["y".repeat(60)] }) }));
  await store.advance([]);
  assert.equal(store.status.outboxFull, true);
  await store.advance([], { uplink: "a", lane: "alerts", next: 1 });
  await storm;
});

test("a full outbox does not hold back a commit without records", async () => {
  const { store } = await openStateStore(new KvMemory(), { outboxBytesMax: 10 });
  await store.commit(commitOf({ outbox: outboxOf({ alerts: ["x".repeat(60)] }) }));
  await store.commit(commitOf({ through: position(9) }));
});

test("at the end a commit that waits is refused, and nothing of it is written", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv, { outboxBytesMax: 10 });
  await store.commit(commitOf({ outbox: outboxOf({ alerts: ["x"] }) }));
  const before = kv.image();
  const waiting = store.commit(commitOf({ outbox: outboxOf({ alerts: ["y"] }) }));
  store.stopWaiting();
  await assert.rejects(waiting, (error) => error instanceof Fault && error.code === "OUTBOX_FULL");
  assert.deepEqual(kv.image(), before);
});

test("a commit that waits for room is refused when the store breaks: nobody can make room any more", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv, { outboxBytesMax: 10 });
  await store.commit(commitOf({ outbox: outboxOf({ alerts: ["x"] }) }));
  const waiting = store.commit(commitOf({ outbox: outboxOf({ alerts: ["y"] }) }));
  kv.commit = () => Promise.reject(new Fault("STORE_FAILED", "it broke"));
  const isBroken = (error: unknown): boolean =>
    error instanceof Fault && error.code === "STORE_FAILED";
  await assert.rejects(store.advance([], { uplink: "a", lane: "alerts", next: 1 }), isBroken);
  await assert.rejects(waiting, isBroken);
});

test("commits and advances that come together are one transaction after another", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  await store.commit(commitOf({ outbox: outboxOf({ alerts: ["a0"], summaries: ["s0"] }) }));
  await Promise.all([
    store.commit(commitOf({ outbox: outboxOf({ alerts: ["a1"] }) })),
    store.advance([{ key: "uplink/a/alerts", value: Uint8Array.of(1) }], {
      uplink: "a",
      lane: "alerts",
      next: 1,
    }),
    store.advance([{ key: "uplink/b/alerts", value: Uint8Array.of(2) }], {
      uplink: "a",
      lane: "alerts",
      next: 2,
    }),
  ]);
  assert.deepEqual((await reopened(kv)).store.status, store.status);
  assert.equal(store.span("alerts").next, 2);
});

test("after a failed transaction the next ones still come in turn", async () => {
  const memory = new KvMemory();
  let failures = 1;
  const kv: Kv = {
    get: (key) => memory.get(key),
    range: (options) => memory.range(options),
    commit: async (writes: readonly KvWrite[]) => {
      const isOurs = writes.some(({ key }) => key === "emitted");
      if (isOurs && failures-- > 0) throw new Fault("DISK_FULL", "no space");
      await memory.commit(writes);
    },
    close: async () => await memory.close(),
  };
  const { store } = await openStateStore(kv);
  const commit = (): Promise<void> =>
    store.commit(commitOf({ outbox: outboxOf({ alerts: ["a0"] }), definitions: [config] }));
  const config: Named = { kind: "config", json: "{}" };
  await assert.rejects(commit(), /no space/);
  assert.equal(store.span("alerts").next, 0);
  await commit();
  assert.deepEqual(textsOf(store, "alerts", 0), ["a0"]);
  assert.equal((await reopened(memory)).recovered.definitions.length, 1);
});

function letter(n: number): DeadLetter {
  return {
    source: sourceId(0),
    topic: `plant/ö/${n}`,
    arrived: millis(1_764_000_000_000 + n),
    reason: "json_invalid",
    offset: 3,
    payload: Uint8Array.of(0, 255, n & 255),
    payloadBytes: 9_000,
  };
}

test("dead letters are a ring: the newest stay, the others are counted", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  const kept = limits.deadLettersKeptMax;
  const total = kept + 130;
  for (let n = 0; n < total; n += 65) {
    const deadLetters = Array.from({ length: Math.min(65, total - n) }, (_, i) => letter(n + i));
    await store.commit(commitOf({ deadLetters }));
  }
  assert.deepEqual(store.status.deadLetters, { kept, total });
  assert.equal([...kv.image().keys()].filter((key) => key.startsWith("dlq/")).length, kept);
  const newest = readDeadLetters(kv, { limit: 2 });
  assert.deepEqual(
    newest.map(({ number }) => number),
    [total - 1, total - 2],
  );
  const [older] = readDeadLetters(kv, { limit: 1, before: total - 2 });
  const { payload, ...rest } = older!;
  const { payload: given, ...expected } = letter(total - 3);
  assert.deepEqual(rest, { number: total - 3, ...expected });
  assert.deepEqual([...payload], [...given]);
  assert.deepEqual(readDeadLetters(kv, { limit: 1, before: 1 }), []);
  assert.equal(readDeadLetters(kv, { limit: 5, before: total - kept }).length, 0);
});

test("more dead letters than are kept leave the newest", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  const total = limits.deadLettersKeptMax + 7;
  await store.commit(commitOf({ deadLetters: Array.from({ length: total }, (_, n) => letter(n)) }));
  assert.equal(readDeadLetters(kv, { limit: 1e6 }).length, limits.deadLettersKeptMax);
});

test("of what was posted under a key the newest stay, in order", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  const postedOf = (n: number): Posted => {
    const counts = { decoded: n, deadLettered: 1, unwanted: 0 };
    return { kind: "posted", key: `k${n}`, digest: "d", at: 5, isWhole: n % 2 === 0, ...counts };
  };
  const all = Array.from({ length: limits.postKeysMax + 3 }, (_, n) => postedOf(n));
  await store.commit(commitOf({ posted: all.slice(0, 2) }));
  await store.commit(commitOf({ posted: all.slice(2, -1) }));
  const next = await openStateStore(kv);
  assert.deepEqual(next.recovered.posted, all.slice(2, -1));
  await next.store.commit(commitOf({ posted: all.slice(-1) }));
  assert.deepEqual((await reopened(kv)).recovered.posted, all.slice(3));
});
