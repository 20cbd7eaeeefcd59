/**
 * A week without an uplink, and then a link of 16,000 bytes a second: what is upstream first, and how
 * the rest follows. A window a minute of two keys in that week, and in its last five minutes of four
 * hundred more: what is fresh is then itself more than a delivery.
 *
 *   away ── first connect ── alert ── fresh ── backfill, at the bandwidth and never above it
 *              |<---------- 2 s ---------->|
 */

import { sampleAlert } from "../support/sample-alert.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { linkOf } from "../../src/agent/config/link-config.ts";
import { Fault } from "../../src/core/faults.ts";
import { limits } from "../../src/core/limits.ts";
import { millis } from "../../src/core/units.ts";
import { OutboxWriter } from "../../src/store/outbox/outbox.ts";
import { encodeSummary } from "../../src/store/outbox/record-codec.ts";
import { Link } from "../../src/sync/link/link.ts";
import { Via } from "../../src/sync/link/via.ts";
import { timedCluster } from "../support/kafka/timed-cluster.ts";
import { requestMs, UpstreamHalf, UpstreamWorld } from "../support/kafka/upstream-half.ts";
import { received } from "../support/kafka/upstream-oracle.ts";
import { wiredCluster } from "../support/kafka/wired-cluster.ts";

const bandwidth = 16_000;
const minute = 60_000;
const day = 1_440 * minute;
const startMs = Date.UTC(2026, 0, 1);
const weekKeys = 2;
const freshKeys = 400;
const freshMinutes = 5;
const stepMinutes = 10;

test("after a week: an alert, then what is fresh within 2 s of the first connect, then a backlog at the bandwidth", async (t) => {
  const world = new UpstreamWorld(11);
  const { clock } = world;
  const policy = linkOf({ name: "lte", bandwidth });
  const link = new Link({
    policy,
    clock,
    trustedNow: () => clock.now(),
    get: () => undefined,
    store: () => Promise.resolve(),
  });
  const over = new Via({ links: [link], clock, isShared: false });
  let isAway = true;
  let connectedAt: number | undefined;
  const sent: { readonly atMs: number; readonly bytes: number }[] = [];
  const half: UpstreamHalf = new UpstreamHalf(world, {
    uplink: {
      over,
      freshForMs: freshMinutes * minute,
      connect: async (_clientId, lane) => {
        if (isAway) throw new Fault("UPLINK_UNREACHABLE", "the network is away");
        connectedAt ??= clock.monotonic();
        const wire = over.wire(lane);
        assert.ok(wire !== undefined, "a link with a bandwidth is no plain one");
        const cluster = timedCluster(world.connect(half), { clock, timeoutMs: requestMs });
        return wiredCluster(cluster, wire, {
          onSent: (bytes) => sent.push({ atMs: clock.monotonic(), bytes }),
          onReceived: () => undefined,
        });
      },
    },
  });
  await half.start();

  let records = 0;
  for (let at = 0; at < 7 * day; at += stepMinutes * minute) {
    const outbox = new OutboxWriter();
    const isLast = at + stepMinutes * minute >= 7 * day;
    for (let n = 0; n < stepMinutes; n++) {
      const isFresh = isLast && n >= stepMinutes - freshMinutes;
      const keys = weekKeys + (isFresh ? freshKeys : 0);
      for (let key = 0; key < keys; key++) {
        outbox.add("summaries", summary(key, startMs + at + n * minute));
        records += 1;
      }
    }
    await half.commit(outbox);
    await world.pass(stepMinutes * minute);
  }
  const alerts = new OutboxWriter();
  alerts.add("alerts", sampleAlert(startMs + 7 * day));
  await half.commit(alerts);
  isAway = false;

  assert.ok(await world.until(() => half.status("alerts").deliveries > 0), "the alert is out");
  assert.equal(half.status("summaries").deliveries, 0, "no summary was before the alert");
  assert.ok(await world.until(() => half.status("summaries").deliveries > 0), "fresh is out");
  assert.ok(connectedAt !== undefined);
  const freshMs = clock.monotonic() - connectedAt;
  assert.equal(half.status("backfill").deliveries, 0, "no backlog was before what is fresh");
  t.diagnostic(`the first fresh summary was committed ${freshMs} ms after the first connect`);
  assert.ok(freshMs <= 2_000, `${freshMs} ms`);

  assert.ok(await world.until(() => half.status("backfill").deliveries > 0), "the backlog begins");
  const from = clock.monotonic();
  const behind = half.status("backfill").behind;
  assert.ok(behind > 10_000, `${behind} of ${records} are behind`);
  await world.pass(5 * minute);
  assert.ok(half.status("backfill").behind > 0, "there was a backlog all the time");
  const most = (bandwidth * limits.linkSpanMs) / 1_000;
  const sums: number[] = [];
  for (let begin = from; begin + limits.linkSpanMs <= clock.monotonic(); begin += 1_000) {
    const inSpan = sent.filter(({ atMs }) => atMs >= begin && atMs < begin + limits.linkSpanMs);
    sums.push(inSpan.reduce((sum, { bytes }) => sum + bytes, 0));
  }
  const [least, greatest] = [Math.min(...sums), Math.max(...sums)];
  t.diagnostic(`${least} to ${greatest} bytes in 10 s, of ${most}; ${records} records`);
  assert.ok(greatest <= most, `${greatest} of ${most}`);
  assert.ok(least >= 0.9 * most, `${least} of ${most}`);

  assert.ok(await world.until(() => half.isDone), String(half.status("backfill").trouble));
  world.cluster.settle();
  const [first] = received(world.cluster, "summaries").toSorted((a, b) => a.seq - b.seq);
  const { start } = JSON.parse(first?.value ?? "{}") as { readonly start: number };
  assert.ok(start >= startMs + 7 * day - (freshMinutes + 1) * minute, "the first of all is fresh");
  const out = (["summaries", "backfill"] as const).flatMap((lane) => received(world.cluster, lane));
  assert.equal(out.length, records, "each is out there, in one lane");
  assert.equal(new Set(out.map(({ value }) => value)).size, records, "and once");
});

function summary(key: number, start: number): Uint8Array {
  const value = (start / minute + key * 7_919) % 100_003;
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline: "temp",
    key: [["device", `d${key}`]],
    start: millis(start),
    end: millis(start + minute),
    revision: 0,
    count: 60,
    fields: { sum: 60 * value, min: value, max: value },
    arrivalTimed: 0,
  });
}
