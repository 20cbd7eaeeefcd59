import assert from "node:assert/strict";
import { test } from "node:test";
import { SendQuota } from "./send-quota.ts";

/**
 * A broker that has `backlog` messages to send and keeps to `inflight`, a round trip of `rttMs`, and
 * a gateway that seals after 200 ms, or when the quota says so; a sync takes `syncMs`. Gives the
 * messages per second and the syncs.
 */
function drain(options: {
  readonly inflight: number;
  readonly backlog: number;
  readonly rttMs: number;
  readonly syncMs: number;
  readonly quota?: SendQuota;
}): { readonly perSecond: number; readonly syncs: number; readonly quota: SendQuota } {
  const { inflight, backlog, rttMs, syncMs } = options;
  const quota = options.quota ?? new SendQuota({ max: 65_535 });
  quota.begin(rttMs);
  let now = 0;
  let sent = 0;
  let acknowledged = 0;
  let syncs = 0;
  while (acknowledged < backlog) {
    const arriving = Math.min(inflight, backlog - acknowledged);
    now += rttMs;
    quota.arrived(arriving, arriving, now);
    sent += arriving;
    now += quota.usedUpBy(arriving) ?? 200;
    now += syncMs;
    syncs += 1;
    quota.released(arriving, now);
    acknowledged = sent;
  }
  return { perSecond: (1_000 * backlog) / now, syncs, quota };
}

for (const inflight of [1, 10, 20, 100, 1_000]) {
  for (const [rttMs, syncMs] of [
    [0.2, 1],
    [0.2, 10],
    [30, 5],
  ] as const) {
    test(`a broker that sends ${inflight} at a time, ${rttMs} ms away, is not made to wait (sync ${syncMs} ms)`, () => {
      const { perSecond } = drain({ inflight, backlog: inflight * 2_000, rttMs, syncMs });
      const possible = (1_000 * inflight) / (rttMs + syncMs);
      assert.ok(
        perSecond > possible * 0.8,
        `${Math.round(perSecond)} of ${Math.round(possible)} /s`,
      );
    });
  }
}

test("a quota that was thought too small is looked past now and then, and found larger", () => {
  const { quota } = drain({ inflight: 5, backlog: 1_000, rttMs: 0.2, syncMs: 1 });
  assert.equal(quota.size, 5);
  // The broker now has no bound: a message each 5 ms, and a sync as soon as the quota is used up.
  let now = 1e6;
  let unacknowledged = 0;
  let sealAt = Number.POSITIVE_INFINITY;
  for (let message = 0; message < 2_000; message++) {
    now += 5;
    if (now > sealAt) {
      quota.released(unacknowledged, sealAt);
      unacknowledged = 0;
      sealAt = Number.POSITIVE_INFINITY;
    }
    unacknowledged += 1;
    quota.arrived(1, unacknowledged, now);
    if (sealAt === Number.POSITIVE_INFINITY) {
      const delayMs = quota.usedUpBy(unacknowledged);
      if (delayMs !== undefined) sealAt = now + delayMs + 1;
    }
  }
  assert.ok(quota.size > 5, `${quota.size}`);
});

for (const rttMs of [0.2, 100])
  test(`a steady trickle is not taken for a quota that is used up, ${rttMs} ms away`, () => {
    const quota = new SendQuota({ max: 65_535 });
    quota.begin(rttMs);
    let now = 0;
    let hurries = 0;
    // 50 messages a second, synced each 200 ms.
    for (let round = 0; round < 500; round++) {
      for (let i = 1; i <= 10; i++) {
        now += 20;
        quota.arrived(1, i, now);
        if (quota.usedUpBy(i) !== undefined) hurries += 1;
      }
      quota.released(10, now);
    }
    assert.equal(hurries, 0);
    assert.equal(quota.size, 20);
  });

test("what we announced is the most", () => {
  const quota = new SendQuota({ max: 50 });
  quota.begin(1);
  quota.arrived(300, 300, 0);
  assert.equal(quota.size, 50);
  assert.equal(quota.usedUpBy(50), 0);
  assert.equal(quota.usedUpBy(49), undefined);
});
