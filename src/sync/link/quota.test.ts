import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../core/limits.ts";
import type { QuotaPolicy } from "./policy.ts";
import { Quota } from "./quota.ts";

const policy: QuotaPolicy = { bytes: 50_000_000, per: "month", reserveBytes: 5_000_000 };
const step = Math.ceil(policy.bytes / limits.linkQuotaSteps);

function open(stored?: Uint8Array, change: Partial<QuotaPolicy> = {}, timezone = "UTC"): Quota {
  return new Quota({
    policy: { ...policy, ...change },
    timezone,
    stored: stored && { value: stored, place: "a test" },
    monotonicMs: 0,
  });
}

const at = (text: string): number => Date.parse(text);

test("a crash never forgets what was sent, and counts at most a step beyond it", () => {
  const piece = fc.integer({ min: 1, max: limits.linkPieceBytesMax });
  fc.assert(
    fc.property(fc.array(fc.record({ piece, dies: fc.nat(20) }), { maxLength: 300 }), (sends) => {
      let stored: Uint8Array | undefined;
      let writes = 0;
      let quota = open();
      quota.look(at("2026-11-28T10:00:00Z"), 0);
      let sent = 0;
      let deaths = 0;
      for (const { piece: bytes, dies } of sends) {
        if (!quota.covers(bytes)) {
          const ahead = quota.aheadOf(bytes);
          stored = ahead.value;
          writes += 1;
          quota.settled(quota.period, ahead.through);
        }
        quota.charge(bytes);
        sent += bytes;
        if (dies > 0) continue;
        deaths += 1;
        quota = open(stored);
        quota.look(at("2026-11-28T10:00:00Z"), 0);
      }
      const { used } = open(stored);
      assert.ok(used >= sent, `${used} of ${sent} are known`);
      assert.ok(used <= sent + (deaths + 1) * step, "each crash costs at most a step");
      assert.ok(
        writes <= sent / (step - limits.linkPieceBytesMax) + deaths + 1,
        "and few are stored",
      );
    }),
    { numRuns: 200 },
  );
});

test("a month ends where the wall clock of its timezone says so", () => {
  const quota = open(undefined, {}, "America/New_York");
  quota.look(at("2026-12-01T04:59:59Z"), 0);
  quota.charge(1_000);
  quota.look(at("2026-12-01T04:59:59Z"), limits.linkClockMs);
  assert.deepEqual([quota.period, quota.used], ["2026-11", 1_000]);
  quota.look(at("2026-12-01T05:00:00Z"), 2 * limits.linkClockMs);
  assert.deepEqual([quota.period, quota.used], ["2026-12", 0]);
});

test("what is stored of a month that is over counts no more", () => {
  const before = open();
  before.look(at("2026-11-30T23:00:00Z"), 0);
  before.charge(7_000);
  const quota = open(before.exactly().value);
  assert.equal(quota.used, 7_000);
  quota.look(at("2026-12-01T00:00:00Z"), 0);
  assert.equal(quota.used, 0);
  assert.ok(!quota.covers(1), "nothing is sent before it is stored for the new month");
});

test("a clock that was ahead for a moment finds what was counted before it", () => {
  const quota = open(undefined, { per: "day" });
  quota.look(at("2026-11-28T10:00:00Z"), 0);
  quota.charge(30_000_000);
  quota.look(at("2026-11-29T10:00:00Z"), 1_000);
  quota.charge(1_000);
  assert.equal(quota.used, 1_000);
  const { value } = quota.exactly();
  quota.look(at("2026-11-28T10:00:02Z"), 2_000);
  assert.deepEqual([quota.period, quota.used], ["2026-11-28", 30_001_000]);
  const later = open(value, { per: "day" });
  later.look(at("2026-11-28T10:00:02Z"), 0);
  assert.equal(later.used, 30_001_000, "also behind a crash");
});

test("while the clock is not trusted a day goes on, and ends after its length", () => {
  const quota = open(undefined, { per: "day" });
  quota.look(undefined, 0);
  quota.charge(10_000);
  quota.look(undefined, 86_399_000);
  assert.equal(quota.used, 10_000);
  quota.look(undefined, 86_400_000);
  assert.equal(quota.used, 0);
  quota.charge(5_000);
  quota.look(at("2026-11-28T10:00:00Z"), 86_402_000);
  assert.deepEqual(
    [quota.period, quota.used],
    ["2026-11-28", 5_000],
    "what was used before counts",
  );
});

test("alerts have the reserve, and others do not", () => {
  const quota = open();
  quota.look(at("2026-11-28T10:00:00Z"), 0);
  quota.charge(45_000_000);
  assert.equal(quota.left({ reserve: false }), 0);
  assert.equal(quota.left({ reserve: true }), 5_000_000);
  quota.charge(6_000_000);
  assert.equal(quota.left({ reserve: true }), 0);
});

test("what was stored and is damaged is a fault that names it", () => {
  assert.throws(
    () => open(new TextEncoder().encode('{"name":"2026-11","used":-1}')),
    /a test.*used/,
  );
});

test("a budget stands in the place of the bytes until the period ends, across a restart", () => {
  const quota = open(undefined, { per: "day" });
  quota.look(at("2026-11-28T10:00:00Z"), 0);
  quota.charge(10_000_000);
  const value = quota.budgeted(12_000_000);
  assert.equal(quota.left({ reserve: true }), 2_000_000);
  assert.equal(quota.left({ reserve: false }), 0, "the reserve is that of the configuration");
  const next = open(value, { per: "day" });
  next.look(at("2026-11-28T11:00:00Z"), 0);
  assert.deepEqual([next.bytes, next.budget, next.used], [12_000_000, 12_000_000, 10_000_000]);
  next.look(at("2026-11-29T00:00:00Z"), 1_000);
  assert.deepEqual([next.bytes, next.budget, next.used], [50_000_000, undefined, 0]);
  next.look(at("2026-11-28T23:59:59Z"), 2_000);
  assert.equal(next.bytes, 12_000_000, "the clock was ahead for a moment");
  next.budgeted(undefined);
  assert.deepEqual([next.bytes, next.budget], [50_000_000, undefined]);
});

test("a budget from before the clock was known holds for the period that it is then", () => {
  const quota = open(undefined, { per: "day" });
  quota.look(undefined, 0);
  quota.budgeted(5_000_000);
  quota.look(at("2026-11-28T10:00:00Z"), 1_000);
  assert.deepEqual([quota.period, quota.bytes], ["2026-11-28", 5_000_000]);
});

test("a budget takes back nothing that is stored ahead, or is being stored", () => {
  const quota = open();
  quota.look(at("2026-11-28T10:00:00Z"), 0);
  const { through } = quota.aheadOf(1);
  const stored = open(quota.budgeted(60_000_000));
  assert.equal(stored.used, through, "what is sent as soon as that is stored is covered");
});
