/** A pump that is paused, or goes over links: what it waits for, and what it sends over which. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { commitRecords } from "../../test/support/commit-records.ts";
import { SimulatedClock } from "../../test/support/simulated-clock.ts";
import { Fault } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import { KvMemory } from "../store/state/kv-memory.ts";
import { byLane, type Lane, lanes, type OutputQueue, outputQueues } from "../store/outbox/lane.ts";
import { OutboxWriter } from "../store/outbox/outbox.ts";
import { openStateStore, type StateStore } from "../store/state/state-store.ts";
import { type Drain, drained, openDrain } from "./drain.ts";
import { Link } from "./link/link.ts";
import type { LinkPolicy } from "./link/policy.ts";
import { Via } from "./link/via.ts";
import type { Delivery, Receipt, UplinkLane } from "./uplink.ts";

const start = Date.parse("2026-11-27T12:00:00Z");
const free = {
  bandwidth: undefined,
  shares: {},
  quota: undefined,
  windows: [],
  alerts: "always",
  timezone: "UTC",
  metered: undefined,
  localAddress: undefined,
  failMs: 60_000,
  retryMs: 600_000,
} as const;

/** A lane that sends its records over the wire of the link that it was opened over. */
class WiredLane implements UplinkLane {
  readonly lingerMs: number = 0;
  readonly tendMs: number = Infinity;
  readonly batchBytesMax: number = limits.uplinkBatchBytesMax;
  readonly incidents = { count: 0, last: undefined };
  readonly facts = {};
  readonly held: number = 0;
  readonly #lane: Lane;
  readonly #rig: Rig;
  #next = 0;
  #delivery: Delivery | undefined;
  #over = "";

  constructor(lane: Lane, rig: Rig) {
    this.#lane = lane;
    this.#rig = rig;
  }

  async open(): Promise<Receipt> {
    this.#over = this.#rig.via?.linkOf(this.#lane).name ?? "";
    this.#rig.said.push(`open ${this.#lane} over ${this.#over}`);
    await this.#rig.opening.get(this.#lane);
    return { next: this.#next, writes: [] };
  }

  prepare(delivery: Delivery): readonly [] {
    this.#delivery = delivery;
    return [];
  }

  async deliver(): Promise<Receipt> {
    const { first, records } = this.#delivery!;
    if (this.#rig.down.has(this.#over)) throw new Fault("UPLINK_UNREACHABLE", "no answer");
    const bytes = records.reduce((sum, record) => sum + record.length, 0);
    await this.#rig.delivering;
    if (this.#over !== "") await sendAll(this.#rig.linkOf(this.#over), this.#lane, bytes);
    this.#rig.deliveries.push({ lane: this.#lane, over: this.#over, bytes, count: records.length });
    this.#next = first + records.length;
    return { next: this.#next, writes: [] };
  }

  settled(): void {}
  tend(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function sendAll(link: Link, lane: Lane, bytes: number): Promise<void> {
  const wire = link.wire(lane);
  for (let left = bytes; left > 0; left -= wire.pieceBytesMax) {
    await new Promise<void>((resolve) => {
      wire.send(Math.min(left, wire.pieceBytesMax), resolve);
    });
  }
}

type Sent = {
  readonly lane: Lane;
  readonly over: string;
  readonly bytes: number;
  readonly count: number;
};

class Rig {
  readonly clock: SimulatedClock = new SimulatedClock(start);
  readonly said: string[] = [];
  readonly deliveries: Sent[] = [];
  readonly down: Set<string> = new Set();
  /** What sessions of a lane wait for while they open. */
  readonly opening: Map<Lane, Promise<void>> = new Map();
  /** What deliveries wait for while they are under way. */
  delivering: Promise<void> | undefined;
  readonly via: Via | undefined;
  readonly store: StateStore;
  readonly drain: Drain;
  readonly #links: readonly Link[];

  /** Without policies it goes over no links. */
  constructor(store: StateStore, policies: readonly (Partial<LinkPolicy> & { name: string })[]) {
    this.store = store;
    const { clock } = this;
    this.#links = policies.map(
      (policy) =>
        new Link({
          policy: { ...free, ...policy },
          clock,
          trustedNow: () => clock.now(),
          get: (key) => store.get(key),
          store: (writes) => store.advance(writes),
        }),
    );
    this.via =
      policies.length === 0 ? undefined : new Via({ links: this.#links, clock, isShared: false });
    const uplink = {
      name: "up",
      via: this.via,
      freshForMs: Infinity,
      lanes: byLane((lane) => new WiredLane(lane, this)),
    };
    this.drain = openDrain({ store, uplinks: [uplink], clock, random: { uint32: () => 0 } });
  }

  linkOf(name: string): Link {
    return this.#links.find((link) => link.name === name)!;
  }

  async emit(lane: OutputQueue, count: number, bytes: number): Promise<void> {
    const outbox = new OutboxWriter();
    // Not to be compressed: what waits is what was written.
    for (let n = 0; n < count; n++) outbox.add(lane, noise(bytes, n));
    await commitRecords(this.store, outbox);
    this.drain.wake();
  }

  sent(lane: Lane): number {
    return this.deliveries
      .filter((each) => each.lane === lane)
      .reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

function noise(length: number, seed: number): Uint8Array {
  let word = seed * 2_654_435_761 + 1;
  return Uint8Array.from({ length }, () => {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    return word & 0xff;
  });
}

async function rig(...policies: readonly (Partial<LinkPolicy> & { name: string })[]): Promise<Rig> {
  return await rigOn(new KvMemory(), ...policies);
}

async function rigOn(
  kv: KvMemory,
  ...policies: readonly (Partial<LinkPolicy> & { name: string })[]
): Promise<Rig> {
  const { store } = await openStateStore(kv);
  const made = new Rig(store, policies);
  await made.clock.pass(10);
  return made;
}

const windows = [{ from: 22 * 60, to: 6 * 60, days: [0, 1, 2, 3, 4, 5, 6] }];

test("outside its hours no session is opened but for alerts, and what waited goes when they begin", async () => {
  const made = await rig({ name: "lte", windows });
  await made.emit("summaries", 3, 100);
  await made.emit("alerts", 1, 100);
  await made.clock.pass(3_600_000);
  assert.deepEqual(made.said, ["open alerts over lte"]);
  assert.equal(made.drain.status[0]!.lanes.summaries.held, "outside-hours");
  await made.clock.pass(10 * 3_600_000);
  assert.equal(made.sent("summaries"), 300);
  assert.equal(made.drain.status[0]!.lanes.summaries.held, undefined);
  await made.clock.pass(8 * 3_600_000);
  await made.emit("summaries", 1, 100);
  await made.clock.pass(60_000);
  assert.equal(made.sent("summaries"), 300, "a session that is open delivers nothing either");
});

test("a metered link opens a session when there is enough, and sends all that waits", async () => {
  const metered = { minBatchBytes: 10_000, maxDelayMs: 900_000 };
  const made = await rig({ name: "sat", metered });
  await made.emit("summaries", 5, 1_000);
  await made.clock.pass(600_000);
  assert.ok(!made.said.includes("open summaries over sat"));
  await made.emit("summaries", 6, 1_000);
  await made.clock.pass(1_000);
  assert.equal(made.sent("summaries"), 11_000);
  await made.emit("summaries", 1, 1_000);
  await made.clock.pass(899_000);
  assert.equal(made.sent("summaries"), 11_000);
  await made.clock.pass(1_100);
  assert.equal(made.sent("summaries"), 12_000, "or when it waited for long enough");
});

test("a backlog uses the bandwidth, in deliveries of seconds, and an alert passes it", async () => {
  const made = await rig({ name: "lte", bandwidth: 8_000 });
  await made.emit("summaries", 1_000, 1_000);
  await made.clock.pass(60_000);
  const link = made.linkOf("lte");
  const { sentBytes } = link.status;
  assert.ok(sentBytes >= 0.9 * 8_000 * 60 && sentBytes <= 8_000 * 60, `${sentBytes}`);
  const largest = Math.max(...made.deliveries.map(({ bytes }) => bytes));
  assert.equal(largest, (8_000 * limits.linkBatchMs) / 1_000);
  await made.emit("alerts", 2, 500);
  await made.clock.pass(500);
  assert.equal(made.sent("alerts"), 1_000);
});

test("at the end of its quota summaries wait, and what was begun was no more than was left", async () => {
  const quota = { bytes: 1_000_000, per: "day", reserveBytes: 100_000 } as const;
  const made = await rig({ name: "lte", quota });
  await made.emit("summaries", 2_000, 1_000);
  await made.clock.pass(10_000);
  const used = made.linkOf("lte").status.quota!.usedBytes;
  assert.ok(used <= 900_000 && used > 900_000 - limits.linkBatchBytesMin, `${used}`);
  assert.equal(made.drain.status[0]!.lanes.summaries.held, "quota-used");
  await made.emit("alerts", 10, 1_000);
  await made.clock.pass(1_000);
  assert.equal(made.sent("alerts"), 10_000);
  await made.clock.pass(12 * 3_600_000);
  assert.ok(made.sent("summaries") > 1_700_000, "the next day has its own");
});

test("over a link that fails the next is used after a while, and the first again when it delivers", async () => {
  const made = await rig({ name: "lte" }, { name: "sat" });
  made.down.add("lte");
  await made.emit("summaries", 1, 100);
  await made.clock.pass(50_000);
  assert.deepEqual(made.deliveries, []);
  await made.clock.pass(100_000);
  assert.deepEqual(
    made.deliveries.map(({ over }) => over),
    ["sat"],
  );
  assert.equal(made.drain.status[0]!.lanes.summaries.link, "sat");
  await made.clock.pass(600_000);
  await made.emit("summaries", 1, 100);
  await made.clock.pass(2_000);
  assert.deepEqual(
    made.deliveries.map(({ over }) => over),
    ["sat", "sat"],
    "one trial failed",
  );
  made.down.clear();
  await made.clock.pass(600_000);
  await made.emit("summaries", 1, 100);
  await made.clock.pass(2_000);
  assert.deepEqual(
    made.deliveries.map(({ over }) => over),
    ["sat", "sat", "lte"],
  );
});

test("a link without quota is passed over by summaries, while alerts stay with it", async () => {
  const quota = { bytes: 1_000_000, per: "day", reserveBytes: 999_000 } as const;
  const made = await rig({ name: "lte", quota }, { name: "sat" });
  await made.emit("summaries", 1, 100);
  await made.emit("alerts", 1, 100);
  await made.clock.pass(1_000);
  assert.deepEqual(made.deliveries.map(({ lane, over }) => `${lane} ${over}`).toSorted(), [
    "alerts lte",
    "summaries sat",
  ]);
});

test("a lane that had to open over another link asks again whether others go first", async () => {
  const hours = [{ from: 0, to: 12 * 60 + 1, days: [0, 1, 2, 3, 4, 5, 6] }];
  const made = await rig({ name: "lte", windows: hours, bandwidth: 1_000 }, { name: "sat" });
  const open = Promise.withResolvers<void>();
  const readings = Array.from({ length: 100 }, (_, n) => noise(1_000, n));
  assert.ok(await made.store.addRaw(readings, []));
  made.drain.wake();
  await made.clock.pass(30_000);
  assert.ok(made.sent("raw") > 0, "it is under way");
  made.opening.set("raw", open.promise);
  await made.clock.pass(40_000);
  assert.equal(made.said.at(-1), "open raw over sat");
  const before = made.deliveries.length;
  await made.emit("alerts", 1, 5_000);
  await made.clock.pass(1_000);
  open.resolve();
  await made.clock.pass(20_000);
  assert.deepEqual(
    made.deliveries.slice(before, before + 2).map(({ lane, over }) => `${lane} ${over}`),
    ["alerts lte", "raw sat"],
  );
});

test("closing does not wait for a link", async () => {
  const made = await rig({ name: "lte", windows, alerts: "windows" });
  for (const lane of outputQueues) await made.emit(lane, 1, 100);
  await made.clock.pass(1_000);
  await made.drain.idle();
  await made.drain.close();
  await made.clock.pass(24 * 3_600_000);
  assert.deepEqual(made.said, []);
});

// ---- pauses ----

/** With each lane's own reason. */
function heldOf(made: Rig): readonly unknown[] {
  return lanes.map((lane) => made.drain.status[0]!.lanes[lane].held);
}

for (const policies of [[], [{ name: "lte" }]]) {
  const where = policies.length === 0 ? "without a link" : "over a link";
  test(`${where} nothing is sent while the uplink is paused, alerts neither, and all of it when it is resumed`, async () => {
    const made = await rig(...policies);
    await made.emit("summaries", 1, 100);
    await made.clock.pass(1_000);
    assert.equal(made.sent("summaries"), 100);
    await made.drain.pause(["up"], undefined);
    await made.emit("summaries", 2, 100);
    await made.emit("alerts", 3, 100);
    assert.ok(await made.store.addRaw([noise(100, 1)], []));
    made.drain.wake();
    await made.clock.pass(24 * 3_600_000);
    assert.equal(made.deliveries.length, 1);
    assert.deepEqual(heldOf(made), ["paused", "paused", "paused", "paused"]);
    assert.equal(made.drain.status[0]!.paused?.leftMs, undefined);
    await made.drain.resume(["up"]);
    await made.clock.pass(1_000);
    assert.deepEqual(
      [made.sent("summaries"), made.sent("alerts"), made.sent("raw")],
      [300, 300, 100],
    );
    assert.deepEqual(heldOf(made), [undefined, undefined, undefined, undefined]);
  });
}

test("a pause ends by itself, to the second", async () => {
  const made = await rig();
  await made.drain.pause(["up"], 15 * 60_000);
  await made.emit("alerts", 1, 100);
  await made.clock.pass(15 * 60_000 - 1_000);
  assert.equal(made.deliveries.length, 0);
  await made.clock.pass(1_000);
  assert.equal(made.sent("alerts"), 100);
  assert.equal(made.drain.status[0]!.paused, undefined);
});

test("what is under way when the pause comes is brought to its end, and nothing begins after it", async () => {
  const made = await rig();
  await made.emit("summaries", 1, 100);
  await made.clock.pass(10);
  const under = Promise.withResolvers<void>();
  made.delivering = under.promise;
  await made.emit("summaries", 1, 100);
  await made.clock.pass(1_000);
  assert.equal(made.deliveries.length, 1);
  await made.drain.pause(["up"], undefined);
  await made.emit("summaries", 4, 100);
  await made.clock.pass(1_000);
  under.resolve();
  await made.clock.pass(60_000);
  assert.equal(made.sent("summaries"), 200);
  assert.equal(made.drain.status[0]!.lanes.summaries.behind, 4, "it counts as sent");
});

test("a failed uplink that is paused is not tried again before it is resumed", async () => {
  const made = await rig({ name: "lte" });
  made.down.add("lte");
  await made.emit("summaries", 1, 100);
  await made.clock.pass(10_000);
  await made.drain.pause(["up"], undefined);
  await made.clock.pass(120_000);
  const { failures } = made.drain.status[0]!.lanes.summaries;
  assert.ok(failures > 0);
  await made.clock.pass(3_600_000);
  assert.equal(made.drain.status[0]!.lanes.summaries.failures, failures);
  made.down.clear();
  await made.drain.resume(["up"]);
  await made.clock.pass(1_000);
  assert.equal(made.sent("summaries"), 100);
});

test("closing does not wait for an uplink that is paused, and the next process has it paused", async () => {
  const kv = new KvMemory();
  const made = await rigOn(kv);
  await made.drain.pause(["up"], undefined);
  for (const lane of outputQueues) await made.emit(lane, 1, 100);
  await made.clock.pass(1_000);
  // No time passes: it would wait for ever.
  await drained(made.drain, made.clock);
  await made.drain.close();
  assert.deepEqual(made.deliveries, []);
  const next = await rigOn(kv);
  await next.clock.pass(3_600_000);
  assert.deepEqual(next.said, [], "no session is opened either");
  const { state, lanes: each } = next.drain.status[0]!;
  assert.deepEqual([state, each.alerts.held, each.raw.state], ["opening", "paused", "idle"]);
  await next.drain.resume(["up"]);
  await next.clock.pass(1_000);
  assert.deepEqual([next.sent("alerts"), next.sent("summaries")], [100, 100]);
});

test("a budget that gives more is used at once, and one that gives less holds at once", async () => {
  const quota = { bytes: 1_000_000, per: "day", reserveBytes: 0 } as const;
  const made = await rig({ name: "lte", quota });
  await made.emit("summaries", 2_000, 1_000);
  await made.clock.pass(10_000);
  assert.equal(made.drain.status[0]!.lanes.summaries.held, "quota-used");
  const before = made.sent("summaries");
  await made.linkOf("lte").budget(1_500_000);
  made.drain.wake();
  await made.clock.pass(1_000);
  const more = made.sent("summaries") - before;
  assert.ok(more > 450_000 && more <= 505_000, `${more}`);
  await made.linkOf("lte").budget(undefined);
  made.drain.wake();
  await made.clock.pass(120_000);
  assert.equal(made.sent("summaries") - before, more);
});
