import assert from "node:assert/strict";
import { test } from "node:test";
import { commitRecords } from "../../test/support/commit-records.ts";
import { ManualClock } from "../../test/support/simulated-net.ts";
import type { KvWrite } from "../core/doors.ts";
import { Fault } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import { outboxKey } from "../store/state/kv-key.ts";
import { KvMemory } from "../store/state/kv-memory.ts";
import { byLane, type Lane, type OutputQueue } from "../store/outbox/lane.ts";
import { OutboxWriter } from "../store/outbox/outbox.ts";
import { openStateStore, type StateStore } from "../store/state/state-store.ts";
import { type Drain, openDrain } from "./drain.ts";
import type { Delivery, Incidents, LaneFacts, Receipt, Uplink, UplinkLane } from "./uplink.ts";

/** An uplink to lists in memory: the length of a list is its own truth. */
class ListUplink implements Uplink {
  readonly name: string;
  readonly lanes: Readonly<Record<Lane, ListLane>>;
  readonly freshForMs: number = limits.freshForMs;
  readonly calls: string[] = [];
  /** Thrown by the next deliveries, one each. */
  readonly failures: Error[] = [];
  /** Of deliveries that got there all the same. */
  readonly lostAnswers: Error[] = [];
  /** Deliveries wait for it. */
  gate: Promise<void> = Promise.resolve();

  constructor(name: string, { lingerMs = 0, intents = false } = {}) {
    this.name = name;
    this.lanes = byLane((lane) => new ListLane({ lane, lingerMs, intents, uplink: this }));
  }

  get out(): Readonly<Record<Lane, readonly string[]>> {
    return byLane((lane) => this.lanes[lane].out);
  }
}

type ListLaneOptions = {
  readonly lane: Lane;
  readonly lingerMs: number;
  readonly intents: boolean;
  readonly uplink: ListUplink;
};

class ListLane implements UplinkLane {
  readonly tendMs: number = Infinity;
  readonly lingerMs: number;
  readonly batchBytesMax: number = limits.uplinkBatchBytesMax;
  readonly incidents: Incidents = { count: 0, last: undefined };
  readonly facts: LaneFacts = {};
  readonly held: number = 0;
  readonly out: string[] = [];
  readonly #options: ListLaneOptions;
  #next = 0;
  #delivery: Delivery | undefined;

  constructor(options: ListLaneOptions) {
    this.#options = options;
    this.lingerMs = options.lingerMs;
  }

  open(): Promise<Receipt> {
    this.#say("open");
    return Promise.resolve({ next: this.#next, writes: [] });
  }

  prepare(delivery: Delivery): readonly KvWrite[] {
    this.#delivery = delivery;
    const { intents, uplink, lane } = this.#options;
    if (!intents) return [];
    return [{ key: `uplink/${uplink.name}/${lane}`, value: Uint8Array.of(2) }];
  }

  async deliver(): Promise<Receipt> {
    const { uplink, lane } = this.#options;
    const { first, records } = this.#delivery!;
    await uplink.gate;
    this.#say(`${first}+${records.length}`);
    const failure = uplink.failures.shift();
    if (failure !== undefined) throw failure;
    for (const record of records) this.out.push(new TextDecoder().decode(record));
    this.#next = first + records.length;
    const lost = uplink.lostAnswers.shift();
    if (lost !== undefined) throw lost;
    const key = `uplink/${uplink.name}/${lane}`;
    return { next: this.#next, writes: [{ key, value: Uint8Array.of(1) }] };
  }

  settled(): void {
    this.#say("settled");
  }

  tend(): Promise<Receipt> {
    throw new Error("it never has to");
  }

  close(): Promise<void> {
    this.#say("close");
    return Promise.resolve();
  }

  #say(what: string): void {
    this.#options.uplink.calls.push(`${this.#options.lane} ${what}`);
  }
}

type Rig = {
  readonly kv: KvMemory;
  readonly store: StateStore;
  readonly clock: ManualClock;
  readonly drain: Drain;
};

async function rig(...uplinks: readonly Uplink[]): Promise<Rig> {
  const kv = new KvMemory();
  const clock = new ManualClock();
  const { store } = await openStateStore(kv);
  const drain = openDrain({ store, uplinks, clock, random: { uint32: () => 2 ** 31 } });
  await drain.idle();
  return { kv, store, clock, drain };
}

async function emit(
  store: StateStore,
  lane: OutputQueue,
  ...names: readonly string[]
): Promise<void> {
  const outbox = new OutboxWriter();
  for (const name of names) outbox.add(lane, new TextEncoder().encode(name));
  await commitRecords(store, outbox);
}

test("each lane goes on its own: an alert does not wait for summaries that are under way", async () => {
  const uplink = new ListUplink("a");
  const { store, drain } = await rig(uplink);
  let open: () => void = () => undefined;
  uplink.gate = new Promise((resolve) => {
    open = resolve;
  });
  await emit(store, "summaries", "s0", "s1");
  drain.wake();
  for (let turn = 0; turn < 4; turn++) await store.advance([]);
  uplink.gate = Promise.resolve();
  await emit(store, "alerts", "a0");
  drain.wake();
  while (uplink.out.alerts.length === 0) await store.advance([]);
  assert.deepEqual(uplink.out.summaries, []);
  open();
  await drain.idle();
  assert.deepEqual(uplink.out, { alerts: ["a0"], summaries: ["s0", "s1"], backfill: [], raw: [] });
  assert.deepEqual(store.get("uplink/a/alerts"), Uint8Array.of(1));
});

test("an intent is stored before its records leave, and with it the last receipt", async () => {
  const uplink = new ListUplink("a", { intents: true });
  const { kv, store, drain } = await rig(uplink);
  const large = "x".repeat(limits.uplinkBatchBytesMax);
  await emit(store, "alerts", large);
  await emit(store, "alerts", large);
  const stored: unknown[] = [];
  const commit = kv.commit.bind(kv);
  kv.commit = (writes) => {
    stored.push(
      writes.filter(({ key }) => key.startsWith("uplink/")).map(({ value }) => value?.[0]),
    );
    return commit(writes);
  };
  drain.wake();
  await drain.idle();
  assert.deepEqual(stored, [[2], [1, 2], [1]], "intent; receipt and intent; receipt");
  assert.equal(uplink.out.alerts.length, 2);
  assert.equal(store.status.outbox.alerts.records, 0);
});

test("records wait for others as long as the lane lingers, or until there are many", async () => {
  const uplink = new ListUplink("a", { lingerMs: 1_000 });
  const { store, drain, clock } = await rig(uplink);
  const deliveries = (): readonly string[] => uplink.calls.filter((call) => call.includes("+"));
  await emit(store, "summaries", "s0");
  drain.wake();
  clock.advance(999);
  await emit(store, "summaries", "s1");
  drain.wake();
  assert.deepEqual(deliveries(), []);
  clock.advance(1);
  await drain.idle();
  assert.deepEqual(deliveries(), ["summaries 0+2"]);
  const many = Array.from({ length: limits.lingerRecordsMax }, (_, n) => `s${n}`);
  await emit(store, "summaries", ...many);
  drain.wake();
  while (deliveries().length < 2) await store.advance([]);
  await emit(store, "summaries", "last");
  await drain.idle();
  assert.equal(deliveries().length, 3, "who asks for idle does not wait");
});

test("an uplink is as its worst lane is, and says what is wrong with that one", async () => {
  const uplink = new ListUplink("a");
  const { store, drain } = await rig(uplink);
  uplink.failures.push(Object.assign(new Error("offline"), { code: "ENETDOWN" }));
  await emit(store, "alerts", "a0");
  drain.wake();
  await drain.idle();
  uplink.failures.push(new Fault("IDENTITY_IN_USE", "somebody else is a"));
  await emit(store, "summaries", "s0");
  drain.wake();
  await drain.idle();
  const { state, trouble, lanes } = drain.status[0]!;
  assert.deepEqual([lanes.alerts.state, lanes.alerts.trouble], ["waiting", "offline"]);
  assert.deepEqual([state, trouble], ["halted", "somebody else is a"]);
});

test("a lane that gets through again does not let the other one wait", async () => {
  const uplink = new ListUplink("a");
  const { store, drain, clock } = await rig(uplink);
  const offline = (): Error => Object.assign(new Error("offline"), { code: "ENETDOWN" });
  for (let i = 0; i < 4; i++) uplink.failures.push(offline());
  await emit(store, "alerts", "a0");
  drain.wake();
  await drain.idle();
  for (let i = 0; i < 3; i++) {
    clock.advance(limits.uplinkRetryMsMax);
    await drain.idle();
  }
  uplink.failures.push(offline());
  await emit(store, "summaries", "s0");
  drain.wake();
  await drain.idle();
  assert.deepEqual([uplink.out.alerts, uplink.out.summaries], [[], []], "both wait");
  clock.advance(limits.uplinkRetryMsMin);
  await drain.idle();
  assert.deepEqual([uplink.out.alerts, uplink.out.summaries], [["a0"], ["s0"]]);
});

test("a lane whose identity another agent uses halts: nothing is tried again", async () => {
  const uplink = new ListUplink("a");
  const { store, drain, clock } = await rig(uplink);
  uplink.failures.push(new Fault("IDENTITY_IN_USE", "somebody else is a"));
  await emit(store, "alerts", "a0");
  drain.wake();
  await drain.idle();
  const before = uplink.calls.length;
  clock.advance(3_600_000);
  drain.wake();
  await drain.idle();
  assert.equal(uplink.calls.length, before);
  const { state, trouble, lanes } = drain.status[0]!;
  assert.deepEqual(
    [state, trouble, lanes.summaries.state],
    ["halted", "somebody else is a", "running"],
  );
  assert.equal(store.status.outbox.alerts.records, 1);
});

test("a block leaves the outbox when every uplink has it, and one that is slow holds nobody up", async () => {
  const fast = new ListUplink("fast");
  const slow = new ListUplink("slow");
  const { store, drain } = await rig(fast, slow);
  let open: () => void = () => undefined;
  slow.gate = new Promise((resolve) => {
    open = resolve;
  });
  await emit(store, "alerts", "a0");
  await emit(store, "alerts", "a1");
  drain.wake();
  while (fast.out.alerts.length < 2) await store.advance([]);
  assert.equal(store.status.outbox.alerts.records, 2);
  assert.equal(slow.out.alerts.length, 0);
  open();
  await drain.idle();
  assert.deepEqual(slow.out.alerts, ["a0", "a1"]);
  assert.equal(store.status.outbox.alerts.records, 0);
});

test("after a failure it waits, twice as long each time up to a bound, and opens again", async () => {
  const uplink = new ListUplink("a");
  const { store, drain, clock } = await rig(uplink);
  for (let i = 0; i < 12; i++) {
    uplink.failures.push(Object.assign(new Error(`offline ${i}`), { code: "ENETDOWN" }));
  }
  await emit(store, "alerts", "a0");
  drain.wake();
  await drain.idle();
  for (let i = 0; i < 12; i++) {
    assert.equal(drain.status[0]!.trouble, `offline ${i}`);
    const longest = Math.min(limits.uplinkRetryMsMin * 2 ** i, limits.uplinkRetryMsMax);
    const wait = longest * 0.75; // the middle of the jitter, as this rig's Random is
    clock.advance(wait - 1);
    drain.wake();
    await drain.idle();
    assert.equal(uplink.failures.length, 11 - i, "neither time nor a wake made it try early");
    clock.advance(1);
    await drain.idle();
  }
  assert.deepEqual(uplink.out.alerts, ["a0"]);
  assert.deepEqual(uplink.calls.slice(-3), ["alerts settled", "alerts 0+1", "alerts settled"]);
  assert.equal(uplink.calls.filter((call) => call === "alerts open").length, 13);
});

test("what got out there without an answer counts as delivered, and once", async () => {
  const uplink = new ListUplink("a");
  const { store, drain, clock } = await rig(uplink);
  uplink.lostAnswers.push(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" }));
  await emit(store, "alerts", "a0", "a1");
  drain.wake();
  await drain.idle();
  assert.equal(drain.status[0]?.lanes.alerts.delivered, 0);
  clock.advance(limits.uplinkRetryMsMax);
  await drain.idle();
  assert.deepEqual(uplink.out.alerts, ["a0", "a1"]);
  assert.equal(drain.status[0]?.lanes.alerts.delivered, 2);
});

test("records that the outbox cannot read are counted, and the next ones go on", async () => {
  const uplink = new ListUplink("a");
  const { kv, store, drain } = await rig(uplink);
  await emit(store, "alerts", "a0");
  await emit(store, "alerts", "a1", "a2");
  await emit(store, "alerts", "a3");
  await kv.commit([{ key: outboxKey("alerts", 2), value: Uint8Array.of(1, 2, 3) }]);
  drain.wake();
  await drain.idle();
  assert.deepEqual(uplink.out.alerts, ["a0", "a3"]);
  assert.ok(uplink.calls.includes("alerts 3+1"), "the uplink is told the number");
  assert.equal(drain.status[0]!.lanes.alerts.missing, 2);
  assert.equal(store.status.outbox.alerts.records, 0);
});

for (const bug of [
  new TypeError("a bug"),
  Object.assign(new Error("a bug"), { code: "ERR_INVALID_ARG_TYPE" }),
]) {
  test(`a bug in an uplink is not retried but comes out: ${bug.name}`, async () => {
    const uplink = new ListUplink("a");
    const { store, drain } = await rig(uplink);
    uplink.failures.push(bug);
    await emit(store, "alerts", "a0");
    drain.wake();
    await assert.rejects(drain.idle(), bug);
  });
}

test("closing waits for the delivery that is under way and begins no other", async () => {
  const uplink = new ListUplink("a");
  const { store, drain } = await rig(uplink);
  let open: () => void = () => undefined;
  uplink.gate = new Promise((resolve) => {
    open = resolve;
  });
  await emit(store, "alerts", "a0");
  drain.wake();
  await store.advance([]);
  const closed = drain.close();
  await emit(store, "alerts", "a1");
  await emit(store, "summaries", "s0");
  open();
  await closed;
  assert.deepEqual(uplink.out, { alerts: ["a0"], summaries: [], backfill: [], raw: [] });
  assert.equal(uplink.calls.at(-1), "alerts close");
  assert.equal(store.status.outbox.alerts.records, 1, "the receipt of a0 was stored");
  drain.wake();
  await drain.idle();
  assert.equal(drain.status[0]!.state, "closed");
});

test("raw readings open nothing before there are some, and go when nothing else is ready", async () => {
  const uplink = new ListUplink("a");
  const { store, drain } = await rig(uplink);
  const raw = (text: string): Promise<boolean> =>
    store.addRaw([new TextEncoder().encode(text)], []);
  assert.equal(drain.status[0]?.lanes.raw.state, "idle");
  await emit(store, "alerts", "a0");
  drain.wake();
  await drain.idle();
  assert.deepEqual(
    uplink.calls.filter((call) => call.startsWith("raw")),
    [],
  );
  const slow = Promise.withResolvers<void>();
  const slower = Promise.withResolvers<void>();
  uplink.gate = slow.promise;
  for (const text of ["r0", "r1"]) assert.equal(await raw(text), true);
  // A block each, so two deliveries.
  Object.assign(uplink.lanes.raw, { batchBytesMax: 1 });
  drain.wake();
  for (let turn = 0; turn < 8; turn++) await store.advance([]);
  uplink.gate = slower.promise;
  await emit(store, "alerts", "a1");
  await emit(store, "summaries", "s0");
  drain.wake();
  for (let turn = 0; turn < 8; turn++) await store.advance([]);
  uplink.gate = Promise.resolve();
  slow.resolve();
  for (let turn = 0; turn < 8; turn++) await store.advance([]);
  assert.deepEqual(uplink.out.raw, ["r0"]);
  slower.resolve();
  await drain.idle();
  while (uplink.out.raw.length < 2) await drain.idle();
  assert.deepEqual(uplink.out.raw, ["r0", "r1"]);
  const at = (call: string): number => uplink.calls.indexOf(call);
  assert.ok(at("raw 0+1") < at("alerts 1+1"), "it was under way when the alert came");
  assert.ok(at("alerts 1+1") < at("raw 1+1"), uplink.calls.join(", "));
  assert.ok(at("summaries 0+1") < at("raw 1+1"), uplink.calls.join(", "));
  assert.equal(store.status.outbox.raw.records, 0);
});

test("raw readings that are out give their room back, also where that could not be stored at once", async () => {
  const uplink = new ListUplink("a");
  const { kv, store, drain, clock } = await rig(uplink);
  assert.equal(await store.addRaw([new TextEncoder().encode("r0")], []), true);
  const commit = kv.commit.bind(kv);
  kv.commit = async (writes) => {
    if (uplink.out.raw.length > 0) throw new Fault("DISK_FULL", "the disk is full");
    await commit(writes);
  };
  drain.wake();
  await drain.idle();
  assert.equal(drain.status[0]?.lanes.raw.trouble, "the disk is full");
  kv.commit = commit;
  clock.advance(limits.uplinkRetryMsMax);
  await drain.idle();
  assert.deepEqual(uplink.out.raw, ["r0"]);
  assert.equal(store.status.outbox.raw.records, 0);
  assert.equal(drain.status[0]?.lanes.raw.trouble, undefined);
});
