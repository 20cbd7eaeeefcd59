import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock, Disk, DiskFile, Kv, KvWrite, Random } from "../core/doors.ts";
import { type Millis, millis, position } from "../core/units.ts";
import { type KvImage, KvMemory } from "../store/kv-memory.ts";
import { type Lane, lanes, OutboxWriter } from "../store/outbox.ts";
import { openStateStore, type StateStore } from "../store/state-store.ts";
import { type Drain, openDrain } from "./drain.ts";
import { openFileUplink } from "./file-uplink.ts";

// ---- simulated doors ----

/**
 * Counts calls of disk and store, and crashes at one of them, before or after it took effect: from
 * there on no call takes effect or comes back, as when the process is gone.
 */
class Fate {
  calls = 0;
  readonly crashed: Promise<"crashed">;
  #signal: (how: "crashed") => void = () => undefined;
  readonly #crashAt: number;
  readonly #random: () => number;
  #dead = false;

  constructor(crashAt: number, random: () => number) {
    this.#crashAt = crashAt;
    this.#random = random;
    this.crashed = new Promise((resolve) => {
      this.#signal = resolve;
    });
  }

  async around<T>(call: () => T): Promise<T> {
    await Promise.resolve();
    this.calls += 1;
    if (!this.#dead && this.calls !== this.#crashAt) return call();
    if (!this.#dead && this.#random() < 0.5) call();
    this.#dead = true;
    this.#signal("crashed");
    return await new Promise<never>(() => undefined);
  }
}

type Inode = { live: number[]; durable: number[] };

/** Files with a live and a durable image; directory changes are durable after syncDirectory. */
class CrashDisk implements Disk {
  fate: Fate;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #changes: ((names: Map<string, Inode>) => void)[] = [];

  constructor(fate: Fate) {
    this.fate = fate;
  }

  /** What is found after a power cut: synced bytes, and some of what was not. */
  crash(random: () => number): void {
    const kept = Math.floor(random() * (this.#changes.length + 1));
    for (const change of this.#changes.slice(0, kept)) change(this.#durableNames);
    this.#changes = [];
    this.#names = new Map(this.#durableNames);
    for (const file of this.#names.values()) {
      file.live = random() < 0.5 ? torn(file, random) : [...file.durable];
      file.durable = [...file.live];
    }
  }

  /** The same as a clean shutdown of the machine. */
  texts(): ReadonlyMap<string, string> {
    const entries = [...this.#names].map(
      ([name, { live }]) => [name, Buffer.from(live).toString()] as const,
    );
    return new Map(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    return await this.fate.around(() => {
      const known = this.#names.get(path);
      if (known === undefined && !options.create) throw failure("ENOENT");
      const file = known ?? { live: [], durable: [] };
      if (known === undefined) this.#change((names) => names.set(path, file));
      return this.#handle(file);
    });
  }

  async list(directory: string): Promise<readonly string[]> {
    return await this.fate.around(() =>
      [...this.#names.keys()]
        .filter((path) => path.startsWith(`${directory}/`))
        .map((path) => path.slice(directory.length + 1)),
    );
  }

  async makeDirectory(): Promise<void> {
    await this.fate.around(() => undefined);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.fate.around(() => {
      if (!this.#names.has(from)) throw failure("ENOENT");
      assert.ok(!this.#names.has(to), `${to} is not overwritten`);
      this.#change((names) => {
        const file = names.get(from);
        names.delete(from);
        if (file !== undefined) names.set(to, file);
      });
    });
  }

  async remove(path: string): Promise<void> {
    await this.fate.around(() => this.#change((names) => void names.delete(path)));
  }

  async syncDirectory(): Promise<void> {
    await this.fate.around(() => {
      for (const change of this.#changes) change(this.#durableNames);
      this.#changes = [];
    });
  }

  freeBytes(): Promise<number> {
    return Promise.resolve(1e12);
  }

  /** By somebody else, behind our back. */
  tamper(path: string, change: (bytes: number[]) => number[] | undefined): void {
    const file = this.#names.get(path);
    assert.ok(file !== undefined, `${path} exists`);
    const bytes = change(file.live);
    if (bytes === undefined) {
      this.#names.delete(path);
      this.#durableNames.delete(path);
    } else {
      file.live = bytes;
      file.durable = [...bytes];
    }
  }

  #change(change: (names: Map<string, Inode>) => void): void {
    change(this.#names);
    this.#changes.push(change);
  }

  #handle(file: Inode): DiskFile {
    const { fate } = this;
    return {
      read: () => Promise.reject(new Error("the uplink does not read")),
      write: async (source, offset) =>
        await fate.around(() => {
          assert.ok(offset <= file.live.length, "no holes");
          file.live.splice(offset, source.length, ...source);
        }),
      sync: async () =>
        await fate.around(() => {
          file.durable = [...file.live];
        }),
      size: async () => await fate.around(() => file.live.length),
      truncate: async (size) =>
        await fate.around(() => {
          file.live.length = size;
        }),
      close: () => Promise.resolve(),
    };
  }
}

/** Some of the unsynced bytes reached the medium, cut anywhere. */
function torn({ live, durable }: Inode, random: () => number): number[] {
  const length = Math.floor(random() * (live.length + 1));
  return [...live.slice(0, length), ...durable.slice(length)];
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code} (simulated)`), { code });
}

class FatedKv implements Kv {
  readonly #kv: KvMemory;
  readonly #fate: Fate;
  #committing: Promise<void> = Promise.resolve();

  constructor(kv: KvMemory, fate: Fate) {
    this.#kv = kv;
    this.#fate = fate;
  }
  get(key: string): Uint8Array | undefined {
    return this.#kv.get(key);
  }
  range(options: {
    readonly from: string;
    readonly to: string;
    readonly limit?: number;
  }): ReturnType<Kv["range"]> {
    return this.#kv.range(options);
  }
  async commit(writes: readonly KvWrite[]): Promise<void> {
    await this.#fate.around(() => {
      this.#committing = this.#kv.commit(writes);
    });
    await this.#committing;
  }
  /** What a crash leaves, once a commit that took effect is through. */
  async image(): Promise<KvImage> {
    await this.#committing;
    return this.#kv.image();
  }
  async close(): Promise<void> {
    await this.#kv.close();
  }
}

class ManualClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  now(): Millis {
    return millis(this.#now);
  }
  monotonic(): number {
    return this.#now;
  }
  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }
  soon(run: () => void): void {
    setImmediate(run);
  }
  pass(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { run } of due) run();
  }
  get waits(): readonly number[] {
    return this.#timers.map(({ at }) => at - this.#now);
  }
}

/** Mulberry32: a small seeded generator. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// ---- an agent's upstream half ----

const fileBytesMax = 60;
const fileAgeMs = 1_000;

type Half = { readonly store: StateStore; readonly drain: Drain; readonly clock: ManualClock };

async function start(disk: CrashDisk, kv: Kv): Promise<Half> {
  const clock = new ManualClock();
  const random: Random = { uint32: () => 2 ** 31 };
  const { store } = await openStateStore(kv);
  const uplink = openFileUplink({
    disk,
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
  names: Partial<Record<Lane, readonly string[]>>,
): Promise<void> {
  const outbox = new OutboxWriter();
  for (const lane of lanes) {
    for (const name of names[lane] ?? []) outbox.add(lane, new TextEncoder().encode(name));
  }
  const nothing = { ledger: new Uint8Array(), definitions: [], deadLetters: [] };
  await store.commit({ through: position(1), outbox, ...nothing });
}

/** All lines of a lane in the order of the files. */
function linesOf(disk: CrashDisk, lane: Lane): readonly string[] {
  return [...disk.texts()]
    .filter(([name]) => name.startsWith(`/out/${lane}-`))
    .flatMap(([, text]) => text.split("\n").slice(0, -1));
}

const unharmed = (): Fate => new Fate(Infinity, () => 0);

// ---- exactly once ----

/**
 * Commits records in small steps while the drain runs, closes a file by age, and crashes at call
 * `crashAt` of disk or store. Then starts again until everything is out; resolves to whether it
 * crashed at all.
 */
async function runWithCrash(seed: number, crashAt: number): Promise<boolean> {
  const random = seeded(seed * 1_000_003 + crashAt);
  const disk = new CrashDisk(new Fate(crashAt, random));
  const total = 14;
  let image: KvImage = new Map();
  let crashes = 0;
  for (;;) {
    const kv = new FatedKv(new KvMemory({ image }), disk.fate);
    const life = emitAndDrain(disk, kv, { total, random });
    if ((await Promise.race([life, disk.fate.crashed])) !== "crashed") break;
    crashes += 1;
    image = await kv.image();
    disk.crash(random);
    // The second life may crash as well, in its recovery; the third does not.
    const next = crashes === 1 && random() < 0.5 ? Math.floor(random() * 20) : Infinity;
    disk.fate = new Fate(next, random);
  }
  const expected = Array.from({ length: total }, (_, n) => `record ${n}`);
  for (const lane of lanes) {
    const where = `${lane}, crash at call ${crashAt}, seed ${seed}`;
    assert.deepEqual(linesOf(disk, lane), expected, where);
    const names = [...disk.texts().keys()].filter((name) => name.startsWith(`/out/${lane}-`));
    const open = names.slice(0, -1).filter((name) => name.endsWith(".open"));
    assert.deepEqual(open, [], `${where}: only the last file is open`);
  }
  return crashes > 0;
}

async function emitAndDrain(
  disk: CrashDisk,
  kv: FatedKv,
  { total, random }: { readonly total: number; readonly random: () => number },
): Promise<void> {
  const { store, drain, clock } = await start(disk, kv);
  await drain.idle();
  for (;;) {
    const names: Record<Lane, string[]> = { alerts: [], summaries: [] };
    for (const lane of lanes) {
      const { next } = store.span(lane);
      const count = Math.min(total - next, Math.floor(random() * 4));
      for (let n = next; n < next + count; n++) names[lane].push(`record ${n}`);
    }
    await emit(store, names);
    drain.wake();
    if (random() < 0.7) await drain.idle();
    if (random() < 0.2) clock.pass(fileAgeMs);
    if (lanes.every((lane) => store.span(lane).next === total)) break;
  }
  await drain.idle();
  const [status] = drain.status;
  assert.deepEqual(status?.incidents, { count: 0, last: undefined });
  assert.equal(status?.trouble, undefined);
  assert.deepEqual(status?.delivered, { alerts: total, summaries: total });
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

// ---- files ----

test("files are numbered, bounded, and closed before the next is begun", async () => {
  const disk = new CrashDisk(unharmed());
  const { store, drain } = await start(disk, new KvMemory());
  for (let n = 0; n < 7; n++) {
    await emit(store, { summaries: [`{"n":${n},"padding":"........"}`] });
    drain.wake();
    await drain.idle();
  }
  const names = [...disk.texts().keys()];
  assert.deepEqual(names, [
    "/out/summaries-00000001.ndjson",
    "/out/summaries-00000002.ndjson",
    "/out/summaries-00000003.ndjson",
    "/out/summaries-00000004.ndjson.open",
  ]);
  for (const text of disk.texts().values()) assert.ok(text.length <= fileBytesMax);
});

test("an open file with records is closed when it is old, without a new record", async () => {
  const disk = new CrashDisk(unharmed());
  const { store, drain, clock } = await start(disk, new KvMemory());
  await emit(store, { alerts: ["a0"] });
  drain.wake();
  await drain.idle();
  clock.pass(fileAgeMs - 1);
  await drain.idle();
  assert.deepEqual([...disk.texts().keys()], ["/out/alerts-00000001.ndjson.open"]);
  clock.pass(1);
  await drain.idle();
  assert.deepEqual([...disk.texts().keys()], ["/out/alerts-00000001.ndjson"]);
  assert.deepEqual(clock.waits, [], "nothing is waited for while no file is open");
  await emit(store, { alerts: ["a1"] });
  drain.wake();
  await drain.idle();
  assert.deepEqual(linesOf(disk, "alerts"), ["a0", "a1"]);
});

// ---- what somebody else does to the files ----

async function delivered(): Promise<{
  readonly disk: CrashDisk;
  readonly half: Half;
  readonly kv: KvMemory;
}> {
  const disk = new CrashDisk(unharmed());
  const kv = new KvMemory();
  const half = await start(disk, kv);
  await emit(half.store, { alerts: ["a0", "a1"] });
  half.drain.wake();
  await half.drain.idle();
  return { disk, half, kv };
}

const openPath = "/out/alerts-00000001.ndjson.open";

test("a file that is gone is reported with what it held, and the next one is begun", async () => {
  const { disk, half, kv } = await delivered();
  await half.drain.close();
  disk.tamper(openPath, () => undefined);
  const { store, drain } = await start(disk, kv);
  await emit(store, { alerts: ["a2"] });
  drain.wake();
  await drain.idle();
  assert.deepEqual([...disk.texts()], [["/out/alerts-00000002.ndjson.open", "a2\n"]]);
  const { incidents } = drain.status[0]!;
  assert.equal(incidents.count, 1);
  assert.match(incidents.last!.what, /alerts-00000001.ndjson.open is gone; it held alerts 0 to 1/);
});

test("an incident is still known after the next start", async () => {
  const { disk, half, kv } = await delivered();
  await half.drain.close();
  disk.tamper(openPath, () => undefined);
  const second = await start(disk, kv);
  await second.drain.idle();
  await second.drain.close();
  const third = await start(disk, kv);
  await third.drain.idle();
  assert.deepEqual(third.drain.status[0]!.incidents, second.drain.status[0]!.incidents);
  assert.equal(third.drain.status[0]!.incidents.count, 1);
});

test("a file that is too short is set aside under another name", async () => {
  const { disk, half, kv } = await delivered();
  await half.drain.close();
  disk.tamper(openPath, (bytes) => bytes.slice(0, 4));
  const { store, drain } = await start(disk, kv);
  await emit(store, { alerts: ["a2"] });
  drain.wake();
  await drain.idle();
  assert.deepEqual(
    [...disk.texts()],
    [
      ["/out/alerts-00000001.ndjson.damaged", "a0\na"],
      ["/out/alerts-00000002.ndjson.open", "a2\n"],
    ],
  );
  assert.match(drain.status[0]!.incidents.last!.what, /has 4 bytes, not 6/);
});

test("a file that is taken away while we write to it is noticed at once", async () => {
  const { disk, half } = await delivered();
  const { store, drain, clock } = half;
  disk.tamper(openPath, () => undefined);
  await emit(store, { alerts: ["a2"] });
  drain.wake();
  await drain.idle();
  assert.equal(drain.status[0]!.state, "waiting");
  clock.pass(60_000);
  await drain.idle();
  assert.equal(drain.status[0]!.state, "running");
  assert.equal(drain.status[0]!.incidents.count, 1);
  assert.deepEqual([...disk.texts()], [["/out/alerts-00000002.ndjson.open", "a2\n"]]);
});

test("a new state store leaves the files of an old one alone, and says so", async () => {
  const { disk, half } = await delivered();
  await half.drain.close();
  const { store, drain } = await start(disk, new KvMemory());
  await emit(store, { alerts: ["b0"] });
  drain.wake();
  await drain.idle();
  assert.deepEqual(
    [...disk.texts()],
    [
      [openPath, "a0\na1\n"],
      ["/out/alerts-00000002.ndjson.open", "b0\n"],
    ],
  );
  assert.match(drain.status[0]!.incidents.last!.what, /of another state store/);
});

test("a disk that fails is tried again, later each time, and nothing is lost", async () => {
  const { disk, half } = await delivered();
  const { store, drain, clock } = half;
  const rename = disk.open.bind(disk);
  let failures = 3;
  disk.open = async (path, options) => {
    if (failures-- > 0) throw failure("ENOSPC");
    return await rename(path, options);
  };
  await emit(store, { summaries: ["s0"] });
  drain.wake();
  await drain.idle();
  const waits: number[] = [];
  while (drain.status[0]!.state === "waiting") {
    assert.match(drain.status[0]!.trouble!, /ENOSPC/);
    drain.wake(); // does not shorten the wait
    const wait = Math.min(...clock.waits.filter((ms) => ms < 60_000));
    waits.push(wait);
    clock.pass(wait);
    await drain.idle();
  }
  assert.deepEqual(waits, [375, 750, 1_500]);
  assert.deepEqual(linesOf(disk, "summaries"), ["s0"]);
  assert.deepEqual(linesOf(disk, "alerts"), ["a0", "a1"]);
  assert.equal(drain.status[0]!.trouble, undefined);
});
