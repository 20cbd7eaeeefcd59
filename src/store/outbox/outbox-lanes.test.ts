import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { commitRecords } from "../../../test/support/commit-records.ts";
import { limits } from "../../core/limits.ts";
import { millis } from "../../core/units.ts";
import { outboxKey, splitKey } from "../state/kv-key.ts";
import { KvMemory } from "../state/kv-memory.ts";
import { openStateStore, type StateStore } from "../state/state-store.ts";
import { OutboxWriter, readOutbox } from "./outbox.ts";
import { byLane, type Lane } from "./lane.ts";
import { decodeRecord, encodeSummary } from "./record-codec.ts";
import { decodeSplit } from "./split.ts";

const windowMs = 10_000;
const freshForMs = 60_000;

function summary(window: number, revision: number): Uint8Array {
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline: "temp",
    key: [["device", "p1"]],
    start: millis(window * windowMs),
    end: millis((window + 1) * windowMs),
    revision,
    count: revision + 1,
    fields: {},
    arrivalTimed: 0,
  });
}

async function commit(store: StateStore, ...records: readonly Uint8Array[]): Promise<void> {
  const outbox = new OutboxWriter();
  for (const record of records) outbox.add("summaries", record);
  await commitRecords(store, outbox);
}

const at = (lane: Lane, uplink = "a") => ({ uplink, lane });
const always = { freshForMs, slackMs: 0, fitsBytes: 0 };

async function putAllBehind(store: StateStore, uplink = "a"): Promise<void> {
  while (await store.lanes.putBehind(uplink, always)) continue;
}

test("what is too old is put behind up to the first that is fresh, and comes back after a crash", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  store.serve(["a"]);
  for (let window = 0; window < 100; window += 2) {
    await commit(store, summary(window, 0), summary(window + 1, 0));
  }
  await putAllBehind(store);
  const { store: again } = await openStateStore(new KvMemory({ image: kv.image() }));
  again.serve(["a"]);
  for (const each of [store, again]) {
    const fresh = await each.lanes.take(at("summaries"), { from: 0, bytesMax: 1e6 });
    const [first] = fresh!.records;
    assert.equal(fresh!.first, 93, "it ends a minute before the newest");
    assert.equal(decodeRecord(first!, "it").record.kind, "summary");
    assert.equal(each.lanes.lag(at("summaries"), 0), 7);
    assert.equal(each.lanes.lag(at("backfill"), 0), 93);
  }
});

test("what was taken is not put behind, and what is held by nobody is", async () => {
  const { store } = await openStateStore(new KvMemory());
  store.serve(["a"]);
  for (let window = 0; window < 100; window++) await commit(store, summary(window, 0));
  const taken = await store.lanes.take(at("summaries"), { from: 0, bytesMax: 1_000 });
  await putAllBehind(store);
  const { next } = taken!;
  assert.ok(next > 1 && next < 90);
  assert.deepEqual(store.lanes.standings.splitOf("a").ranges, [{ low: next, high: 93 }]);
  const behind = await store.lanes.take(at("backfill"), { from: 0, bytesMax: 1_000 });
  assert.equal(behind, undefined, "it is older, and may be on its way");
  // The lane was opened: nothing of it is out there.
  store.lanes.release(at("summaries"), 0);
  await putAllBehind(store);
  assert.deepEqual(store.lanes.standings.splitOf("a").ranges, [{ low: 0, high: 93 }]);
});

test("what may be out there already is sent again in its lane, also where newer is behind", async () => {
  const { store } = await openStateStore(new KvMemory());
  store.serve(["a"]);
  for (let window = 0; window < 100; window++) await commit(store, summary(window, 0));
  const { next } = (await store.lanes.take(at("summaries"), { from: 0, bytesMax: 1_000 }))!;
  await putAllBehind(store);
  // All of it ends before something that is behind, and nobody knows whether it arrived.
  const again = (await store.lanes.take(at("summaries"), { from: 0, bytesMax: 1e6 }))!;
  assert.deepEqual([again.first, again.records.length, again.next], [0, next, next]);
  assert.deepEqual(store.lanes.standings.splitOf("a").ranges, [{ low: next, high: 93 }]);
});

test("all that waits in one delivery is sent as it is", async () => {
  const { store } = await openStateStore(new KvMemory());
  store.serve(["a"]);
  for (let window = 0; window < 20; window++) await commit(store, summary(window, 0));
  assert.equal(await store.lanes.putBehind("a", { ...always, fitsBytes: 100_000 }), false);
  assert.equal(store.lanes.lag(at("backfill"), 0), 0);
  await store.lanes.putBehind("a", { ...always, fitsBytes: 1_000 });
  assert.equal(store.lanes.lag(at("backfill"), 0), 13);
});

test("a step reads a few blocks, and the next one goes on", async () => {
  const { store } = await openStateStore(new KvMemory());
  store.serve(["a"]);
  const count = limits.behindBlocksPerStep + 20;
  for (let window = 0; window < count; window++) await commit(store, summary(window, 0));
  assert.equal(await store.lanes.putBehind("a", always), true);
  assert.equal(store.lanes.lag(at("backfill"), 0), limits.behindBlocksPerStep);
  assert.equal(await store.lanes.putBehind("a", always), false);
  assert.equal(store.lanes.lag(at("backfill"), 0), count - 7);
});

test("where there are too many ranges what must follow waits, until backfill has sent one", async () => {
  const { store } = await openStateStore(new KvMemory());
  store.serve(["a"]);
  await commit(store, summary(0, 0));
  await commit(store, summary(100, 0));
  await putAllBehind(store);
  let next = 1;
  const takeAll = async (): Promise<boolean> => {
    for (;;) {
      const read = await store.lanes.take(at("summaries"), { from: next, bytesMax: 1e6 });
      if (read === undefined) return false;
      next = read.next;
      await store.advance([], { ...at("summaries"), next });
      if (store.lanes.lag(at("summaries"), next) === 0) return true;
    }
  };
  for (let range = 1; range < limits.behindRangesMax; range++) {
    await commit(store, summary(100 + range, 0), summary(0, range));
    assert.equal(await takeAll(), true);
  }
  await commit(store, summary(5_000, 0), summary(0, limits.behindRangesMax));
  assert.equal(await takeAll(), false);
  assert.equal(store.lanes.lag(at("summaries"), next), 1);
  const behind = await store.lanes.take(at("backfill"), { from: 0, bytesMax: 1e6 });
  await store.advance([], { ...at("backfill"), next: behind!.next });
  assert.equal(await takeAll(), true);
});

test("a store that was split is none for a weir that knows of no lanes", async () => {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  store.serve(["a"]);
  for (let window = 0; window < 20; window++) await commit(store, summary(window, 0));
  assert.equal(kv.get("format"), undefined);
  await putAllBehind(store);
  assert.equal(Buffer.from(kv.get("format")!).toString(), '{"version":8}');
});

// ---- any course of events ----

type Event =
  | { readonly kind: "commit"; readonly windows: readonly [window: number, revision: number][] }
  | {
      readonly kind: "behind" | "send" | "lose";
      readonly uplink: "a" | "b";
      readonly lane: Lane;
      readonly bytes: number;
    }
  | { readonly kind: "crash" };

/** One uplink as its lanes would be: what it has, by lane, and how far they are. */
class Sent {
  readonly texts: string[] = [];
  readonly next: Record<Lane, number> = byLane(() => 0);
  readonly revisions = new Map<number, number>();

  take(records: readonly Uint8Array[], lane: Lane, next: number): void {
    for (const bytes of records) {
      const { record, id } = decodeRecord(bytes, "a record");
      assert.ok(record.kind === "summary");
      assert.ok(!this.texts.includes(id), `${id} twice`);
      this.texts.push(id);
      const before = this.revisions.get(record.start) ?? -1;
      assert.equal(record.revision, before + 1, `${id} is in its turn`);
      this.revisions.set(record.start, record.revision);
    }
    this.next[lane] = next;
  }
}

test("whatever is put behind, sent and crashed: each uplink has each record once, revisions in order", async () => {
  const uplink = fc.constantFrom<"a" | "b">("a", "b");
  const lane = fc.constantFrom<Lane>("summaries", "summaries", "backfill");
  const event: fc.Arbitrary<Event> = fc.oneof(
    fc
      .array(fc.tuple(fc.nat({ max: 12 }), fc.boolean()), { minLength: 1, maxLength: 4 })
      .map((windows) => ({
        kind: "commit" as const,
        windows: windows.map(([back, isNew]): [number, number] => [back, Number(isNew)]),
      })),
    fc.record({
      kind: fc.constantFrom<"behind" | "send" | "lose">("behind", "behind", "send", "send", "lose"),
      uplink,
      lane,
      bytes: fc.integer({ min: 1, max: 3_000 }),
    }),
    fc.constant({ kind: "crash" as const }),
  );
  let splits = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 10, maxLength: 80 }), async (events) => {
      let kv = new KvMemory();
      let { store } = await openStateStore(kv);
      store.serve(["a", "b"]);
      const sent = { a: new Sent(), b: new Sent() };
      const revisions = new Map<number, number>();
      let newest = 0;
      let count = 0;
      const emit = async (windows: readonly (readonly [number, number])[]): Promise<void> => {
        const records = windows.map(([back, isNew]) => {
          if (isNew === 1) newest += 3;
          const window = Math.max(0, newest - back);
          const revision = (revisions.get(window) ?? -1) + 1;
          revisions.set(window, revision);
          return summary(window, revision);
        });
        count += records.length;
        await commit(store, ...records);
      };
      const send = async (
        name: "a" | "b",
        of: Lane,
        bytes: number,
        isLost: boolean,
      ): Promise<void> => {
        const end = sent[name];
        const read = await store.lanes.take(at(of, name), { from: end.next[of], bytesMax: bytes });
        if (read === undefined) return;
        assert.equal(read.from, read.position, "nothing is lost");
        if (isLost) {
          // Not there, as it turns out when the lane is opened again.
          store.lanes.release(at(of, name), end.next[of]);
          return;
        }
        end.take(read.records, of, read.next);
        await store.advance([], { ...at(of, name), next: read.next });
        assertAccounts(kv, store);
      };
      for (const of of events) {
        if (of.kind === "commit") await emit(of.windows);
        else if (of.kind === "crash") {
          kv = new KvMemory({ image: kv.image() });
          ({ store } = await openStateStore(kv));
          store.serve(["a", "b"], (name, each) => sent[name === "a" ? "a" : "b"].next[each]);
          for (const name of ["a", "b"] as const) {
            for (const each of ["summaries", "backfill"] as const) {
              await store.advance([], { ...at(each, name), next: sent[name].next[each] });
            }
          }
          assertAccounts(kv, store);
        } else if (of.kind === "behind") {
          await putAllBehind(store, of.uplink);
          splits += store.lanes.standings.splitOf(of.uplink).ranges.length;
        } else await send(of.uplink, of.lane, of.bytes, of.kind === "lose");
      }
      for (let round = 0; round < 500; round++) {
        for (const name of ["a", "b"] as const) {
          await send(name, "summaries", 5_000, false);
          await send(name, "backfill", 5_000, false);
        }
        if (store.span("summaries").first === store.span("summaries").next) break;
      }
      assert.deepEqual([sent.a.texts.length, sent.b.texts.length], [count, count]);
      const { records, bytes } = store.status.outbox.summaries;
      assert.deepEqual({ records, bytes }, { records: 0, bytes: 0 });
      for (const name of ["a", "b"]) {
        const stored = kv.get(splitKey(name));
        if (stored !== undefined) assert.deepEqual(decodeSplit(stored, "it").ranges, []);
      }
    }),
    { numRuns: 150 },
  );
  assert.ok(splits > 50, `${splits} ranges`);
});

/** What the store says of the queue is what its blocks hold. */
function assertAccounts(kv: KvMemory, store: StateStore): void {
  const blocks = [...kv.image()].filter(([key]) => key.startsWith("outbox/"));
  const status = store.status.outbox.summaries;
  assert.equal(
    status.bytes,
    blocks.reduce((sum, [, { length }]) => sum + length, 0),
  );
  let records = 0;
  for (let from = 0; ; ) {
    const read = readOutbox(kv, "summaries", { from, bytesMax: 1 });
    if (read.records.length === 0) break;
    records += read.records.length;
    from = read.next;
  }
  assert.equal(status.records, records);
  const first = blocks.map(([key]) => key).toSorted()[0];
  assert.ok(first === undefined || first >= outboxKey("summaries", status.first));
}
