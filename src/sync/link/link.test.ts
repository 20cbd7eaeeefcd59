import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import type { KvWrite } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { type Admission, Link, type LinkOptions } from "./link.ts";
import type { LinkPolicy } from "./policy.ts";
import { Via } from "./via.ts";

const start = Date.parse("2026-11-27T12:00:00Z");

const free: LinkPolicy = {
  name: "lte",
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
};

type Rig = {
  readonly link: Link;
  readonly clock: SimulatedClock;
  readonly stored: Map<string, Uint8Array>;
  /** Each rejects the next write. */
  readonly failures: Error[];
  writes: number;
};

function rig(
  policy: Partial<LinkPolicy>,
  {
    clock = new SimulatedClock(start),
    stored = new Map<string, Uint8Array>(),
    ...options
  }: {
    readonly clock?: SimulatedClock;
    readonly stored?: Map<string, Uint8Array>;
    readonly trustedNow?: LinkOptions["trustedNow"];
  } = {},
): Rig {
  const made: Rig = {
    clock,
    stored,
    failures: [],
    writes: 0,
    link: new Link({
      policy: { ...free, ...policy },
      clock,
      trustedNow: () => clock.now(),
      get: (key) => stored.get(key),
      store: (writes: readonly KvWrite[]) => {
        const failure = made.failures.shift();
        if (failure !== undefined) return Promise.reject(failure);
        made.writes += 1;
        for (const { key, value } of writes) if (value !== undefined) stored.set(key, value);
        return Promise.resolve();
      },
      ...options,
    }),
  };
  return made;
}

const idle = { bytes: 1_000_000, waitedMs: 0, hasBegun: false, hasDelivered: true };

/** Sends as a socket does, piece by piece; counts what went. */
function sendFor(link: Link, lane: "alerts" | "summaries", bytes: number): { sent: number } {
  const wire = link.wire(lane);
  const progress = { sent: 0 };
  const next = (): void => {
    const piece = Math.min(wire.pieceBytesMax, bytes - progress.sent);
    if (piece <= 0) return;
    wire.send(piece, () => {
      progress.sent += piece;
      next();
    });
  };
  next();
  return progress;
}

test("a link of which nothing is said admits everything at once, and counts it", () => {
  const { link } = rig({});
  let sent = 0;
  link.wire("summaries").send(30_000, () => (sent += 1));
  link.wire("summaries").received(7);
  assert.equal(sent, 1);
  const { sentBytes, receivedBytes } = link.status;
  assert.deepEqual([sentBytes, receivedBytes], [30_000, 7]);
  assert.deepEqual(link.admit({ lane: "summaries", ...idle }), { kind: "go", bytesMax: Infinity });
});

test("the first delivery after a lane was opened is under way for a second at most, others for five", () => {
  const { link } = rig({ bandwidth: 16_000 });
  const ask = (hasDelivered: boolean): Admission =>
    link.admit({ lane: "summaries", ...idle, hasDelivered });
  assert.deepEqual(ask(false), { kind: "go", bytesMax: 16_000 });
  assert.deepEqual(ask(true), { kind: "go", bytesMax: 80_000 });
});

test("a backlog is sent at nine tenths of the bandwidth or more, and an alert goes between", async () => {
  const { link, clock } = rig({ bandwidth: 4_000 });
  const summaries = sendFor(link, "summaries", 10_000_000);
  const perSecond: number[] = [];
  for (let second = 0; second < 60; second++) {
    const before = summaries.sent;
    await clock.pass(1_000);
    perSecond.push(summaries.sent - before);
  }
  for (let from = 0; from + 10 <= perSecond.length; from++) {
    const sum = perSecond.slice(from, from + 10).reduce((a, b) => a + b, 0);
    assert.ok(sum <= 40_000 && sum >= 36_000, `${sum} in 10 s from ${from}`);
  }
  const alert = sendFor(link, "alerts", 500);
  const at = clock.monotonic();
  while (alert.sent < 500) await clock.pass(10);
  assert.ok(clock.monotonic() - at <= 500, "500 bytes at 4,000 a second, and a piece before them");
  assert.deepEqual(link.admit({ lane: "summaries", ...idle }), { kind: "go", bytesMax: 20_000 });
});

test("whoever sends what and when: no 10 s have more than the bandwidth, and alerts wait for a piece", async () => {
  const wish = fc.record({
    atMs: fc.nat(30_000),
    lane: fc.constantFrom("alerts", "summaries"),
    bytes: fc.integer({ min: 1, max: 40_000 }),
  });
  const plan = fc.record({
    bandwidth: fc.integer({ min: limits.linkBandwidthMin, max: 200_000 }),
    wishes: fc.array(wish, { maxLength: 12 }),
  });
  await fc.assert(
    fc.asyncProperty(plan, async ({ bandwidth, wishes }) => {
      const { link, clock } = rig({ bandwidth });
      const wire = link.wire("summaries");
      const sent: { readonly atMs: number; readonly bytes: number }[] = [];
      const waits: number[] = [];
      for (const { atMs, lane, bytes } of wishes) {
        clock.after(atMs, () => {
          let left = lane === "alerts" ? Math.min(bytes, wire.pieceBytesMax) : bytes;
          const asked = clock.monotonic();
          const next = (): void => {
            const piece = Math.min(left, wire.pieceBytesMax);
            if (piece <= 0) return;
            left -= piece;
            link.wire(lane).send(piece, () => {
              sent.push({ atMs: clock.monotonic(), bytes: piece });
              if (lane === "alerts") waits.push(clock.monotonic() - asked);
              next();
            });
          };
          next();
        });
      }
      await clock.pass(45_000);
      for (const { atMs: from } of sent) {
        const sum = sent
          .filter(({ atMs }) => atMs >= from && atMs <= from + limits.linkSpanMs)
          .reduce((total, { bytes }) => total + bytes, 0);
        assert.ok(sum <= (bandwidth * limits.linkSpanMs) / 1_000, `${sum} from ${from}`);
      }
      // Each alert is a piece at most: it waits for those of the other alerts, and for one more.
      const pieceMs = limits.linkBurstMs / limits.linkBurstPieces / 0.97;
      const most = (waits.length + 1) * (pieceMs + 2);
      assert.ok(Math.max(0, ...waits) <= most, `${Math.max(...waits)} of ${most}`);
    }),
    { numRuns: 25 },
  );
});

test("a delivery does not begin while others go before it", () => {
  const { link } = rig({ bandwidth: 4_000 });
  sendFor(link, "alerts", 100_000);
  const held = link.admit({ lane: "summaries", ...idle });
  assert.deepEqual(held, { kind: "held", why: "others-first", forMs: limits.linkTurnMs });
});

test("a lane that gives up while it waits takes nothing", async () => {
  const { link, clock } = rig({ bandwidth: 4_000 });
  sendFor(link, "summaries", 1_000);
  const cancel = link.wire("summaries").send(250, () => assert.fail("it was cancelled"));
  cancel();
  await clock.pass(10_000);
  assert.equal(link.status.sentBytes, 1_000);
});

test("outside its hours a link takes alerts only, and not even those where it says so", async () => {
  const windows = [{ from: 22 * 60, to: 6 * 60, days: [0, 1, 2, 3, 4, 5, 6] }];
  const { link, clock } = rig({ windows });
  const held = { kind: "held", why: "outside-hours", forMs: limits.linkLookMs };
  assert.deepEqual(link.admit({ lane: "summaries", ...idle }), held);
  assert.equal(link.admit({ lane: "alerts", ...idle }).kind, "go");
  assert.deepEqual(link.status.held, {
    summaries: "outside-hours",
    raw: "outside-hours",
    backfill: "outside-hours",
  });
  await clock.pass(10 * 3_600_000);
  assert.equal(link.admit({ lane: "summaries", ...idle }).kind, "go");
  const strict = rig({ windows, alerts: "windows" });
  assert.deepEqual(strict.link.admit({ lane: "alerts", ...idle }), held);
  const lost = rig({ windows }, { trustedNow: () => undefined });
  assert.equal(lost.link.status.held.summaries, "clock-untrusted");
});

test("a metered link waits until there is enough, or for long enough, and then sends all", () => {
  const { link } = rig({ metered: { minBatchBytes: 65_536, maxDelayMs: 900_000 } });
  const ask = (change: Partial<typeof idle>): string =>
    link.admit({ lane: "summaries", ...idle, ...change }).kind;
  assert.deepEqual(link.admit({ lane: "summaries", ...idle, bytes: 65_535, waitedMs: 100_000 }), {
    kind: "held",
    why: "gathering",
    forMs: 800_000,
  });
  assert.equal(ask({ bytes: 65_536 }), "go");
  assert.equal(ask({ bytes: 10, waitedMs: 900_000 }), "go");
  assert.equal(ask({ bytes: 10, hasBegun: true }), "go");
  assert.equal(link.admit({ lane: "alerts", ...idle, bytes: 10 }).kind, "go");
});

const quota = { bytes: 1_000_000, per: "day", reserveBytes: 200_000 } as const;

test("a quota that is used up holds summaries, then alerts, until the next day", async () => {
  const { link, clock } = rig({ quota });
  sendFor(link, "summaries", 500_000);
  link.wire("summaries").received(300_000);
  await clock.pass(100);
  assert.equal(link.status.quota?.usedBytes, 800_000);
  assert.deepEqual(link.status.held, {
    summaries: "quota-used",
    raw: "quota-used",
    backfill: "quota-used",
  });
  const admission = link.admit({ lane: "alerts", ...idle });
  assert.deepEqual(admission, { kind: "go", bytesMax: 200_000 });
  sendFor(link, "alerts", 199_000);
  await clock.pass(100);
  assert.deepEqual(link.status.held, {
    alerts: "quota-used",
    summaries: "quota-used",
    raw: "quota-used",
    backfill: "quota-used",
  });
  await clock.pass(12 * 3_600_000);
  assert.deepEqual(link.status.held, {});
});

test("nothing is sent that is not stored before, and an orderly end stores what was used", async () => {
  const { link, clock, stored, failures } = rig({ quota });
  failures.push(new Error("no space left"));
  const progress = sendFor(link, "summaries", 100_000);
  await clock.pass(limits.diskRetryMs - 1);
  assert.equal(progress.sent, 0);
  await clock.pass(2);
  assert.equal(progress.sent, 100_000, "a store that is full is waited for");
  const killed = rig({ quota }, { clock: clock.kill(), stored: new Map(stored) });
  const { usedBytes = 0 } = killed.link.status.quota ?? {};
  assert.ok(usedBytes >= 100_000 && usedBytes <= 100_000 + limits.linkQuotaStepBytesMin);
  await link.close();
  const next = rig({ quota }, { clock: clock.kill(), stored });
  assert.equal(next.link.status.quota?.usedBytes, 100_000);
});

test("few small writes count a quota", async () => {
  const made = rig({ quota: { ...quota, bytes: 100_000_000, reserveBytes: 0 } });
  sendFor(made.link, "summaries", 50_000_000);
  await made.clock.pass(1_000);
  assert.ok(made.writes <= limits.linkQuotaSteps, `${made.writes}`);
});

test("the next link is used when the first fails or is barred, and the first again later", async () => {
  const clock = new SimulatedClock(start);
  const windows = [{ from: 0, to: 13 * 60, days: [4] }];
  const { link: first } = rig({ name: "first", windows, alerts: "windows" }, { clock });
  const { link: second } = rig({ name: "second" }, { clock });
  const via = new Via({ links: [first, second], clock, isShared: false });
  const used = (): string => via.linkOf("summaries").name;
  assert.equal(used(), "first");
  for (let n = 0; n < 4; n++) {
    via.failed(first);
    await clock.pass(20_000);
  }
  assert.equal(used(), "second");
  assert.deepEqual(
    via.status.map(({ isUp }) => isUp),
    [false, true],
  );
  await clock.pass(600_000);
  assert.equal(used(), "first", "on trial");
  via.failed(first);
  assert.equal(used(), "second");
  await clock.pass(600_000);
  via.succeeded(first);
  via.failed(first);
  assert.equal(used(), "first", "a delivery made it a good link");
  await clock.pass(3_600_000);
  assert.equal(used(), "second", "its hours are over");
});

test("where every link is down the first is tried", () => {
  const clock = new SimulatedClock(start);
  const { link } = rig({ failMs: 0 }, { clock });
  const via = new Via({ links: [link], clock, isShared: false });
  for (let n = 0; n < 5; n++) via.failed(link);
  assert.equal(via.linkOf("alerts"), link);
});

test("a budget that cannot be stored is not in force", async () => {
  const made = rig({ quota: { bytes: 1_000_000, per: "day", reserveBytes: 0 } });
  await made.link.budget(2_000_000);
  made.failures.push(new Error("no space"));
  await assert.rejects(made.link.budget(3_000_000), /no space/);
  const { bytes, configuredBytes } = made.link.status.quota!;
  assert.deepEqual([bytes, configuredBytes], [2_000_000, 1_000_000]);
  const next = rig({ quota: { bytes: 1_000_000, per: "day", reserveBytes: 0 } }, made);
  assert.equal(next.link.status.quota!.bytes, 2_000_000);
  await next.link.budget(undefined);
  assert.deepEqual(
    [next.link.status.quota!.bytes, next.link.status.quota!.configuredBytes],
    [1_000_000, undefined],
  );
});
