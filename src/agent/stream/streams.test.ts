import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { commitRecords } from "../../../test/support/commit-records.ts";
import { EventReader } from "../../../test/support/event-reader.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { limits } from "../../core/limits.ts";
import { millis } from "../../core/units.ts";
import { OutboxWriter } from "../../store/outbox/outbox.ts";
import { encodeSummary } from "../../store/outbox/record-codec.ts";
import { tailKey } from "../../store/state/kv-key.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { openStateStore, type StateStore } from "../../store/state/state-store.ts";
import type { Stream } from "./stream.ts";
import { parseStreamRequest, type StreamRequest } from "./stream-request.ts";
import { Streams } from "./streams.ts";

const begin = 1_800_000_000_000;
const windowMs = 10_000;

/** An agent's streams over a store in memory; `restart` is a kill and the next life. */
class Rig {
  clock = new SimulatedClock(begin);
  readonly #random = seededRandom(7);
  #kv = new KvMemory();
  store!: StateStore;
  streams!: Streams;
  #committed = 0;
  trusted = true;
  outboxBytesMax = limits.outboxBytesMax;

  async open(): Promise<this> {
    const { store } = await openStateStore(this.#kv, { outboxBytesMax: this.outboxBytesMax });
    this.store = store;
    this.streams = new Streams({
      agent: "gw1",
      pipelines: ["temp"],
      store,
      clock: this.clock,
      random: this.#random,
      trustedNow: () => (this.trusted ? this.clock.now() : undefined),
    });
    return this;
  }

  async restart(): Promise<void> {
    this.clock = this.clock.kill();
    this.#kv = new KvMemory({ image: this.#kv.image() });
    await this.open();
  }

  /** A restart of an agent whose tail has its blocks and no head. */
  async loseHead(): Promise<void> {
    const image = new Map(this.#kv.image());
    image.delete(tailKey);
    this.clock = this.clock.kill();
    this.#kv = new KvMemory({ image });
    await this.open();
  }

  /** The windows from the last one on, each a summary. */
  async commit(count: number): Promise<void> {
    const outbox = new OutboxWriter();
    for (let at = 0; at < count; at++) outbox.add("summaries", summary(this.#committed + at), 0);
    this.#committed += count;
    await commitRecords(this.store, outbox);
    this.streams.committed();
  }

  async stream(search = "", lastEventId?: string): Promise<Stream> {
    const stream = await this.streams.open(requestOf(search, lastEventId));
    assert(stream !== undefined, "there is a place for it");
    return stream;
  }
}

function summary(window: number): Uint8Array {
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline: "temp",
    key: [["device", "p1"]],
    start: millis(window * windowMs),
    end: millis((window + 1) * windowMs),
    revision: 0,
    count: 1,
    fields: {},
    arrivalTimed: 0,
  });
}

function requestOf(search: string, lastEventId?: string): StreamRequest {
  const parsed = parseStreamRequest(new URLSearchParams(search), lastEventId);
  assert(parsed.kind === "request");
  return parsed.request;
}

/** Pieces that are there already go to the reader; at most `max` of them. */
async function take(stream: Stream, reader: EventReader, max: number): Promise<void> {
  const pieces = stream.pieces();
  for (let taken = 0; taken < max; taken++) {
    const next = pieces.next();
    const turn = new Promise<undefined>((resolve) => setTimeout(resolve, 5, undefined));
    const piece = await Promise.race([next, turn]);
    if (piece === undefined || piece.done === true) break;
    reader.take(piece.value);
  }
  stream[Symbol.dispose]();
}

function windowsOf({ events }: EventReader): readonly number[] {
  return events
    .filter(({ event }) => event === "summary")
    .map(({ data }) => (JSON.parse(data) as { start: number }).start / windowMs);
}

function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, at) => at);
}

test("a stream that is cut again and again, in an agent that is too, gives every record once", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("commit" as const), count: fc.integer({ min: 1, max: 400 }) }),
    fc.record({ kind: fc.constant("read" as const), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ kind: fc.constant("restart" as const), count: fc.constant(0) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const rig = await new Rig().open();
      const reader = new EventReader();
      await take(await rig.stream(), reader, 1);
      let committed = 0;
      for (const { kind, count } of [...steps, { kind: "read" as const, count: 1_000 }]) {
        if (kind === "commit") {
          await rig.commit(count);
          committed += count;
        } else if (kind === "read") {
          await take(await rig.stream("", reader.lastId), reader, count);
        } else await rig.restart();
      }
      assert.deepEqual(windowsOf(reader), upTo(committed));
      assert.ok(!reader.events.some(({ event }) => event === "missed"));
    }),
    { numRuns: 30 },
  );
});

test("a client that comes too late is told how many records are gone", async () => {
  const rig = new Rig();
  rig.outboxBytesMax = limits.outboxBytesMin;
  await rig.open();
  const reader = new EventReader();
  await take(await rig.stream(), reader, 1);
  const count = 30_000;
  for (let window = 0; window < count; window += 1_000) await rig.commit(1_000);
  await take(await rig.stream("", reader.lastId), reader, 1_000);
  const told = reader.events.filter(({ event }) => event === "missed");
  const [missed] = told.map(({ data }) => JSON.parse(data) as Record<string, unknown>);
  const seen = windowsOf(reader);
  assert.deepEqual(
    [told.length, missed?.["queue"], missed?.["reason"]],
    [1, "summaries", "not_kept"],
  );
  assert.ok(seen.length > 0 && seen.length < count);
  assert.equal(missed?.["missed"], count - seen.length);
  assert.deepEqual(seen, upTo(count).slice(-seen.length));
  assert.equal(rig.streams.counters.missed, count - seen.length);
});

test("a place in another history is told as one, and all that is kept follows", async () => {
  const rig = await new Rig().open();
  await take(await rig.stream(), new EventReader(), 1);
  await rig.commit(3);
  const { history } = rig.store.tail;
  for (const strange of ["0123456789abcdef.0.1.0", `${history}.0.4.0`]) {
    const reader = new EventReader();
    await take(await rig.stream("", strange), reader, 10);
    const told = reader.events.filter(({ event }) => event === "missed");
    assert.deepEqual(
      told.map(({ data }) => (JSON.parse(data) as { reason: string }).reason),
      ["other_history", "other_history"],
    );
    assert.deepEqual(windowsOf(reader), [0, 1, 2]);
  }
});

test("from now gives what comes, from kept what is there as well", async () => {
  const rig = await new Rig().open();
  await take(await rig.stream(), new EventReader(), 1);
  await rig.commit(3);
  const [now, kept] = [new EventReader(), new EventReader()];
  await take(await rig.stream(), now, 10);
  await take(await rig.stream("from=kept"), kept, 10);
  assert.deepEqual([windowsOf(now), windowsOf(kept)], [[], [0, 1, 2]]);
});

test("a heartbeat moves a client on also where nothing was for it", async () => {
  const rig = await new Rig().open();
  const reader = new EventReader();
  const stream = await rig.stream("kinds=summaries&pipeline=other");
  const pieces = stream.pieces();
  reader.take(String((await pieces.next()).value));
  await rig.commit(5);
  const next = pieces.next();
  await rig.clock.pass(limits.streamHeartbeatMs);
  reader.take(String((await next).value));
  assert.equal(reader.heartbeats, 1);
  assert.match(reader.lastId ?? "", /\.0\.5\.0$/);
  assert.ok(limits.streamHeartbeatMs < limits.httpSilenceMs / 2, "or it is closed as a dead one");
  stream[Symbol.dispose]();
});

test("what a client asks for and no pipeline has is named where it begins, beside what there is", async () => {
  const rig = await new Rig().open();
  for (const [search, named] of [
    ["pipeline=temp&pipeline=hours", { unmatched: ["hours"], pipelines: ["temp"] }],
    ["pipeline=temp", {}],
  ] as const) {
    using stream = await rig.stream(search);
    const reader = new EventReader();
    reader.take(String((await stream.pieces().next()).value));
    const { v, kind, agent, id, ...rest } = JSON.parse(reader.events[0]?.data ?? "");
    assert.deepEqual([v, kind, agent, id], [1, "ready", "gw1", reader.lastId]);
    assert.deepEqual(rest, named);
  }
});

test("commits that have nothing for a client put its heartbeat off by nothing", async () => {
  const rig = await new Rig().open();
  const reader = new EventReader();
  const stream = await rig.stream("kinds=alerts");
  const reading = (async () => {
    for await (const piece of stream.pieces()) reader.take(piece);
  })();
  for (let passed = 0; passed < 6 * limits.streamHeartbeatMs; passed += 1_000) {
    await rig.commit(1);
    await rig.clock.pass(1_000);
  }
  stream.stop();
  await reading;
  assert.ok(reader.heartbeats >= 5, `${reader.heartbeats} heartbeats`);
});

test("streams are few, and end after their time", async () => {
  const rig = await new Rig().open();
  const open: Stream[] = [];
  for (let at = 0; at < limits.streamsMax; at++) open.push(await rig.stream());
  assert.equal(await rig.streams.open(requestOf("")), undefined);
  assert.equal(rig.streams.counters.refused, 1);
  const [first] = open;
  const texts: string[] = [];
  const reading = (async () => {
    for await (const piece of first!.pieces()) texts.push(piece);
  })();
  await rig.clock.pass(limits.streamLifeMs + limits.streamHeartbeatMs);
  await reading;
  assert.ok(texts.length > 100, "it had its heartbeats");
  for (const stream of open) stream[Symbol.dispose]();
  assert.equal(rig.streams.counters.open, 0);
});

test("what nobody streams for a week is not kept for streams any more, and never by a wrong clock", async () => {
  const rig = await new Rig().open();
  const stream = await rig.stream();
  await rig.clock.pass(2 * limits.streamForgetMs);
  assert.ok(rig.store.tail.history !== undefined, "somebody streams");
  stream[Symbol.dispose]();
  rig.trusted = false;
  await rig.clock.pass(2 * limits.streamForgetMs);
  assert.ok(rig.store.tail.history !== undefined, "nobody knows how long it was");
  rig.trusted = true;
  await rig.clock.pass(limits.streamLookMs);
  assert.equal(rig.store.tail.history, undefined);
});

test("of a tail that was wanted by a wrong clock the week begins when the clock is right", async () => {
  const rig = new Rig();
  rig.trusted = false;
  await rig.open();
  (await rig.stream())[Symbol.dispose]();
  assert.equal(rig.store.tail.wanted, 0);
  rig.trusted = true;
  await rig.clock.pass(limits.streamForgetMs);
  assert.ok(rig.store.tail.history !== undefined, "it is not a week since that");
  await rig.clock.pass(2 * limits.streamLookMs);
  assert.equal(rig.store.tail.history, undefined);
});

test("what a power cut left of a tail that was being forgotten goes by itself", async () => {
  const rig = await new Rig().open();
  await take(await rig.stream(), new EventReader(), 1);
  await rig.commit(3);
  await rig.loseHead();
  assert.ok(rig.store.tail.bytes > 0);
  await rig.clock.pass(1_000);
  assert.equal(rig.store.tail.bytes, 0);
});

test("the end of the agent is the end of its streams", async () => {
  const rig = await new Rig().open();
  const stream = await rig.stream();
  const reading = (async () => {
    for await (const _ of stream.pieces()) continue;
  })();
  await rig.streams.close();
  await reading;
  assert.equal(await rig.streams.open(requestOf("")), undefined);
});
