/** A stream against the same readings in one whole run, and at its bounds. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { WindowPipelineSpec } from "../../../src/edge-ops/spec.ts";
import { Refused } from "./machine.ts";
import { type Found, openStream, type Stream, type StreamOptions, takesKeys } from "./stream.ts";

const T = Date.parse("2026-03-01T10:00:00Z");

const pipeline: WindowPipelineSpec = {
  kind: "window",
  name: "window",
  ...takesKeys,
  window: { kind: "tumbling", sizeMs: 10_000 },
  aggregate: ["count", "sum", "p50"],
  allowedLatenessMs: 0,
};

const options: StreamOptions = {
  pipeline,
  time: "message",
  keysMax: 3,
  forgetMs: 0,
  disorderMs: 0,
  idleMs: 60_000,
  futureMs: 0,
  duplicateRing: 0,
};

function open(changed: Partial<StreamOptions> = {}): Stream {
  return openStream({ ...options, ...changed }, undefined, T).stream;
}

/** The same stream, from what it kept, as text and back. */
function reopened(stream: Stream, changed: Partial<StreamOptions> = {}): Stream {
  const kept: unknown = JSON.parse(JSON.stringify(stream.keep() ?? null));
  assert.ok(kept !== null);
  const { stream: next, leftover, trouble } = openStream({ ...options, ...changed }, kept, T);
  assert.equal(trouble, undefined);
  assert.deepEqual(leftover, []);
  return next;
}

function spansOf(found: readonly Found[]): readonly string[] {
  return found.map(({ key, record }) => {
    if (record.kind !== "summary") return "alert";
    const { start, end, count, fields } = record;
    return `${key} ${(start - T) / 1_000}..${(end - T) / 1_000}: ${count}, ${fields.sum}, ${fields.p50}`;
  });
}

const windows: fc.Arbitrary<WindowPipelineSpec["window"]> = fc.constantFrom(
  { kind: "tumbling", sizeMs: 10_000 },
  { kind: "sliding", sizeMs: 10_000, slideMs: 2_000 },
  { kind: "session", gapMs: 3_000, maxMs: 20_000 },
);

test("a stream that is kept and opened anywhere emits what it does in one run", () => {
  const reading = fc.record({
    key: fc.constantFrom("a", "b", "c"),
    value: fc.integer({ min: -5, max: 5 }),
    seconds: fc.integer({ min: 0, max: 90 }),
    isCut: fc.boolean(),
  });
  const times = fc.constantFrom("message", "arrival");
  fc.assert(
    fc.property(fc.array(reading, { maxLength: 60 }), windows, times, (readings, window, time) => {
      const changed = {
        time,
        pipeline: { ...pipeline, window, allowedLatenessMs: 5_000 },
      } as const;
      const whole = open(changed);
      let cut = open(changed);
      let now = T;
      for (const { key, value, seconds, isCut } of readings) {
        now += seconds * 20;
        const taken = { key, value, time: T + seconds * 1_000 };
        const expected = whole.take(taken, now);
        if (isCut && cut.keyCount > 0) cut = reopened(cut, changed);
        assert.deepEqual(cut.take(taken, now), expected);
      }
      assert.deepEqual(cut.wake(now + 120_000), whole.wake(now + 120_000));
      assert.equal(whole.openCount, 0);
    }),
    { numRuns: 40 },
  );
});

test("windows of arrival close at their end, without a message", () => {
  const stream = open({ time: "arrival" });
  assert.equal(stream.wakeAt(), Number.POSITIVE_INFINITY);
  for (const [key, ms] of [
    ["a", 500],
    ["b", 501],
    ["a", 9_999],
  ] as const) {
    assert.equal(stream.take({ key, value: 1 }, T + ms).outcome, "accepted");
  }
  assert.equal(stream.wakeAt(), T + 10_000);
  assert.deepEqual(spansOf(stream.wake(T + 10_000)), ["a 0..10: 2, 2, 1", "b 0..10: 1, 1, 1"]);
  assert.equal(stream.wakeAt(), Number.POSITIVE_INFINITY);
});

test("after the clock was set back arrivals are in the window that is open, also after a restart", () => {
  const stream = open({ time: "arrival" });
  stream.take({ key: "a", value: 1 }, T + 9_000);
  assert.deepEqual(spansOf(stream.wake(T + 11_000)), ["a 0..10: 1, 1, 1"]);
  assert.equal(stream.take({ key: "a", value: 2 }, T + 1_000).outcome, "accepted");
  const next = reopened(stream, { time: "arrival" });
  assert.equal(next.take({ key: "a", value: 3 }, T + 2_000).outcome, "accepted");
  assert.deepEqual(spansOf(next.wake(T + 20_000)), ["a 10..20: 2, 5, 2"]);
});

test("a clock that is put back for long stops no window of arrivals, also not of a stream that was kept", () => {
  const back = 3_600_000;
  for (const isKept of [false, true]) {
    let stream = open({ time: "arrival" });
    stream.take({ key: "a", value: 1 }, T + 1_000);
    if (isKept) stream = reopened(stream, { time: "arrival" });
    const { outcome, found } = stream.take({ key: "a", value: 5 }, T - back + 1_000);
    assert.equal(outcome, "accepted");
    assert.deepEqual(spansOf(found), ["a 0..10: 1, 1, 1"], "what was open is emitted");
    assert.ok(stream.wakeAt() < T - back + 11_000);
    assert.deepEqual(spansOf(stream.wake(T - back + 10_000)), ["a -3600..-3590: 1, 5, 5"]);
  }
});

test("a key that was seen by a clock that ran ahead is forgotten by the clock as it is", () => {
  const stream = open({ keysMax: 1, forgetMs: 10_000 });
  stream.take({ key: "a", value: 1, time: T }, T + 3_600_000);
  assert.throws(() => stream.take({ key: "b", value: 1, time: T }, T), Refused);
  assert.equal(
    stream.take({ key: "b", value: 1, time: T + 20_000 }, T + 20_000).outcome,
    "accepted",
  );
});

test("arrivals in one millisecond are one after another for a chart", () => {
  const chart = {
    kind: "ewma",
    name: "anomaly",
    where: takesKeys.where,
    key: [],
    lambda: 0.5,
    sigmas: 3,
    warmup: 2,
    baseline: 0.1,
    sigmaMin: 0.1,
    rearm: 1,
  } as const;
  const stream = open({ time: "arrival", pipeline: chart });
  const outcomes = [20, 21, 90].map((value) => stream.take({ key: "a", value }, T));
  assert.deepEqual(
    outcomes.map(({ outcome, found }) => `${outcome} ${found.length}`),
    ["accepted 0", "accepted 0", "accepted 1"],
  );
});

test("a silent key is closed after its idle time, and the others go on", () => {
  const stream = open();
  stream.take({ key: "a", value: 1, time: T }, T);
  stream.take({ key: "b", value: 2, time: T }, T + 30_000);
  assert.equal(stream.wakeAt(), T + 60_000);
  assert.deepEqual(spansOf(stream.wake(T + 60_000)), ["a 0..10: 1, 1, 1"]);
  assert.equal(stream.openCount, 1);
});

test("at the bound a new key is refused, until one was silent for long", () => {
  const stream = open({ forgetMs: 30_000 });
  for (const [i, key] of ["a", "b", "c"].entries()) {
    stream.take({ key, value: 1, time: T }, T + i * 1_000);
  }
  const late = { key: "d", value: 4, time: T + 29_999 };
  assert.throws(() => stream.take(late, T + 29_999), Refused);
  assert.throws(() => stream.take(late, T + 29_999), /one key more than the 3 that the node keeps/);
  const { outcome, found } = stream.take({ ...late, time: T + 30_000 }, T + 30_000);
  assert.equal(outcome, "accepted");
  assert.deepEqual(spansOf(found), ["a 0..10: 1, 1, 1"]);
  assert.deepEqual([stream.keyCount, stream.openCount], [3, 3]);
  const after = reopened(stream, { forgetMs: 30_000 });
  assert.deepEqual(
    spansOf(after.take({ key: "d", value: 1, time: T + 41_000 }, T + 41_000).found),
    ["d 30..40: 1, 4, 4"],
  );
  assert.throws(() => after.take({ key: "a", value: 1, time: T }, T + 30_500), Refused);
});

test("a key that took the place of another is late before where that one ended", () => {
  const stream = open({ keysMax: 1, forgetMs: 10_000 });
  stream.take({ key: "a", value: 1, time: T + 5_000 }, T);
  const { outcome, found } = stream.take({ key: "b", value: 1, time: T }, T + 10_000);
  assert.deepEqual(spansOf(found), ["a 0..10: 1, 1, 1"]);
  assert.equal(outcome, "late");
});

test("what was open under other options is emitted", () => {
  const stream = open();
  stream.take({ key: "a", value: 3, time: T }, T);
  const kept: unknown = JSON.parse(JSON.stringify(stream.keep()));
  const { stream: next, leftover } = openStream({ ...options, keysMax: 2 }, kept, T);
  assert.deepEqual(spansOf(leftover), ["a 0..10: 1, 3, 3"]);
  assert.deepEqual([next.keyCount, next.openCount], [0, 0]);
});

test("what it cannot read is said, and it begins anew", () => {
  const stream = open();
  stream.take({ key: "a", value: 3, time: T }, T);
  const kept: { version: number; chunks: [string, number, string][] } = JSON.parse(
    JSON.stringify(stream.keep()),
  );
  const broken = kept.chunks.map(([table, chunk]) => [table, chunk, "AAAA"]);
  for (const other of [{ ...kept, version: 2 }, { ...kept, chunks: broken }, {}, "text"]) {
    const opened = openStream(options, other, T);
    assert.match(opened.trouble ?? "", /of another version/);
    assert.equal(opened.stream.keyCount, 0);
  }
});

test("nothing is kept again while nothing changes", () => {
  const stream = open();
  stream.take({ key: "a", value: 3, time: T }, T);
  assert.notEqual(stream.keep(), undefined);
  assert.equal(stream.keep(), undefined);
});
