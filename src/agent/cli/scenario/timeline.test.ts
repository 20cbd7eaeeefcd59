import assert from "node:assert/strict";
import { test } from "node:test";
import { type Step, timelineOf } from "./timeline.ts";

const kills: Step = {
  action: { kind: "agent", how: "kill" },
  when: { kind: "again", everyMs: 10_000, fromMs: 5_000, untilMs: 60_000 },
  jitterMs: 4_000,
  forMs: 8_000,
  text: "agent kill",
};
const fill: Step = {
  ...kills,
  action: { kind: "disk" },
  when: { kind: "once", atMs: 0 },
  jitterMs: 0,
};

test("each beginning has its end, in the order of time, and nothing goes beyond the end", () => {
  const moments = timelineOf([kills, fill], { seed: 1, endMs: 30_000 });
  const begun = new Map<number, number>();
  let before = 0;
  for (const { atMs, phase, occurrence, step } of moments) {
    assert.ok(atMs >= before && atMs <= 30_000);
    before = atMs;
    if (phase === "begin") begun.set(occurrence, atMs);
    else {
      assert.equal(atMs, Math.min(30_000, begun.get(occurrence)! + step.forMs));
      begun.delete(occurrence);
    }
  }
  assert.equal(begun.size, 0);
  assert.equal(moments.length, 2 * (3 + 1));
});

test("one seed is one timeline, another is another", () => {
  const of = (seed: number) => timelineOf([kills], { seed, endMs: 60_000 }).map(({ atMs }) => atMs);
  assert.deepEqual(of(7), of(7));
  assert.notDeepEqual(of(7), of(8));
});
