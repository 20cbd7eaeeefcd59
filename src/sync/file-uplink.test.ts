import assert from "node:assert/strict";
import { test } from "node:test";
import { commitRecords } from "../../test/support/commit-records.ts";
import { type DiskCall, FaultDisk, type Fate } from "../../test/support/fault-disk.ts";
import { below, seededRandom } from "../../test/support/seeded-random.ts";
import { ManualClock } from "../../test/support/simulated-net.ts";
import type { Kv, KvWrite, Random } from "../core/doors.ts";
import { KvMemory } from "../store/state/kv-memory.ts";
import { type OutputQueue, outputQueues } from "../store/outbox/lane.ts";
import { OutboxWriter } from "../store/outbox/outbox.ts";
import { openStateStore, type StateStore } from "../store/state/state-store.ts";
import { type Drain, openDrain } from "./drain.ts";
import { openFileUplink } from "./file-uplink.ts";

// ---- an agent's upstream half ----

const fileBytesMax = 1_200;
const fileAgeMs = 1_000;

type Half = { readonly store: StateStore; readonly drain: Drain; readonly clock: ManualClock };

async function start(disk: FaultDisk, kv: Kv): Promise<Half> {
  const clock = new ManualClock();
  const random: Random = { uint32: () => 2 ** 31 };
  const { store } = await openStateStore(kv);
  const uplink = openFileUplink({
    disk: disk.mount(),
    clock,
    directory: "/out",
    fileBytesMax,
    fileAgeMs,
    get: (key) => store.get(key),
  });
  return { store, clock, drain: openDrain({ store, uplinks: [uplink], clock, random }) };
}

async function emit(
  store: StateStore,
  names: Partial<Record<OutputQueue, readonly string[]>>,
): Promise<void> {
  const outbox = new OutboxWriter();
  for (const lane of outputQueues) {
    for (const name of names[lane] ?? []) outbox.add(lane, new TextEncoder().encode(name));
  }
  await commitRecords(store, outbox);
}

async function emitAndWait(
  { store, drain }: Half,
  names: Parameters<typeof emit>[1],
): Promise<void> {
  await emit(store, names);
  drain.wake();
  await drain.idle();
}

function healthyDisk(): FaultDisk {
  return new FaultDisk(seededRandom(1));
}

function filesOf(
  disk: FaultDisk,
  lane: OutputQueue,
): readonly (readonly [path: string, text: string])[] {
  const paths = disk.paths().filter((path) => path.startsWith(`/out/${lane}-`));
  return paths.map((path) => [path, new TextDecoder().decode(disk.peek(path))]);
}

/** All lines of a lane in the order of the files. */
function linesOf(disk: FaultDisk, lane: OutputQueue): readonly string[] {
  return filesOf(disk, lane).flatMap(([, text]) => text.split("\n").slice(0, -1));
}

// ---- exactly once ----

/**
 * One life of the process: it ends at call `crashAt` of disk or state store, before or after that
 * call took effect. From there on no call takes effect or comes back.
 */
class Life {
  readonly crashed: Promise<"crashed">;
  #signal: (how: "crashed") => void = () => undefined;
  #calls = 0;
  #isOver = false;
  readonly #crashAt: number;
  readonly #random: Random;

  constructor(crashAt: number, random: Random) {
    this.#crashAt = crashAt;
    this.#random = random;
    this.crashed = new Promise((resolve) => {
      this.#signal = resolve;
    });
  }

  /** For FaultDisk: "crash" leaves part of a write. */
  disk(call: DiskCall): Fate {
    if (this.#goesOn()) return undefined;
    this.#signal("crashed");
    return call.name === "write" ? "crash" : new Promise(() => undefined);
  }

  kv(kv: KvMemory): Kv {
    return {
      get: (key) => kv.get(key),
      range: (options) => kv.range(options),
      commit: async (writes: readonly KvWrite[]) => {
        const wasOver = this.#isOver;
        if (this.#goesOn()) return await kv.commit(writes);
        if (!wasOver && below(this.#random, 2) === 0) await kv.commit(writes);
        this.#signal("crashed");
        return await new Promise(() => undefined);
      },
      close: async () => await kv.close(),
    };
  }

  #goesOn(): boolean {
    this.#calls += 1;
    if (!this.#isOver && this.#calls !== this.#crashAt) return true;
    this.#isOver = true;
    return false;
  }
}

const total = 14;

function record(n: number): string {
  return `record ${n} `.padEnd(120 + ((n * 97) % 200), "x");
}

/**
 * Commits records in small steps while the drain runs, closes a file by age, and crashes at call
 * `crashAt`. Then starts again until everything is out; resolves to whether it crashed at all.
 */
async function runWithCrash(seed: number, crashAt: number): Promise<boolean> {
  const random = seededRandom(seed * 1_000_003 + crashAt);
  const disk = new FaultDisk(random);
  let kv = new KvMemory();
  let life = new Life(crashAt, random);
  let crashes = 0;
  for (;;) {
    const current = life;
    disk.fate = (call) => current.disk(call);
    const work = emitAndDrain(disk, life.kv(kv), random);
    if ((await Promise.race([work, life.crashed])) !== "crashed") break;
    crashes += 1;
    kv = new KvMemory({ image: kv.image() });
    disk.crash();
    // The second life may crash as well, in its recovery; the third does not.
    life = new Life(crashes === 1 ? below(random, 40) : Infinity, random);
  }
  for (const lane of outputQueues) {
    const where = `${lane}, crash at call ${crashAt}, seed ${seed}`;
    const expected = Array.from({ length: total }, (_, n) => record(n));
    assert.deepEqual(linesOf(disk, lane), expected, where);
    const paths = filesOf(disk, lane).map(([path]) => path);
    const open = paths.slice(0, -1).filter((path) => path.endsWith(".open"));
    assert.deepEqual(open, [], `${where}: only the last file is open`);
  }
  return crashes > 0;
}

async function emitAndDrain(disk: FaultDisk, kv: Kv, random: Random): Promise<void> {
  const half = await start(disk, kv);
  const { store, drain, clock } = half;
  await drain.idle();
  while (outputQueues.some((lane) => store.span(lane).next < total)) {
    const names: Record<OutputQueue, string[]> = { alerts: [], summaries: [] };
    for (const lane of outputQueues) {
      const { next } = store.span(lane);
      const count = Math.min(total - next, below(random, 4));
      for (let n = next; n < next + count; n++) names[lane].push(record(n));
    }
    await emit(store, names);
    drain.wake();
    if (below(random, 10) < 7) await drain.idle();
    if (below(random, 10) < 2) clock.advance(fileAgeMs);
  }
  await drain.idle();
  const { trouble, lanes: ends } = drain.status[0]!;
  assert.equal(trouble, undefined);
  for (const lane of outputQueues) {
    assert.deepEqual(ends[lane].incidents, { count: 0, last: undefined });
    assert.equal(ends[lane].next, total);
  }
  assert.deepEqual([store.span("alerts").first, store.span("summaries").first], [total, total]);
  await drain.close();
}

test("each record is in the files exactly once, in order, wherever a crash falls", async () => {
  const rounds = Number(process.env["WEIR_TEST_SEEDS"] ?? 4);
  let crashes = 0;
  for (let seed = 1; seed <= rounds; seed++) {
    for (let crashAt = 1; await runWithCrash(seed, crashAt); crashAt++) crashes += 1;
  }
  assert.ok(crashes > rounds * 50, `${crashes} crash points`);
});

/** Two syncs in three fail, and forget what they did not write; now and then the power goes. */
async function runWithFailedSyncs(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const disk = new FaultDisk(random);
  let kv = new KvMemory();
  let half = await start(disk, kv);
  let next = 0;
  while (next < total) {
    disk.fate = ({ name }) => (name === "sync" && below(random, 3) > 0 ? "EIO" : undefined);
    const count = 1 + below(random, 4);
    const names = Array.from({ length: Math.min(count, total - next) }, (_, n) => record(next + n));
    next += names.length;
    await emitAndWait(half, { summaries: names });
    for (let tries = below(random, 6); tries > 0; tries--) await later(half);
    if (below(random, 2) === 0) disk.fate = () => undefined;
    await later(half);
    if (below(random, 4) > 0) continue;
    kv = new KvMemory({ image: kv.image() });
    disk.crash();
    half = await start(disk, kv);
  }
  disk.fate = () => undefined;
  await later(half);
  await half.drain.close();
  disk.crash();
  const expected = Array.from({ length: total }, (_, n) => record(n));
  assert.deepEqual(linesOf(disk, "summaries"), expected, `seed ${seed}`);
  const open = filesOf(disk, "summaries").filter(([path]) => path.endsWith(".open"));
  assert.ok(open.length <= 1, `seed ${seed}: ${open.length} files are open`);
}

/** What failed is tried again. */
async function later({ clock, drain }: Half): Promise<void> {
  clock.advance(60_000);
  await drain.idle();
}

test("each record is in the files exactly once, in order, whichever syncs fail before the power goes", async () => {
  for (let seed = 1; seed <= 100; seed++) await runWithFailedSyncs(seed);
});

// ---- files ----

test("files are numbered, bounded, and closed before the next is begun", async () => {
  const disk = healthyDisk();
  const half = await start(disk, new KvMemory());
  for (let n = 0; n < 7; n++) await emitAndWait(half, { summaries: ["x".repeat(500)] });
  assert.deepEqual(disk.paths(), [
    "/out/summaries-00000001.ndjson",
    "/out/summaries-00000002.ndjson",
    "/out/summaries-00000003.ndjson",
    "/out/summaries-00000004.ndjson.open",
  ]);
  for (const path of disk.paths()) assert.ok(disk.peek(path).length <= fileBytesMax);
});

test("an open file with records is closed when it is old, without a new record", async () => {
  const disk = healthyDisk();
  const half = await start(disk, new KvMemory());
  await emitAndWait(half, { alerts: ["a0"] });
  half.clock.advance(fileAgeMs - 1);
  await half.drain.idle();
  assert.deepEqual(disk.paths(), [openPath]);
  half.clock.advance(1);
  await half.drain.idle();
  assert.deepEqual(disk.paths(), ["/out/alerts-00000001.ndjson"]);
  await emitAndWait(half, { alerts: ["a1"] });
  assert.deepEqual(linesOf(disk, "alerts"), ["a0", "a1"]);
});

// ---- what somebody else does to the files ----

const openPath = "/out/alerts-00000001.ndjson.open";

/** Two alerts are out; then the process ended in order, unless it is to go on. */
async function delivered({ goesOn = false } = {}): Promise<{
  readonly disk: FaultDisk;
  readonly kv: KvMemory;
  readonly half: Half;
}> {
  const disk = healthyDisk();
  const kv = new KvMemory();
  const half = await start(disk, kv);
  await emitAndWait(half, { alerts: ["a0", "a1"] });
  if (!goesOn) await half.drain.close();
  return { disk, kv, half };
}

async function truncate(disk: FaultDisk, path: string, size: number): Promise<void> {
  const file = await disk.mount().open(path, { create: false });
  await file.truncate(size);
  await file.close();
}

test("a file that is gone is reported with what it held, and the next one is begun", async () => {
  const { disk, kv } = await delivered();
  await disk.mount().remove(openPath);
  const half = await start(disk, kv);
  await emitAndWait(half, { alerts: ["a2"] });
  assert.deepEqual(filesOf(disk, "alerts"), [["/out/alerts-00000002.ndjson.open", "a2\n"]]);
  const { incidents } = half.drain.status[0]!.lanes.alerts;
  assert.equal(incidents.count, 1);
  assert.match(incidents.last!.what, /alerts-00000001.ndjson.open is gone; it held alerts 0 to 1/);
});

test("an incident is still known after the next start", async () => {
  const { disk, kv } = await delivered();
  await disk.mount().remove(openPath);
  const second = await start(disk, kv);
  await second.drain.idle();
  await second.drain.close();
  const third = await start(disk, kv);
  await third.drain.idle();
  assert.deepEqual(
    third.drain.status[0]!.lanes.alerts.incidents,
    second.drain.status[0]!.lanes.alerts.incidents,
  );
  assert.equal(third.drain.status[0]!.lanes.alerts.incidents.count, 1);
});

test("a file that is too short is set aside under another name", async () => {
  const { disk, kv } = await delivered();
  await truncate(disk, openPath, 4);
  const half = await start(disk, kv);
  await emitAndWait(half, { alerts: ["a2"] });
  assert.deepEqual(filesOf(disk, "alerts"), [
    ["/out/alerts-00000001.ndjson.damaged", "a0\na"],
    ["/out/alerts-00000002.ndjson.open", "a2\n"],
  ]);
  assert.match(half.drain.status[0]!.lanes.alerts.incidents.last!.what, /has 4 bytes, not 6/);
});

test("a file that is taken away while we write to it is noticed at once", async () => {
  const { disk, half } = await delivered({ goesOn: true });
  await disk.mount().remove(openPath);
  await emitAndWait(half, { alerts: ["a2"] });
  assert.equal(half.drain.status[0]!.state, "waiting");
  half.clock.advance(60_000);
  await half.drain.idle();
  assert.equal(half.drain.status[0]!.state, "running");
  assert.equal(half.drain.status[0]!.lanes.alerts.incidents.count, 1);
  assert.deepEqual(linesOf(disk, "alerts"), ["a2"]);
});

test("what a crash left beyond the cursor is cut, even if nothing follows", async () => {
  const { disk, kv } = await delivered();
  const file = await disk.mount().open(openPath, { create: false });
  await file.write(new TextEncoder().encode('a2\n{"torn'), 6);
  await file.close();
  const half = await start(disk, kv);
  await half.drain.idle();
  assert.deepEqual(filesOf(disk, "alerts"), [[openPath, "a0\na1\n"]]);
  assert.equal(half.drain.status[0]!.lanes.alerts.incidents.count, 0);
});

test("a new state store leaves the files of an old one alone, and says so", async () => {
  const { disk } = await delivered();
  const half = await start(disk, new KvMemory());
  await emitAndWait(half, { alerts: ["b0"] });
  assert.deepEqual(filesOf(disk, "alerts"), [
    [openPath, "a0\na1\n"],
    ["/out/alerts-00000002.ndjson.open", "b0\n"],
  ]);
  assert.match(half.drain.status[0]!.lanes.alerts.incidents.last!.what, /of another state store/);
});

test("a disk that is full is tried again by itself, and nothing is lost", async () => {
  const { disk, half } = await delivered({ goesOn: true });
  disk.bytesMax = 100;
  await emitAndWait(half, { summaries: ["s".repeat(200)] });
  assert.match(half.drain.status[0]!.trouble!, /ENOSPC/);
  half.clock.advance(10_000);
  await half.drain.idle();
  assert.equal(half.drain.status[0]!.state, "waiting");
  disk.bytesMax = 1_000;
  half.clock.advance(60_000);
  await half.drain.idle();
  assert.equal(half.drain.status[0]!.trouble, undefined);
  assert.deepEqual(linesOf(disk, "summaries"), ["s".repeat(200)]);
  assert.deepEqual(linesOf(disk, "alerts"), ["a0", "a1"]);
});
