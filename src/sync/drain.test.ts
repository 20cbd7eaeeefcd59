import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/simulated-net.ts";
import type { KvWrite } from "../core/doors.ts";
import { limits } from "../core/limits.ts";
import { position } from "../core/units.ts";
import { outboxKey } from "../store/kv-key.ts";
import { KvMemory } from "../store/kv-memory.ts";
import { type Lane, OutboxWriter } from "../store/outbox.ts";
import { openStateStore, type StateStore } from "../store/state-store.ts";
import { type Drain, openDrain } from "./drain.ts";
import type { Delivery, Incidents, Receipt, Uplink } from "./uplink.ts";

/** An uplink to a list in memory: the list's length is its own truth. */
class ListUplink implements Uplink {
  readonly name: string;
  readonly tendMs: number = Infinity;
  readonly incidents: Incidents = { count: 0, last: undefined };
  readonly out: Record<Lane, string[]> = { alerts: [], summaries: [] };
  readonly calls: string[] = [];
  /** Thrown by the next deliveries, one each. */
  readonly failures: Error[] = [];
  /** Deliveries wait for it. */
  gate: Promise<void> = Promise.resolve();
  #next: Record<Lane, number> = { alerts: 0, summaries: 0 };

  constructor(name: string) {
    this.name = name;
  }

  open(): Promise<readonly Receipt[]> {
    this.calls.push("open");
    const { alerts, summaries } = this.#next;
    return Promise.resolve([
      { lane: "alerts", next: alerts, writes: [] },
      { lane: "summaries", next: summaries, writes: [] },
    ]);
  }

  async deliver({ lane, first, records }: Delivery): Promise<Receipt> {
    await this.gate;
    this.calls.push(`${lane} ${first}+${records.length}`);
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    for (const record of records) this.out[lane].push(new TextDecoder().decode(record));
    this.#next[lane] = first + records.length;
    const writes: KvWrite[] = [{ key: `uplink/${this.name}/${lane}`, value: Uint8Array.of(1) }];
    return { lane, next: this.#next[lane], writes };
  }

  settled(): void {
    this.calls.push("settled");
  }

  tend(): Promise<readonly Receipt[]> {
    return Promise.resolve([]);
  }

  close(): Promise<void> {
    this.calls.push("close");
    return Promise.resolve();
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

async function emit(store: StateStore, lane: Lane, ...names: readonly string[]): Promise<void> {
  const outbox = new OutboxWriter();
  for (const name of names) outbox.add(lane, new TextEncoder().encode(name));
  const nothing = { ledger: new Uint8Array(), definitions: [], deadLetters: [] };
  await store.commit({ through: position(1), outbox, ...nothing });
}

test("alerts go before summaries that have waited longer", async () => {
  const uplink = new ListUplink("a");
  const { store, drain } = await rig(uplink);
  await emit(store, "summaries", "s0", "s1");
  await emit(store, "alerts", "a0");
  drain.wake();
  await drain.idle();
  const deliveries = uplink.calls.filter((call) => call.includes("+"));
  assert.deepEqual(deliveries, ["alerts 0+1", "summaries 0+2"]);
  assert.deepEqual(store.get("uplink/a/alerts"), Uint8Array.of(1));
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
  assert.deepEqual(uplink.calls.slice(-4), ["settled", "settled", "alerts 0+1", "settled"]);
  assert.equal(uplink.calls.filter((call) => call === "open").length, 13);
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
  assert.equal(drain.status[0]!.missing, 2);
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
  await emit(store, "summaries", "s0");
  drain.wake();
  await store.advance([]);
  const closed = drain.close();
  open();
  await closed;
  assert.deepEqual(uplink.out, { alerts: ["a0"], summaries: [] });
  assert.equal(uplink.calls.at(-1), "close");
  assert.equal(store.status.outbox.alerts.records, 0, "its receipt was stored");
  drain.wake();
  await drain.idle();
  assert.equal(drain.status[0]!.state, "closed");
});
