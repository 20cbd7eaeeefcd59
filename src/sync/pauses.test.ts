import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../test/support/simulated-clock.ts";
import { Fault } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import { openCheckedKv } from "../store/state/checked-kv.ts";
import { KvMemory } from "../store/state/kv-memory.ts";
import { openStateStore } from "../store/state/state-store.ts";
import { Pauses, readPauses } from "./pauses.ts";

const start = Date.parse("2026-11-29T12:00:00Z");
const minute = 60_000;

/** Lives of a process on one store. */
class Lives {
  clock: SimulatedClock = new SimulatedClock(start);
  isTrusted = true;
  /** The next write is refused. */
  failure: Error | undefined;
  readonly kv: KvMemory = new KvMemory();

  async begin(): Promise<Pauses> {
    const { store } = await openStateStore(await openCheckedKv(this.kv));
    const { clock } = this;
    return new Pauses(["kafka", "mqtt:b:1883"], {
      clock,
      trustedNow: () => (this.isTrusted ? clock.now() : undefined),
      get: (key) => store.get(key),
      store: async (writes) => {
        const { failure } = this;
        this.failure = undefined;
        if (failure !== undefined) throw failure;
        await store.advance(writes);
      },
    });
  }

  /** The process is killed and begins again, `downMs` later. */
  async again(downMs = 0): Promise<Pauses> {
    await this.clock.pass(0);
    const next = this.clock.kill();
    next.step(downMs);
    this.clock = next;
    return await this.begin();
  }

  async keys(): Promise<readonly string[]> {
    return [...readPauses(await openCheckedKv(this.kv)).keys()];
  }
}

test("a pause without an end holds across restarts, until it is resumed", async () => {
  const lives = new Lives();
  const pauses = await lives.begin();
  assert.equal(pauses.leftMs("kafka"), 0);
  assert.equal(pauses.statusOf("kafka"), undefined);
  await pauses.pause(["kafka"], undefined);
  const next = await lives.again(400 * 24 * 60 * minute);
  assert.equal(next.leftMs("kafka"), Infinity);
  assert.deepEqual(next.statusOf("kafka"), { since: start, until: undefined, leftMs: undefined });
  assert.equal(next.leftMs("mqtt:b:1883"), 0, "the other one was not");
  await next.resume(["kafka", "mqtt:b:1883"]);
  assert.equal(next.leftMs("kafka"), 0);
  assert.equal((await lives.again()).leftMs("kafka"), 0);
  assert.deepEqual(await lives.keys(), []);
});

test("a pause with an end is over then, also when the process was away meanwhile", async () => {
  const lives = new Lives();
  const pauses = await lives.begin();
  await pauses.pause(["kafka", "mqtt:b:1883"], 15 * minute);
  await lives.clock.pass(0.25);
  assert.equal(pauses.statusOf("kafka")?.leftMs, 15 * minute, "in whole milliseconds");
  await lives.clock.pass(5 * minute - 0.25);
  const until = start + 15 * minute;
  assert.deepEqual(pauses.statusOf("kafka"), { since: start, until, leftMs: 10 * minute });
  const next = await lives.again(4 * minute);
  assert.equal(next.leftMs("kafka"), 6 * minute);
  await lives.clock.pass(6 * minute - 1);
  assert.equal(next.leftMs("kafka"), 1);
  await lives.clock.pass(1);
  assert.equal(next.leftMs("kafka"), 0);
  assert.equal(next.statusOf("kafka"), undefined);
  const later = await lives.again(minute);
  assert.equal(later.leftMs("mqtt:b:1883"), 0, "of which nobody had looked");
  await lives.clock.pass(0);
  assert.deepEqual(await lives.keys(), [], "what is over leaves nothing behind");
});

test("while the clock is not trusted a pause stays, and at most for its length", async () => {
  const lives = new Lives();
  await (await lives.begin()).pause(["kafka"], 15 * minute);
  lives.isTrusted = false;
  const next = await lives.again(60 * minute);
  assert.equal(next.leftMs("kafka"), 15 * minute, "nobody knows how long the process was away");
  const expected = { since: start, until: start + 15 * minute, leftMs: 15 * minute };
  assert.deepEqual(next.statusOf("kafka"), expected);
  await lives.clock.pass(15 * minute);
  assert.equal(next.leftMs("kafka"), 0);
  await lives.clock.pass(0);
  assert.equal((await lives.again()).leftMs("kafka"), 0, "and it does not come back");
});

test("a pause that began without a trusted clock ends after its length, and says when once that is known", async () => {
  const lives = new Lives();
  lives.isTrusted = false;
  const pauses = await lives.begin();
  await pauses.pause(["kafka"], 15 * minute);
  const unknown = { since: undefined, until: undefined, leftMs: 15 * minute };
  assert.deepEqual(pauses.statusOf("kafka"), unknown);
  await lives.clock.pass(5 * minute);
  lives.isTrusted = true;
  assert.equal(pauses.statusOf("kafka")?.until, start + 15 * minute);
  await lives.clock.pass(10 * minute);
  assert.equal(pauses.leftMs("kafka"), 0);
});

test("a clock that is put back makes no pause longer than it was meant to be", async () => {
  const lives = new Lives();
  const pauses = await lives.begin();
  await pauses.pause(["kafka"], 15 * minute);
  lives.clock.step(-24 * 60 * minute);
  await lives.clock.pass(14 * minute);
  assert.equal(pauses.leftMs("kafka"), minute);
  await lives.clock.pass(minute);
  assert.equal(pauses.leftMs("kafka"), 0);
});

test("what cannot be stored is as it was", async () => {
  const lives = new Lives();
  const pauses = await lives.begin();
  const full = new Fault("DISK_FULL", "no space");
  lives.failure = full;
  await assert.rejects(pauses.pause(["kafka"], undefined), full);
  assert.equal(pauses.leftMs("kafka"), 0);
  await pauses.pause(["kafka"], undefined);
  lives.failure = full;
  await assert.rejects(pauses.resume(["kafka"]), full);
  assert.equal(pauses.leftMs("kafka"), Infinity);
});

test("the key of a pause that is over goes when the disk has room again, and never one of a later pause", async () => {
  const lives = new Lives();
  const pauses = await lives.begin();
  await pauses.pause(["kafka", "mqtt:b:1883"], minute);
  await lives.clock.pass(minute);
  lives.failure = new Fault("DISK_FULL", "no space");
  assert.equal(pauses.leftMs("kafka"), 0);
  assert.equal(pauses.leftMs("mqtt:b:1883"), 0);
  await lives.clock.pass(0);
  assert.deepEqual(await lives.keys(), ["kafka", "mqtt:b:1883"]);
  await pauses.pause(["mqtt:b:1883"], undefined);
  await lives.clock.pass(limits.diskRetryMs);
  assert.deepEqual(await lives.keys(), ["mqtt:b:1883"]);
  assert.equal((await lives.again()).leftMs("mqtt:b:1883"), Infinity);
});

test("a pause that is damaged, or of a newer weir, is a fault that names it", async () => {
  for (const [text, said] of [
    ['{"v":1,"since":-1}', /pause\/kafka.*since/],
    ['{"v":2}', /version 2, this weir knows 1/],
  ] as const) {
    const lives = new Lives();
    const { store } = await openStateStore(await openCheckedKv(lives.kv));
    await store.advance([{ key: "pause/kafka", value: new TextEncoder().encode(text) }]);
    await assert.rejects(lives.begin(), said);
  }
});
