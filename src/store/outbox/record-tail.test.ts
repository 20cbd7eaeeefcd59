import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { commitRecords } from "../../../test/support/commit-records.ts";
import { limits } from "../../core/limits.ts";
import { outboxKey, tailBlockKey, tailKey, tailPrefix } from "../state/kv-key.ts";
import { KvMemory } from "../state/kv-memory.ts";
import { openStateStore, type StateStore } from "../state/state-store.ts";
import { byQueue } from "./lane.ts";
import { OutboxWriter } from "./outbox.ts";
import { encodeBlock } from "./record-block.ts";
import { RecordTail } from "./record-tail.ts";

const history = "0123456789abcdef";
const from = (number: number, bytesMax = 1_000_000) => ({ from: number, bytesMax });

/** A record that says its number, with so many bytes that do not compress. */
function record(number: number, bytes = 0): Uint8Array {
  const noise = Array.from({ length: bytes }, (_, at) => ((number + 1) * 7_919 * (at + 1)) % 997);
  return new TextEncoder().encode(`${number}:${noise.map((each) => each.toString(36)).join("")}`);
}

function numbersOf(records: readonly Uint8Array[]): readonly number[] {
  return records.map((bytes) => Number(new TextDecoder().decode(bytes).split(":")[0]));
}

async function commit(store: StateStore, first: number, count: number, bytes = 0): Promise<void> {
  const outbox = new OutboxWriter();
  for (let at = 0; at < count; at++) outbox.add("summaries", record(first + at, bytes), 0);
  await commitRecords(store, outbox);
}

function keysOf(kv: KvMemory): readonly string[] {
  return [...kv.image().keys()].filter((key) => key.startsWith(tailPrefix));
}

test("without a stream nothing is kept, and from the first on each commit is", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  await commit(store, 0, 3);
  assert.deepEqual(keysOf(kv), []);
  assert.equal(store.tail.history, undefined);
  await store.tail.want({ history, now: 5 });
  assert.equal(store.tail.first("summaries"), 3, "what was before is not kept");
  await commit(store, 3, 2);
  await commit(store, 5, 1);
  assert.deepEqual(numbersOf(store.tail.read("summaries", from(3)).records), [3, 4, 5]);
  assert.deepEqual(numbersOf(store.tail.read("summaries", from(4)).records), [4, 5]);
  const all = store.tail.read("summaries", from(0));
  assert.deepEqual([all.missed, all.first, all.next], [3, 3, 6], "what is not kept is counted");
});

test("uplinks that take everything, and a crash, leave the tail as it was", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  store.serve(["a"]);
  await store.tail.want({ history, now: 5 });
  await commit(store, 0, 4);
  for (const lane of ["summaries", "backfill"] as const) {
    await store.advance([], { uplink: "a", lane, next: 4 });
  }
  assert.equal(store.status.outbox.summaries.records, 0);
  const { store: again } = await openStateStore(new KvMemory({ image: kv.image() }));
  assert.equal(again.tail.history, history);
  assert.equal(again.tail.wanted, 5);
  assert.equal(again.tail.bytes, store.tail.bytes);
  assert.deepEqual(numbersOf(again.tail.read("summaries", from(0)).records), [0, 1, 2, 3]);
});

test("its bound holds, whatever comes; what it let go is told as missed, each record once", async () => {
  const commits = fc.array(
    fc.record({ count: fc.integer({ min: 1, max: 9 }), bytes: fc.integer({ min: 0, max: 2_000 }) }),
    { minLength: 1, maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(commits, fc.integer({ min: 1, max: 40_000 }), async (given, bytesMax) => {
      const outboxBytesMax = limits.outboxBytesMin;
      const { store } = await openStateStore(new KvMemory(), { outboxBytesMax });
      await store.tail.want({ history, now: 0 });
      let next = 0;
      let at = 0;
      let missed = 0;
      const seen: number[] = [];
      for (const [index, { count, bytes }] of given.entries()) {
        // The outbox itself is emptied: it is not what is looked at.
        await commit(store, next, count, bytes);
        await store.advance([], { uplink: "a", lane: "summaries", next: next + count });
        await store.advance([], { uplink: "a", lane: "backfill", next: next + count });
        next += count;
        assert.ok(store.tail.bytes <= outboxBytesMax / 8);
        if (index % 3 > 0) continue;
        const read = store.tail.read("summaries", from(at, bytesMax));
        missed += read.missed;
        seen.push(...numbersOf(read.records));
        at = read.next;
      }
      for (let more = true; more; ) {
        const read = store.tail.read("summaries", from(at));
        missed += read.missed;
        seen.push(...numbersOf(read.records));
        more = read.next > at;
        at = read.next;
      }
      assert.equal(at, next);
      assert.equal(seen.length + missed, next);
      assert.deepEqual(
        seen,
        [...new Set(seen)].toSorted((a, b) => a - b),
      );
    }),
    { numRuns: 40 },
  );
});

test("the oldest go first, also where it is their number that is too many", async () => {
  const kv = new KvMemory();
  const spans = byQueue(() => ({ next: 0 }));
  const tail = new RecordTail(kv, {
    spans,
    inTurn: (run) => run(),
    write: (writes) => kv.commit(writes),
    outboxBytesMax: limits.outboxBytesMin,
    blocksMax: 20,
  });
  await tail.want({ history, now: 0 });
  for (let number = 0; number < 70; number++) {
    const value = encodeBlock([record(number)]);
    const step = tail.add("alerts", [{ key: outboxKey("alerts", number), value }]);
    await kv.commit(step.writes);
    step.done();
    spans.alerts.next = number + 1;
  }
  assert.equal(keysOf(kv).length, 20);
  assert.equal(tail.first("alerts"), 50);
  assert.deepEqual(numbersOf(tail.read("alerts", from(68)).records), [68, 69]);
});

test("a damaged block is told as missed, and what follows is read", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  await store.tail.want({ history, now: 0 });
  await commit(store, 0, 2);
  await commit(store, 2, 2);
  await commit(store, 4, 1);
  await kv.commit([{ key: tailBlockKey("summaries", 3), value: new Uint8Array(20) }]);
  const before = store.tail.read("summaries", from(0));
  assert.deepEqual([numbersOf(before.records), before.next], [[0, 1], 2]);
  const damaged = store.tail.read("summaries", from(2));
  assert.deepEqual([damaged.records, damaged.missed, damaged.next], [[], 2, 4]);
  assert.deepEqual(numbersOf(store.tail.read("summaries", from(4)).records), [4]);
});

test("forgotten, it leaves nothing behind, and begins anew", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  await store.tail.want({ history, now: 0 });
  for (let number = 0; number < limits.outboxPruneBlocksMax + 5; number++) {
    await commit(store, number, 1);
  }
  await store.tail.forget();
  assert.deepEqual(keysOf(kv), []);
  assert.equal(kv.image().has(tailKey), false);
  assert.equal(store.tail.history, undefined);
  assert.equal(store.tail.bytes, 0);
  await commit(store, limits.outboxPruneBlocksMax + 5, 1);
  assert.deepEqual(keysOf(kv), []);
});
