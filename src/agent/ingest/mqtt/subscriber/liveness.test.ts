import assert from "node:assert/strict";
import { test } from "node:test";
import { Liveness } from "./liveness.ts";

const SWEEP_MS = 500;

/** Sweeps until `untilMs`; gives when it pinged and, if it did, when it gave up. */
function sweep(
  keepAliveMs: number,
  options: {
    readonly answerMs?: number;
    readonly untilMs: number;
    readonly isReading?: boolean;
    /** Whether a ping is answered. */
    readonly answers: boolean;
  },
): { readonly pings: readonly number[]; readonly deadAt: number | undefined } {
  const { answerMs = 10_000, untilMs, isReading = true, answers } = options;
  const liveness = new Liveness({ keepAliveMs, answerMs });
  liveness.heard(0);
  liveness.sent(0);
  const pings: number[] = [];
  for (let now = 0; now <= untilMs; now += SWEEP_MS) {
    const health = liveness.check(now, { isReading });
    if (health === "dead") return { pings, deadAt: now };
    if (health === "well") continue;
    pings.push(now);
    liveness.sent(now + 1); // an acknowledgement right after the sweep: the worst moment
    if (answers && isReading) liveness.heard(now);
  }
  return { pings, deadAt: undefined };
}

for (const keepAliveMs of [1_000, 2_000, 30_000, 600_000]) {
  for (const isReading of [true, false]) {
    test(`a broker that waits 1.5 of ${keepAliveMs} ms always hears of us, ${isReading ? "" : "not "}reading`, () => {
      const untilMs = keepAliveMs * 10;
      const { pings, deadAt } = sweep(keepAliveMs, { untilMs, isReading, answers: true });
      assert.equal(deadAt, undefined);
      for (const [index, at] of [...pings, untilMs].entries()) {
        const gapMs = at - (pings[index - 1] ?? 0);
        assert.ok(gapMs <= 1.4 * keepAliveMs, `${gapMs} ms`);
      }
      assert.ok(pings.length <= 14, "and not more often than needed");
    });
  }

  test(`a broker that answers nothing is dead after ${keepAliveMs} ms, the answer wait and a sweep`, () => {
    const { deadAt = 0 } = sweep(keepAliveMs, { untilMs: 1e7, answers: false });
    assert.ok(deadAt >= keepAliveMs + 10_000 && deadAt <= keepAliveMs + 10_000 + 2 * SWEEP_MS);
  });
}
