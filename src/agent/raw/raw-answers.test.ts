import assert from "node:assert/strict";
import { test } from "node:test";
import { below, seededRandom } from "../../../test/support/seeded-random.ts";
import { QueryRig, start } from "../../../test/support/query-rig.ts";
import { type Death, MortalKv } from "../../../test/support/mortal-kv.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import type { Put } from "../../../test/support/table-rig.ts";
import { KIND_SYMBOL } from "../../core/batch.ts";
import { limits } from "../../core/limits.ts";
import type { Alert, Manifest, Raw } from "../../core/record.ts";
import { OutboxWriter } from "../../store/outbox/outbox.ts";
import { decodeRecord, encodeAlert } from "../../store/outbox/record-codec.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { millis, position, seriesId, symbolId } from "../../core/units.ts";
import { openStateStore, type StateStore } from "../../store/state/state-store.ts";
import { digestAfter, emptyDigest } from "../../sync/kafka/cursor.ts";
import { rawReply } from "../http/raw-routes.ts";
import { Query } from "../query/queries.ts";
import { type AlertAsk, askOfAlerts } from "./alert-asks.ts";
import { RawAnswers } from "./raw-answers.ts";

const uplink = "u";
const now = start + 86_400_000;
const hour = { from: start, to: start + 3_600_000 };

type Life = { readonly kv: MortalKv; readonly store: StateStore; readonly answers: RawAnswers };

/** Requests over tables that stay, with an uplink that takes records when the test says so. */
class World {
  readonly rig: QueryRig;
  readonly clock = new SimulatedClock(now);
  readonly #memory = new KvMemory();
  /** What is upstream, by number: never two of one. */
  readonly sent: Uint8Array[] = [];
  hasUplinks = true;
  outboxBytesMax = 200_000;
  commits = 0;

  constructor(rig: QueryRig) {
    this.rig = rig;
  }

  async live(death?: Death): Promise<Life> {
    const kv = new MortalKv(this.#memory, death);
    const { outboxBytesMax } = this;
    const { store } = await openStateStore(kv, { outboxBytesMax });
    store.serve([uplink]);
    // As a lane does when it is opened: it says how far it is.
    if (death === undefined) {
      await store.advance([], { uplink, lane: "raw", next: this.sent.length });
    }
    const { catalog, tables } = this.rig;
    const answers = new RawAnswers({
      agent: "gw1",
      store,
      kv,
      catalog,
      clock: this.clock,
      random: seededRandom(1),
      openQuery: () => new Query(catalog, tables.store.snapshot(), () => undefined),
      hasUplinks: this.hasUplinks,
      onStored: () => undefined,
    });
    answers.start();
    return { kv, store, answers };
  }

  /** The uplink takes about so many bytes. */
  async take({ store }: Life, bytesMax = 30_000): Promise<void> {
    const at = { uplink, lane: "raw" } as const;
    const from = this.sent.length;
    const read = await store.lanes.take(at, { from, bytesMax });
    if (read === undefined || read.records.length === 0) return;
    assert.equal(read.first, from, "nothing is missing");
    for (const record of read.records) this.sent.push(record.slice());
    await store.advance([], { ...at, next: read.next });
  }

  async end({ answers, store, kv }: Life): Promise<void> {
    await answers.close();
    await store.settle();
    this.commits = kv.commits;
  }

  records(): readonly (Raw | Manifest)[] {
    return this.sent.map((bytes) => {
      const { record } = decodeRecord(bytes, "a record");
      assert.ok(record.kind === "raw" || record.kind === "manifest");
      return record;
    });
  }
}

/** Readings by series, in the order in which an answer has them. */
type Plant = { readonly rig: QueryRig; readonly puts: readonly Put[] };

/** Three devices; several readings at a time now and then, and symbols among them. */
async function plant(seed: number, count: number): Promise<Plant> {
  const random = seededRandom(seed);
  const rig = new QueryRig();
  await rig.tables.open();
  for (const device of ["p1", "p2", "p3"]) rig.define("plant", [["device", device]], ["t", "m"]);
  rig.catalog.define({ kind: "symbol", id: symbolId(2), text: "NaN" });
  const puts: Put[] = [];
  for (let series = 0; series < 6; series++) {
    let time = start + below(random, 1_000);
    for (let n = 0; n < count; n++) {
      if (below(random, 4) > 0) time += 1 + below(random, 1_000);
      const kind = below(random, 10) === 0 ? { kind: KIND_SYMBOL, value: 2 } : {};
      const value = below(random, 50) === 0 ? Number.NaN : below(random, 1e6) / 8;
      puts.push({ series, time, value, ...kind });
    }
  }
  for (let from = 0; from < puts.length; from += 5_000)
    rig.tables.put(puts.slice(from, from + 5_000));
  return { rig, puts };
}

function shownPut({ time, value, kind }: Put): string {
  return `${time} ${kind === KIND_SYMBOL ? '"NaN"' : value}`;
}

function shownRaw({ times, values }: Raw): readonly string[] {
  return times.map((time, index) => {
    const value = values[index]!;
    return `${time} ${typeof value === "string" ? JSON.stringify(value) : value}`;
  });
}

/** All readings of the range are in the parts once each, in order, and the manifest says so. */
function assertWhole({ puts }: Plant, world: World, taken: readonly number[]): void {
  const records = world.records();
  const manifest = records.at(-1);
  assert.ok(manifest?.kind === "manifest");
  const parts = records.slice(0, -1).map((record) => {
    assert.ok(record.kind === "raw");
    return record;
  });
  const { catalog } = world.rig;
  const wanted = taken.map((id) => {
    const own = puts.filter(
      ({ series, time }) => series === id && time >= hour.from && time < hour.to,
    );
    return { name: catalog.seriesName(seriesId(id)), own };
  });
  for (const { name, own } of wanted) {
    const found = parts.filter(({ series }) => series === name).flatMap(shownRaw);
    assert.deepEqual(found, own.map(shownPut), name);
  }
  assert.deepEqual(
    parts.map(({ part }) => part),
    parts.map((_, index) => index),
  );
  assert.equal(manifest.outcome, "complete");
  assert.equal(manifest.parts, parts.length);
  assert.equal(manifest.digest, world.sent.slice(0, -1).reduce(digestAfter, emptyDigest));
  assert.deepEqual(
    manifest.series,
    wanted.map(({ name, own }) => ({
      source: "plant",
      series: name,
      readings: own.length,
      first: own[0]!.time,
      last: own.at(-1)!.time,
    })),
  );
}

const ask = { id: "r1", select: ["t"], ...hour, priority: "normal" } as const;

/** One answer, its agent ended as `death` says and started again; the commits of the first life. */
async function answered(of: Plant, death: Death | undefined): Promise<World> {
  const world = new World(of.rig);
  let life = await world.live(death);
  for (let n = 0; n < 400; n++) {
    try {
      await life.answers.ask(ask);
      await world.clock.pass(50);
      await world.take(life);
    } catch (error) {
      assert.ok(life.kv.isDead, String(error));
    }
    if (life.kv.isDead) {
      await world.end(life);
      life = await world.live();
    }
    if (world.sent.length > 0 && world.records().at(-1)?.kind === "manifest") break;
  }
  await world.end(life);
  return world;
}

test("wherever a life ends, an answer is there once, and its manifest is true", async () => {
  const of = await plant(7, 8_000);
  const undisturbed = await answered(of, undefined);
  assertWhole(of, undisturbed, [0, 2, 4]);
  const { commits } = undisturbed;
  assert.ok(commits > 8, `${commits} commits`);
  for (let at = 0; at < commits; at++) {
    for (const isDone of [false, true])
      assertWhole(of, await answered(of, { at, isDone }), [0, 2, 4]);
  }
  await of.rig.tables.store.close();
});

test("while nobody takes them, no more raw readings wait than their share of the outbox", async () => {
  const of = await plant(3, 20_000);
  const world = new World(of.rig);
  world.outboxBytesMax = 800_000;
  const life = await world.live();
  await life.answers.ask(ask);
  await world.clock.pass(60_000);
  const { bytes, bytesMax } = life.store.status.outbox.raw;
  assert.ok(bytes > 0 && bytes <= bytesMax, `${bytes} of ${bytesMax}`);
  assert.equal(bytesMax, 50_000);
  assert.equal(life.answers.status[0]?.state, "open");
  await world.end(life);
  await of.rig.tables.store.close();
});

test("the more urgent goes first, also when it is asked for later; a future end is waited for", async () => {
  const of = await plant(5, 12_000);
  const world = new World(of.rig);
  world.outboxBytesMax = 400_000;
  const life = await world.live();
  await life.answers.ask({ ...ask, id: "low", priority: "low" });
  await world.clock.pass(20);
  await life.answers.ask({ ...ask, id: "high", select: ["m{device=p1}"], priority: "high" });
  await life.answers.ask({ ...ask, id: "later", select: ["m{device=p2}"], to: now + 10_000 });
  for (let n = 0; n < 300; n++) {
    await world.clock.pass(20);
    await world.take(life, 200_000);
  }
  const order = (): readonly string[] =>
    world.records().flatMap(({ kind, request }) => (kind === "manifest" ? [request] : []));
  assert.deepEqual(order(), ["high", "low"]);
  await world.clock.pass(10_000 + limits.rawSettleMs);
  for (let n = 0; n < 20; n++) {
    await world.take(life, 1e9);
    await world.clock.pass(100);
  }
  assert.deepEqual(order(), ["high", "low", "later"]);
  await world.end(life);
  await of.rig.tables.store.close();
});

test("an id is one request; what cannot be is refused with a reason; a cancelled one says so", async () => {
  const of = await plant(6, 300);
  const world = new World(of.rig);
  const life = await world.live();
  const { answers } = life;
  const kindOf = async (changes: Partial<Parameters<RawAnswers["ask"]>[0]>): Promise<string> => {
    const outcome = await answers.ask({ ...ask, to: now + 5_000, ...changes });
    return "message" in outcome ? `${outcome.kind}: ${outcome.message}` : outcome.kind;
  };
  assert.equal(await kindOf({}), "asked");
  assert.equal(await kindOf({}), "known");
  assert.match(await kindOf({ from: 0 }), /^conflict: the request r1 /);
  assert.match(await kindOf({ id: "a/b" }), /^malformed: an id is /);
  assert.match(await kindOf({ id: "x", to: hour.from }), /^malformed: from must be before to/);
  assert.match(await kindOf({ id: "x", select: ["t{"] }), /^malformed: selector "t\{"/);
  assert.match(await kindOf({ id: "x", select: [] }), /^malformed: say which series/);
  assert.match(
    await kindOf({ id: "x", to: now + 2e8 }),
    /^malformed: to lies more than 24 h ahead/,
  );
  for (let n = 1; n < limits.rawRequestsMax; n++)
    assert.equal(await kindOf({ id: `n${n}` }), "asked");
  assert.match(await kindOf({ id: "one-more" }), /^tooMany: 64 requests are open/);
  assert.equal(await answers.cancel("r1"), true);
  assert.equal(await answers.cancel("r1"), false);
  await world.clock.pass(100);
  assert.equal(await answers.cancel("nobody"), false);
  // Its end is still to come; who gives it up need not wait for that.
  await world.take(life, 1e9);
  const [first] = world.records();
  assert.ok(first?.kind === "manifest" && first.request === "r1" && first.outcome === "cancelled");
  await world.clock.pass(5_000 + limits.rawSettleMs);
  await world.clock.pass(1_000);
  for (let n = 0; n < 80; n++) {
    await world.take(life, 1e9);
    await world.clock.pass(1_000);
  }
  await world.end(life);
  world.hasUplinks = false;
  const alone = await world.live();
  const nobody = await alone.answers.ask({ ...ask, id: "y" });
  assert.match("message" in nobody ? nobody.message : "", /no uplink is configured/);
  await world.end(alone);
  await of.rig.tables.store.close();
});

test("sent twice under its id, a span that counts from now is the one of the first time", async () => {
  const of = await plant(1, 10);
  const world = new World(of.rig);
  const life = await world.live();
  const post = async (
    { answers }: Life,
    text: string,
    late: number,
  ): Promise<readonly [number, unknown]> => {
    const search = new URLSearchParams(`id=r1&select=*&${text}`);
    const asked = { method: "POST", search, now: world.clock.now() + late };
    const { code, body } = await rawReply(answers, asked);
    const { from, to } = JSON.parse(body) as Record<string, unknown>;
    return [code, [from, to]];
  };
  const span = [now - 60_003, now - 3];
  // The second may come while the first is not stored yet.
  const both = [post(life, "from=-1m&to=now", -3), post(life, "from=-1m&to=now", 7)];
  assert.deepEqual(await Promise.all(both), [
    [202, span],
    [200, span],
  ]);
  assert.deepEqual((await post(life, "from=-2m&to=now", 7))[0], 409);
  await world.end(life);
  await world.clock.pass(1_000);
  const next = await world.live();
  assert.deepEqual(await post(next, "from=-1m&to=now", 0), [200, span]);
  assert.equal((await post(next, `from=${now + 500}&to=now`, 0))[0], 409);
  await world.end(next);
  await of.rig.tables.store.close();
});

test("a request that came while the clock was ahead does not wait until that time comes", async () => {
  const of = await plant(5, 3_000);
  const world = new World(of.rig);
  const life = await world.live();
  await life.answers.ask({ ...ask, id: "first" }); // the queue is full of it
  await world.clock.pass(20);
  world.clock.step(7_200_000);
  await life.answers.ask({ ...ask, id: "second" });
  world.clock.step(-7_200_000);
  for (let n = 0; n < 60; n++) {
    await world.clock.pass(100);
    await world.take(life, 1e9);
  }
  const manifests = world.records().filter(({ kind }) => kind === "manifest");
  assert.deepEqual(
    manifests.map(({ request }) => request),
    ["first", "second"],
  );
  await world.end(life);
  await of.rig.tables.store.close();
});

test("of many at once no more are taken than the bound, and one id is one request", async () => {
  const of = await plant(1, 10);
  const world = new World(of.rig);
  const life = await world.live();
  const { answers } = life;
  const future = { ...ask, to: now + 5_000 };
  const kinds = async (asks: readonly Promise<{ readonly kind: string }>[]): Promise<string[]> =>
    (await Promise.all(asks)).map(({ kind }) => kind);
  const same = [answers.ask(future), answers.ask({ ...future, from: 0 }), answers.ask(future)];
  assert.deepEqual(await kinds(same), ["asked", "conflict", "known"]);
  const many = Array.from({ length: 80 }, (_, n) => answers.ask({ ...future, id: `m${n}` }));
  const told = await kinds(many);
  assert.equal(told.filter((kind) => kind === "asked").length, limits.rawRequestsMax - 1);
  assert.equal(answers.counters.open, limits.rawRequestsMax);
  await world.end(life);
});

test("an alert's request is stored by its commit or not at all, and alerts have a share", async () => {
  const of = await plant(4, 300);
  const askOf = askOfAlerts({ rawAround: { shifts: { beforeMs: 60_000, afterMs: 1_000 } } });
  const alert = (time: number): Alert => ({
    kind: "alert",
    pipeline: "shifts@2",
    key: [
      ["device", "p1"],
      ["metric", "t"],
    ],
    time: millis(time),
    reason: "ewma_high",
    value: 9,
    score: 7,
    expected: 1,
    limit: 2,
  });
  const asked = (time: number): AlertAsk => {
    const found = askOf(alert(time), encodeAlert("gw1", alert(time)));
    assert.ok(found !== undefined);
    return found;
  };
  assert.equal(askOf({ ...alert(1), pipeline: "others" }, encodeAlert("gw1", alert(1))), undefined);
  const one = asked(start + 100_000);
  assert.deepEqual(one, asked(start + 100_000));
  assert.notEqual(one.id, asked(start + 100_001).id);
  assert.deepEqual(
    [one.select, one.from, one.to, one.priority],
    [["{device=p1}"], start + 40_000, start + 101_001, "high"],
  );
  const committed = async ({ store, answers }: Life, asks: readonly AlertAsk[]): Promise<void> => {
    const { writes, stored } = answers.prepare({ first: asks, more: 0 });
    const none = { definitions: [], deadLetters: [], ledger: new Uint8Array() };
    await store.commit({ through: position(1), ...none, outbox: new OutboxWriter(), writes });
    stored();
  };

  const world = new World(of.rig);
  for (const isDone of [false, true]) {
    const life = await world.live({ at: 0, isDone });
    await assert.rejects(committed(life, [one]));
    await world.end(life);
    const next = await world.live();
    assert.equal(next.answers.counters.open, isDone ? 1 : 0);
    await world.end(next);
  }
  const life = await world.live();
  // The log is applied again: it is there already.
  await committed(life, [one]);
  assert.equal(life.answers.counters.open, 1);
  for (let n = 0; n < 20; n++) {
    await world.clock.pass(50);
    await world.take(life);
  }
  const manifest = world.records().at(-1);
  assert.ok(manifest?.kind === "manifest" && manifest.request === one.id);
  assert.equal(manifest.series.length, 2);

  const ahead = Array.from({ length: 40 }, (_, n) => asked(now + 10_000 + n));
  await committed(life, ahead);
  assert.equal(life.answers.counters.open, limits.rawAlertRequestsMax);
  assert.equal(life.answers.counters.unasked, 8);
  assert.equal((await life.answers.ask({ ...ask, id: "mine", to: now + 5_000 })).kind, "asked");
  for (const { id } of ahead) await life.answers.cancel(id);
  for (let n = 0; n < 60; n++) {
    await world.clock.pass(50);
    await world.take(life, 1e6);
  }
  // So many in an hour, whatever became of them.
  const more = Array.from({ length: 40 }, (_, n) => asked(now + 20_000 + n));
  await committed(life, more.slice(0, 30));
  const made = limits.rawAlertRequestsMax;
  assert.equal(life.answers.counters.unasked, 8 + made + 30 - limits.rawAlertsPerWindow);
  await world.clock.pass(limits.rawAlertWindowMs);
  await world.end(life);
  await of.rig.tables.store.close();
});

test("what is not whole any more says so", async () => {
  const of = await plant(8, 200);
  const world = new World(of.rig);
  for (let n = 0; n < 130; n++) {
    of.rig.define("many", [["device", `d${n}`]], ["x", "y"]);
  }
  const life = await world.live();
  await life.answers.ask({ ...ask, select: ["*"] });
  await world.clock.pass(100);
  await world.take(life, 1e9);
  const [manifest] = world.records();
  assert.ok(manifest?.kind === "manifest");
  assert.equal(manifest.outcome, "refused");
  assert.match(manifest.reason, /selects 266 series, more than 256/);
  await world.end(life);
  await of.rig.tables.store.close();
});
