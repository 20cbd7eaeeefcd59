import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../core/limits.ts";
import {
  filled,
  emptyBucket,
  msUntil,
  nextLane,
  taken,
  type Usage,
  unused,
  used,
} from "./bucket.ts";

test("whatever comes when, no 10 s have more than the bandwidth, burst included", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: limits.linkBandwidthMin, max: 10_000_000 }),
      fc.array(
        fc.record({ pauseMs: fc.nat(5_000), part: fc.double({ min: 0.01, max: 1, noNaN: true }) }),
        {
          maxLength: 200,
        },
      ),
      (bandwidth, wishes) => {
        let bucket = emptyBucket(bandwidth, 0);
        let nowMs = 0;
        const sent: { readonly atMs: number; readonly bytes: number }[] = [];
        // Then one who was quiet for long enough to have a burst, and wants all there is.
        const greedy = Array.from({ length: 60 }, (_, n) => ({
          pauseMs: n === 0 ? 700 : 1,
          part: 1,
        }));
        for (const { pauseMs, part } of [...wishes, ...greedy]) {
          const bytes = Math.floor(bucket.burst * part);
          nowMs += pauseMs % 7 === 0 ? pauseMs : 0;
          bucket = filled(bucket, nowMs);
          nowMs += msUntil(bucket, bytes);
          bucket = taken(filled(bucket, nowMs), bytes);
          assert.ok(bucket.tokens >= -1e-6, "it is not emptied beyond what it has");
          sent.push({ atMs: nowMs, bytes });
        }
        for (const { atMs: from } of sent) {
          const within = sent.filter(
            ({ atMs }) => atMs >= from && atMs <= from + limits.linkSpanMs,
          );
          const sum = within.reduce((total, { bytes }) => total + bytes, 0);
          assert.ok(sum <= (bandwidth * limits.linkSpanMs) / 1_000 + 1e-3, `${sum} at ${from}`);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test("who always has something to send has at least nine tenths of the bandwidth", () => {
  for (const bandwidth of [1_000, 4_000, 250_000, 12_500_000]) {
    let bucket = emptyBucket(bandwidth, 0);
    const piece = Math.floor(bucket.burst / limits.linkBurstPieces);
    let nowMs = 0;
    let sum = 0;
    while (nowMs < 60_000) {
      bucket = filled(bucket, nowMs);
      if (bucket.tokens >= piece) {
        bucket = taken(bucket, piece);
        sum += piece;
      } else {
        // Timers are late.
        nowMs += Math.ceil(msUntil(bucket, piece)) + 3;
      }
    }
    assert.ok(sum >= 0.9 * bandwidth * 60, `${sum} of ${bandwidth * 60}`);
  }
});

/** Sends for 20 s at 1,000 bytes per ms, 1,000 bytes at a time, whoever is next. */
function shared(
  shares: Readonly<Record<string, number>>,
  waits: (lane: string, atMs: number) => boolean,
): Record<string, number> {
  const usage = new Map<string, Usage>();
  const sent: Record<string, number> = { alerts: 0, summaries: 0, backfill: 0 };
  for (let nowMs = 0; nowMs < 20_000; nowMs++) {
    const waiting = Object.keys(sent).filter((lane) => waits(lane, nowMs));
    const shareOf = (lane: string): number | undefined => shares[lane];
    const next = nextLane(waiting, { usage, shareOf, nowMs });
    if (next === undefined) continue;
    usage.set(next, used(usage.get(next) ?? unused, { bytes: 1_000, nowMs }));
    sent[next]! += 1;
  }
  return sent;
}

test("without shares the first lane that waits goes", () => {
  const sent = shared({ alerts: 1 }, (lane, atMs) => lane !== "alerts" || atMs % 10 === 0);
  assert.deepEqual(sent, { alerts: 2_000, summaries: 18_000, backfill: 0 });
});

test("a lane has its share while others before it wait, and others what it does not use", () => {
  const shares = { alerts: 1, summaries: 0.7, backfill: 0.3 };
  const busy = shared(shares, (lane) => lane !== "alerts");
  assert.ok(Math.abs(busy["backfill"]! / 20_000 - 0.3) < 0.02, `${busy["backfill"]}`);
  const alone = shared(shares, (lane) => lane === "backfill");
  assert.equal(alone["backfill"], 20_000);
  const storm = shared(shares, () => true);
  assert.equal(storm["alerts"], 20_000, "alerts have first claim on all of it");
});
