/**
 * A month without an uplink at the whole size of a bound: outbox-outage.test.ts holds a month's records as
 * Kafka has them, and so is scaled to a key. Here nothing is kept but the outbox: whoever takes the
 * records at the end checks each of them against what its windows were, and forgets it.
 *
 *   WEIR_TEST_OUTAGE_BYTES=200000000 WEIR_TEST_OUTAGE_KEYS=60 npm test -- test/simulation/outbox-outage-whole.test.ts
 *
 * Otherwise it is three days of two keys.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tags } from "../../src/core/frame.ts";
import type { Summary } from "../../src/core/record.ts";
import { millis } from "../../src/core/units.ts";
import { OutboxWriter } from "../../src/store/outbox/outbox.ts";
import { openOutboxRollup } from "../../src/store/outbox/outbox-rollup.ts";
import { decodeRecord, encodeSummary } from "../../src/store/outbox/record-codec.ts";
import { KvMemory } from "../../src/store/state/kv-memory.ts";
import { openStateStore, type StateStore } from "../../src/store/state/state-store.ts";
import { commitRecords } from "../support/commit-records.ts";
import { SteppedClock } from "../support/kafka/stepped-clock.ts";

const outboxBytesMax = Number(process.env["WEIR_TEST_OUTAGE_BYTES"] ?? 60_000);
const isWhole = process.env["WEIR_TEST_OUTAGE_BYTES"] !== undefined;
const keyCount = isWhole ? Number(process.env["WEIR_TEST_OUTAGE_KEYS"] ?? 60) : 2;
const days = isWhole ? 30 : 3;

const lane = "summaries";
const sizeMs = 10_000;
const minute = 60_000;
const day = 1_440 * minute;
const tiers = [sizeMs, minute, 10 * minute, 60 * minute, day];
const startMs = Date.UTC(2026, 0, 1, 10, 30);
const stepMs = 10 * minute;
const windowCount = (days * day) / sizeMs;
const keys = Array.from({ length: keyCount }, (_, key): Tags => [["device", `d${key}`]]);

/** Of a window: a reading a second, but for some that have fewer or none; a multiple of an eighth. */
function truthOf(key: number, window: number): { readonly count: number; readonly value: number } {
  const drawn = (window * 7_919 + key * 104_729) % 100_003;
  return { count: drawn % 50 === 0 ? drawn % 10 : 10, value: drawn / 8 };
}

function summaryBytes(key: number, window: number): Uint8Array | undefined {
  const { count, value } = truthOf(key, window);
  if (count === 0) return undefined;
  const start = startMs + window * sizeMs;
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline: "temp",
    key: keys[key]!,
    start: millis(start),
    end: millis(start + sizeMs),
    revision: 0,
    count,
    fields: { sum: count * value, sumError: 0, min: value, max: value },
    arrivalTimed: 0,
  });
}

test("a month without an uplink in the whole bound: nobody waits, each window is told once and truly", async (t) => {
  const clock = new SteppedClock(startMs);
  const { store } = await openStateStore(new KvMemory(), { outboxBytesMax });
  store.serve(["u"]);
  const windows = () => new Map([["temp", { sizeMs, latenessMs: 0 }]]);
  const rollup = openOutboxRollup({ store, clock, tiers, mayDrop: false, windows });
  let bytesSeenMax = 0;
  for (let window = 0; window < windowCount; window += stepMs / sizeMs) {
    const outbox = new OutboxWriter();
    for (let at = window; at < window + stepMs / sizeMs; at++) {
      for (let key = 0; key < keyCount; key++) {
        const bytes = summaryBytes(key, at);
        if (bytes !== undefined) outbox.add(lane, bytes);
      }
    }
    const committed = commitRecords(store, outbox);
    await pass(clock, stepMs);
    assert.equal(store.status.outboxFull, false, `nobody waits at window ${window}`);
    await committed;
    bytesSeenMax = Math.max(bytesSeenMax, store.status.outbox[lane].bytes);
  }
  const { bytesMax, records } = store.status.outbox[lane];
  const { merged, coarser } = rollup.counts;
  assert.ok(bytesSeenMax <= bytesMax, `${bytesSeenMax} of ${bytesMax} bytes`);
  assert.ok(merged > 0);
  const byTier = await takeAll(store);
  t.diagnostic(
    `${windowCount * keyCount} windows, ${merged} merged to ${coarser}, ${records} wait in at most ${bytesSeenMax} of ${bytesMax} bytes: ${tiers
      .map((tier) => `${byTier.get(tier) ?? 0} of ${tier / 1_000} s`)
      .join(", ")}`,
  );
  assert.equal(store.status.outbox[lane].bytes, 0);
  await rollup.close();
});

/** What there is, until nothing does any more by then. */
async function pass(clock: SteppedClock, ms: number): Promise<void> {
  const end = clock.monotonic() + ms;
  do for (let n = 0; n < 12; n++) await new Promise((resolve) => setImmediate(resolve));
  while (clock.step(end));
}

/** Takes all, checks it, and counts the records of each tier. */
async function takeAll(store: StateStore): Promise<ReadonlyMap<number, number>> {
  const byTier = new Map<number, number>();
  const told = keys.map(() => new Uint8Array(windowCount));
  const finestSince = keys.map(() => Number.POSITIVE_INFINITY);
  let counted = 0;
  for (let from = store.span(lane).first; from < store.span(lane).next; ) {
    const taken = (await store.lanes.take({ uplink: "u", lane }, { from, bytesMax: 4_194_304 }))!;
    for (const bytes of taken.records) {
      const { record } = decodeRecord(bytes, "a record");
      assert.ok(record.kind === "summary");
      const key = Number(record.key[0]![1].slice(1));
      const resolution = record.end - record.start;
      byTier.set(resolution, (byTier.get(resolution) ?? 0) + 1);
      counted += record.count;
      checkTruth(record, { key, told: told[key]! });
      // The first interval of a tier may be cut by the beginning: what is in it stays as it was.
      if (record.start >= startMs + day) {
        assert.ok(resolution <= finestSince[key]!, "older is never finer than newer");
        finestSince[key] = resolution;
      }
    }
    from = taken.next;
    await store.advance([], { uplink: "u", lane, next: from });
  }
  let all = 0;
  for (let key = 0; key < keyCount; key++) {
    for (let window = 0; window < windowCount; window++) {
      const { count } = truthOf(key, window);
      all += count;
      assert.equal(told[key]![window], count === 0 ? 0 : 1, `d${key}, window ${window}`);
    }
  }
  assert.equal(counted, all, "every reading is counted");
  return byTier;
}

/** The record says what its windows were, and none of them was told before. */
function checkTruth(
  { start, end, count, fields, merged = 1 }: Summary,
  { key, told }: { readonly key: number; readonly told: Uint8Array },
): void {
  const expected = { count: 0, sum: 0, min: Infinity, max: -Infinity, windows: 0 };
  const from = Math.max(0, (start - startMs) / sizeMs);
  for (let window = from; window < Math.min(windowCount, (end - startMs) / sizeMs); window++) {
    const truth = truthOf(key, window);
    if (truth.count === 0) continue;
    told[window]! += 1;
    expected.count += truth.count;
    expected.sum += truth.count * truth.value;
    expected.min = Math.min(expected.min, truth.value);
    expected.max = Math.max(expected.max, truth.value);
    expected.windows += 1;
  }
  const { sum = Number.NaN, sumError = 0, min, max } = fields;
  assert.deepEqual({ count, sum: sum + sumError, min, max, windows: merged }, expected);
}
