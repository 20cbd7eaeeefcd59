import assert from "node:assert/strict";
import { test } from "node:test";
import { commitRecords } from "../../test/support/commit-records.ts";
import { ManualClock } from "../../test/support/simulated-net.ts";
import type { KvWrite } from "../core/doors.ts";
import { limits } from "../core/limits.ts";
import { millis } from "../core/units.ts";
import { byLane, type Lane } from "../store/outbox/lane.ts";
import { OutboxWriter } from "../store/outbox/outbox.ts";
import { decodeRecord, encodeSummary } from "../store/outbox/record-codec.ts";
import { uplinkKey } from "../store/state/kv-key.ts";
import { KvMemory } from "../store/state/kv-memory.ts";
import { decodeJson, encodeJson, wholeOf } from "../store/state/stored-json.ts";
import { openStateStore, type StateStore } from "../store/state/state-store.ts";
import { type Drain, openDrain } from "./drain.ts";
import type { Delivery, Incidents, LaneFacts, Receipt, Uplink, UplinkLane } from "./uplink.ts";

const windowMs = 10_000;

/** An uplink over a link that may be away, and holds what it is told to hold. */
class AwayUplink implements Uplink {
  readonly name: string = "far";
  readonly freshForMs: number = limits.freshForMs;
  readonly lanes: Readonly<Record<Lane, UplinkLane>>;
  /** What arrived, in order: `<lane> <number of the window>/<revision>`. */
  readonly there: string[] = [];
  isAway = true;
  /** Deliveries wait for it. */
  gate: Promise<void> = Promise.resolve();
  opened: Lane[] = [];

  constructor(store: StateStore) {
    this.lanes = byLane((lane) => new AwayLane(this, lane, store));
  }
}

class AwayLane implements UplinkLane {
  readonly tendMs: number = Infinity;
  readonly lingerMs: number = 0;
  readonly batchBytesMax: number = 2_000;
  readonly incidents: Incidents = { count: 0, last: undefined };
  readonly facts: LaneFacts = {};
  readonly #uplink: AwayUplink;
  readonly #lane: Lane;
  readonly #store: StateStore;
  #delivery: Delivery | undefined;

  constructor(uplink: AwayUplink, lane: Lane, store: StateStore) {
    this.#uplink = uplink;
    this.#lane = lane;
    this.#store = store;
  }

  get held(): number {
    const stored = this.#store.get(this.#key);
    return stored === undefined ? 0 : wholeOf(decodeJson(stored, "it"), "next");
  }

  async open(): Promise<Receipt> {
    await this.#reach();
    this.#uplink.opened.push(this.#lane);
    return this.#receipt(this.held);
  }

  prepare(delivery: Delivery): readonly KvWrite[] {
    this.#delivery = delivery;
    return [];
  }

  async deliver(): Promise<Receipt> {
    await this.#reach();
    await this.#uplink.gate;
    const { first, records, lost } = this.#delivery!;
    assert.deepEqual(lost, []);
    for (const bytes of records) {
      const { record } = decodeRecord(bytes, "a record");
      if (record.kind !== "summary") continue;
      this.#uplink.there.push(`${this.#lane} ${record.start / windowMs}/${record.revision}`);
    }
    return this.#receipt(first + records.length);
  }

  settled(): void {}

  tend(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  get #key(): string {
    return uplinkKey("far", this.#lane);
  }

  #receipt(next: number): Receipt {
    return { next, writes: [{ key: this.#key, value: encodeJson({ next }) }] };
  }

  async #reach(): Promise<void> {
    await Promise.resolve();
    if (!this.#uplink.isAway) return;
    throw Object.assign(new Error("no route"), { code: "ENETUNREACH" });
  }
}

type Rig = {
  readonly kv: KvMemory;
  readonly store: StateStore;
  readonly clock: ManualClock;
  readonly uplink: AwayUplink;
  readonly drain: Drain;
};

async function rig(image?: ReturnType<KvMemory["image"]>): Promise<Rig> {
  const kv = new KvMemory(image === undefined ? {} : { image });
  const clock = new ManualClock();
  const { store } = await openStateStore(kv);
  const uplink = new AwayUplink(store);
  const drain = openDrain({ store, uplinks: [uplink], clock, random: { uint32: () => 0 } });
  await drain.idle();
  return { kv, store, clock, uplink, drain };
}

async function emit({ store, drain }: Rig, ...windows: readonly (readonly [number, number])[]) {
  const outbox = new OutboxWriter();
  for (const [window, revision] of windows) {
    const bytes = encodeSummary("gw1", {
      kind: "summary",
      pipeline: "temp",
      key: [["device", "p1"]],
      start: millis(window * windowMs),
      end: millis((window + 1) * windowMs),
      revision,
      count: 1,
      fields: {},
      arrivalTimed: 0,
    });
    outbox.add("summaries", bytes);
  }
  await commitRecords(store, outbox);
  drain.wake();
}

/** An outage in which each of so many windows is a commit. */
async function outage(made: Rig, windows: number, from = 0): Promise<void> {
  made.uplink.isAway = true;
  for (let window = from; window < from + windows; window++) {
    await emit(made, [window, 0]);
    await made.drain.idle();
  }
}

async function reconnect({ uplink, clock, drain }: Rig): Promise<void> {
  uplink.isAway = false;
  clock.advance(limits.uplinkRetryMsMax);
  await drain.idle();
}

const freshWindows = limits.freshForMs / windowMs;

test("after an outage what is fresh comes first, then what is behind, each once", async () => {
  const made = await rig();
  await outage(made, 1_000);
  const [status] = made.drain.status;
  assert.ok(status!.lanes.backfill.behind > 900);
  assert.ok(status!.lanes.summaries.behind <= freshWindows * (1 + 1 / 8) + 2);
  assert.equal(status!.lanes.backfill.oldest, windowMs);
  await reconnect(made);
  const { there } = made.uplink;
  assert.match(there[0]!, /^summaries (9[67]\d)\/0$/);
  const lanes = there.map((line) => line.split(" ")[0]);
  assert.ok(lanes.lastIndexOf("summaries") < lanes.indexOf("backfill"), "one after the other");
  const windows = there.map((line) => Number(/\d+/.exec(line)?.[0])).toSorted((a, b) => a - b);
  assert.deepEqual(
    windows,
    Array.from({ length: 1_000 }, (_, window) => window),
  );
  assert.equal(made.store.status.outbox.summaries.records, 0);
  assert.equal(made.store.status.outbox.summaries.bytes, 0);
});

test("backfill begins nothing while something fresh is ready, and opens nothing while it is away", async () => {
  const made = await rig();
  await outage(made, 300);
  assert.ok(!made.uplink.opened.includes("backfill"));
  const gate = Promise.withResolvers<void>();
  made.uplink.isAway = false;
  made.clock.advance(limits.uplinkRetryMsMax);
  while (!made.uplink.there.some((line) => line.startsWith("backfill")))
    await made.store.advance([]);
  made.uplink.gate = gate.promise;
  for (let turn = 0; turn < 20; turn++) await made.store.advance([]);
  const before = made.uplink.there.length;
  await emit(made, [300, 0]);
  gate.resolve();
  await made.drain.idle();
  const after = made.uplink.there.slice(before);
  const fresh = after.findIndex((line) => line === "summaries 300/0");
  const batch = after.findIndex((line) => !line.startsWith("backfill"));
  assert.equal(fresh, batch, "it is the next");
  assert.ok(fresh < 20, `${fresh} records of one delivery before it`);
});

test("a correction of what is behind follows it, and one of what is fresh does not wait", async () => {
  const made = await rig();
  await outage(made, 200);
  made.uplink.isAway = false;
  await emit(made, [3, 1], [199, 1], [4, 1], [200, 0]);
  await reconnect(made);
  const { there } = made.uplink;
  const fresh = there.filter((line) => line.startsWith("summaries"));
  assert.deepEqual(fresh.slice(-2), ["summaries 199/1", "summaries 200/0"]);
  for (const window of [3, 4]) {
    const revisions = there.filter((line) => line.includes(` ${window}/`));
    assert.deepEqual(revisions, [`backfill ${window}/0`, `backfill ${window}/1`]);
  }
});

test("what is behind is behind after a restart, and an uplink that is never away has no split", async () => {
  const before = await rig();
  await outage(before, 400);
  const made = await rig(before.kv.image());
  assert.ok(made.drain.status[0]!.lanes.backfill.behind > 300);
  await emit(made, [400, 0]);
  await reconnect(made);
  assert.equal(made.uplink.there.length, 401);
  assert.equal(new Set(made.uplink.there).size, 401);
  const steady = await rig();
  await reconnect(steady);
  for (let window = 0; window < 400; window++) {
    await emit(steady, [window, 0]);
    await steady.drain.idle();
  }
  assert.deepEqual(steady.uplink.opened.includes("backfill"), false);
  assert.equal(steady.drain.status[0]!.lanes.backfill.state, "idle");
  assert.equal(steady.drain.status[0]!.state, "running");
  assert.equal(steady.kv.get("format"), undefined);
});
