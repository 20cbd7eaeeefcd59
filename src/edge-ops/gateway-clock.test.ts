import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../core/limits.ts";
import { millis } from "../core/units.ts";
import { GatewayClock } from "./gateway-clock.ts";

const tick = limits.tickMs;

function after(...observations: readonly (readonly [number, boolean])[]): GatewayClock {
  const clock = new GatewayClock();
  for (const [wall, trusted] of observations) clock.observe(millis(wall), trusted);
  return clock;
}

test("steps back and the step into trust are no time that passed", () => {
  assert.equal(after([1_000, true], [500, true]).steady, 1_000);
  assert.equal(after([1_000, true], [500, true], [500 + tick, true]).steady, 1_000 + tick);
  assert.equal(after([0, false], [1.7e12, true], [1.7e12 + tick, true]).steady, tick);
  assert.equal(after([1_000, true], [9_000, true]).steady, 9_000);
});

test("observations closer than tickMs are left out, and add up", () => {
  const clock = after([0, true]);
  assert.equal(clock.observe(millis(tick - 1), true), false);
  assert.equal(clock.observe(millis(tick), true), true);
  assert.equal(clock.steady, tick);
});

test("it never goes back, and an observation said twice is one", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: -1e4, max: 1e4 }), fc.boolean())), (list) => {
      const clock = new GatewayClock();
      let before = Number.NEGATIVE_INFINITY;
      for (const [wall, trusted] of list) {
        clock.observe(millis(wall), trusted);
        assert.ok(clock.steady >= before);
        before = clock.steady;
        assert.equal(clock.observe(millis(wall), trusted), false);
        assert.equal(clock.steady, before);
      }
    }),
  );
});

test("at `wallAt` a frame ticks, and finds the deadline past", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 1e6 }), { minLength: 1 }),
      fc.nat(1e4),
      (list, wait) => {
        const clock = after(...list.map((wall) => [wall, true] as const));
        const deadline = clock.steady + wait;
        assert.ok(clock.observe(millis(clock.wallAt(deadline)), true));
        assert.ok(clock.steady >= deadline);
      },
    ),
  );
});
