import assert from "node:assert/strict";
import { test } from "node:test";
import { Window } from "./window.ts";

/**
 * A broker that has `backlog` messages to send and keeps to `inflight`, a round trip of `rttMs`, and
 * a gateway that seals after 200 ms, or when the window says so; a sync takes `syncMs`. Gives the
 * messages per second and the syncs.
 */
function drain(options: {
  readonly inflight: number;
  readonly backlog: number;
  readonly rttMs: number;
  readonly syncMs: number;
  readonly window?: Window;
}): { readonly perSecond: number; readonly syncs: number; readonly window: Window } {
  const { inflight, backlog, rttMs, syncMs } = options;
  const window = options.window ?? new Window({ max: 65_535 });
  window.begin(rttMs);
  let now = 0;
  let sent = 0;
  let acknowledged = 0;
  let syncs = 0;
  while (acknowledged < backlog) {
    const arriving = Math.min(inflight, backlog - acknowledged);
    now += rttMs;
    window.arrived(arriving, arriving, now);
    sent += arriving;
    now += window.fullFor(arriving) ?? 200;
    now += syncMs;
    syncs += 1;
    window.released(arriving, now);
    acknowledged = sent;
  }
  return { perSecond: (1_000 * backlog) / now, syncs, window };
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

test("a window that was thought too small is looked past now and then, and found larger", () => {
  const { window } = drain({ inflight: 5, backlog: 1_000, rttMs: 0.2, syncMs: 1 });
  assert.equal(window.size, 5);
  // The broker now has no bound: a message each 5 ms, and a sync as soon as the window is full.
  let now = 1e6;
  let unacknowledged = 0;
  let sealAt = Number.POSITIVE_INFINITY;
  for (let message = 0; message < 2_000; message++) {
    now += 5;
    if (now > sealAt) {
      window.released(unacknowledged, sealAt);
      unacknowledged = 0;
      sealAt = Number.POSITIVE_INFINITY;
    }
    unacknowledged += 1;
    window.arrived(1, unacknowledged, now);
    if (sealAt === Number.POSITIVE_INFINITY) {
      const delayMs = window.fullFor(unacknowledged);
      if (delayMs !== undefined) sealAt = now + delayMs + 1;
    }
  }
  assert.ok(window.size > 5, `${window.size}`);
});

for (const rttMs of [0.2, 100])
  test(`a steady trickle is not taken for a window that is full, ${rttMs} ms away`, () => {
    const window = new Window({ max: 65_535 });
    window.begin(rttMs);
    let now = 0;
    let hurries = 0;
    // 50 messages a second, synced each 200 ms.
    for (let round = 0; round < 500; round++) {
      for (let i = 1; i <= 10; i++) {
        now += 20;
        window.arrived(1, i, now);
        if (window.fullFor(i) !== undefined) hurries += 1;
      }
      window.released(10, now);
    }
    assert.equal(hurries, 0);
    assert.equal(window.size, 20);
  });

test("what we announced is the most", () => {
  const window = new Window({ max: 50 });
  window.begin(1);
  window.arrived(300, 300, 0);
  assert.equal(window.size, 50);
  assert.equal(window.fullFor(50), 0);
  assert.equal(window.fullFor(49), undefined);
});
