/**
 * An uplink that is away for a month while the outbox has room for hours: summaries are merged into
 * coarser ones, nobody waits, and afterwards Kafka has every reading once.
 *
 * Scale: a gateway of 1,000 keys and 200 MB is taken to a key and 100 KB, half of its share: a block of
 * few keys is compressed less. All else is as it is: windows of 10 s, 30 days, the tiers of the default
 * configuration; windows are committed every ten minutes. WEIR_TEST_OUTAGE_KEYS takes more keys, with
 * their share of bytes.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tags } from "../../src/core/frame.ts";
import { millis } from "../../src/core/units.ts";
import { OutboxWriter } from "../../src/store/outbox/outbox.ts";
import { encodeSummary } from "../../src/store/outbox/record-codec.ts";
import {
  type HalfOptions,
  startHalf,
  type UpstreamHalf,
  UpstreamWorld,
} from "../support/kafka/upstream-half.ts";
import { digestOf, histories, lastCursor } from "../support/kafka/upstream-oracle.ts";
import { isLong } from "../support/long-form.ts";
import { below } from "../support/seeded-random.ts";

const keyCount = Number(process.env["WEIR_TEST_OUTAGE_KEYS"] ?? 1);
const bytesMax = keyCount * 100_000;
/** Operators keep one object per key. */
const keys = Array.from({ length: keyCount }, (_, key): Tags => [["device", `d${key}`]]);
const sizeMs = 10_000;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const tiers = [sizeMs, minute, 10 * minute, hour, day];
const startMs = Date.UTC(2026, 0, 1, 10, 30);
const stepMs = 10 * minute;
/** Before the uplink goes away: not at a multiple of a coarse tier. */
const beforeMs = 100 * minute;
const days = isLong ? 30 : 12;
const windowsMax = ((days + 2) * day) / sizeMs;

type Record = {
  readonly key: { readonly device: string };
  readonly start: number;
  readonly resolution: number;
  readonly count: number;
  readonly sum: number;
  readonly sumError: number;
  readonly min: number;
  readonly max: number;
  readonly merged?: number;
};

/** A reading a second in every window but a few, or fewer, all of one value; by key and window. */
class Month {
  readonly world: UpstreamWorld = new UpstreamWorld(7);
  readonly counts: readonly Uint8Array[] = Array.from(
    { length: keyCount },
    () => new Uint8Array(windowsMax),
  );
  half!: UpstreamHalf;
  window = 0;
  waited = 0;
  bytesSeenMax = 0;

  async start(remains: Pick<HalfOptions, "image"> = {}): Promise<void> {
    const windows = () => new Map([["temp", { sizeMs, latenessMs: 0 }]]);
    this.half = await startHalf(this.world, {
      ...remains,
      rollup: { bytesMax, tiers, windows, mayDrop: false },
    });
  }

  /** Windows close, and are committed every ten minutes. */
  async pass(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= stepMs) {
      const outbox = new OutboxWriter();
      for (let at = 0; at < stepMs; at += sizeMs) this.#close(outbox);
      const committed = this.half.commit(outbox);
      if (this.half.store.status.outboxFull) this.waited += 1;
      await this.world.pass(stepMs);
      await committed;
      const { bytes } = this.half.store.status.outbox["summaries"];
      this.bytesSeenMax = Math.max(this.bytesSeenMax, bytes);
    }
  }

  #close(outbox: OutboxWriter): void {
    const { random } = this.world;
    const start = startMs + this.window * sizeMs;
    for (let key = 0; key < keyCount; key++) {
      const count = below(random, 50) === 0 ? below(random, 10) : 10;
      this.counts[key]![this.window] = count;
      if (count === 0) continue;
      const value = valueOf(this.window);
      const fields = { sum: count * value, sumError: 0, min: value, max: value };
      const summary = encodeSummary("gw1", {
        kind: "summary",
        pipeline: "temp",
        key: keys[key]!,
        start: millis(start),
        end: millis(start + sizeMs),
        revision: 0,
        count,
        fields,
        arrivalTimed: 0,
      });
      outbox.add("summaries", summary);
    }
    this.window += 1;
  }
}

/** A multiple of an eighth that tells windows apart. */
function valueOf(window: number): number {
  return ((window * 7_919) % 100_003) / 8;
}

test(`${days} days without an uplink: bytes in their bound, nobody waits, every reading arrives once`, async (t) => {
  const month = new Month();
  const { world } = month;
  await month.start();
  await month.pass(beforeMs);
  assert.ok(await world.until(() => month.half.isDone));
  world.fate = () => "lose-request";
  for (let n = 0; n < days; n++) {
    await month.pass(day - stepMs);
    if (n % 9 === 4) await month.start(month.half.crash());
    await month.pass(stepMs);
  }
  const { merged, coarser } = month.half.rollup.counts;
  const { records } = month.half.store.status.outbox["summaries"];
  t.diagnostic(
    `${month.window * keyCount} windows, ${merged} merged to ${coarser}, ${records} wait in at most ${month.bytesSeenMax} of ${bytesMax} bytes`,
  );
  assert.ok(month.bytesSeenMax <= bytesMax, `${month.bytesSeenMax} bytes`);
  assert.equal(month.waited, 0, "no commit waited");
  world.fate = () => "answer";
  assert.ok(await world.until(() => month.half.isDone), String(month.half.status().trouble));
  await month.pass(stepMs);
  assert.ok(await world.until(() => month.half.isDone));
  world.cluster.settle();
  const all = (["summaries", "backfill"] as const).flatMap((lane) => {
    const [found, ...others] = [...histories(world.cluster, lane, "a month")];
    assert.ok(found !== undefined && others.length === 0, `${lane}: it is one outbox`);
    const [, values] = found;
    const cursor = lastCursor(world.cluster, "gw1", lane);
    assert.equal(cursor.seq, values.length);
    assert.equal(cursor.digest, digestOf(values), "the digest is that of the values");
    assert.equal(month.half.status(lane).incidents.count, 0);
    assert.equal(month.half.status(lane).missing, 0);
    return values.map((value): Record => JSON.parse(value));
  });
  const sum = month.counts.reduce((total, counts) => total + counts.reduce((a, b) => a + b, 0), 0);
  assert.equal(
    all.reduce((total, { count }) => total + count, 0),
    sum,
    "every reading is counted",
  );
  for (let key = 0; key < keyCount; key++) {
    const ofKey = all
      .filter((record) => record.key.device === `d${key}`)
      .toSorted((a, b) => a.start - b.start);
    checkCover(ofKey, month.counts[key]!);
    checkResolutions(ofKey, t);
  }
});

/** Each window is in one record, and that says what is true of its windows. */
function checkCover(records: readonly Record[], counts: Uint8Array): void {
  let window = 0;
  for (const record of records) {
    const first = (record.start - startMs) / sizeMs;
    while (window < first) assert.equal(counts[window++], 0, "a window is in no record");
    // A coarser interval may begin before the first window ever.
    assert.ok(window >= first, "a window is in two records");
    const expected = { count: 0, sum: 0, min: Infinity, max: -Infinity, windows: 0 };
    for (; window < first + record.resolution / sizeMs; window++) {
      const count = counts[window]!;
      if (count === 0) continue;
      const value = valueOf(window);
      expected.count += count;
      expected.sum += count * value;
      expected.min = Math.min(expected.min, value);
      expected.max = Math.max(expected.max, value);
      expected.windows += 1;
    }
    const { count, sum, sumError, min, max, merged: windows = 1 } = record;
    assert.deepEqual({ count, sum: sum + sumError, min, max, windows }, expected);
  }
  for (; window < counts.length; window++) assert.equal(counts[window], 0, "a window is missing");
}

/**
 * The policy: behind what was sent, whose interval stays as fine as it was, older is never finer than
 * newer; the oldest is coarse, and the newest as it was emitted.
 */
function checkResolutions(
  records: readonly Record[],
  t: { diagnostic: (text: string) => void },
): void {
  const outage = records.findIndex(({ start }) => start >= startMs + beforeMs);
  assert.ok(records.slice(0, outage).every(({ resolution }) => resolution === sizeMs));
  const coarsest = Math.max(...records.map(({ resolution }) => resolution));
  const whole = records.findIndex(({ resolution }) => resolution === coarsest);
  const beside = records.slice(outage, whole).map(({ resolution }) => resolution);
  assert.deepEqual(
    beside,
    beside.toSorted((a, b) => a - b),
    "up to the first whole interval",
  );
  const after = records.slice(whole).map(({ resolution }) => resolution);
  assert.deepEqual(
    after,
    after.toSorted((a, b) => b - a),
    "older is coarser",
  );
  assert.equal(after.at(-1), sizeMs);
  assert.ok(coarsest >= hour);
  const shares = tiers.map(
    (tier) => `${after.filter((resolution) => resolution === tier).length} of ${tier / 1_000} s`,
  );
  t.diagnostic(shares.join(", "));
}
