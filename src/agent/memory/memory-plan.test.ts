import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../core/limits.ts";
import { memoryPlanOf } from "./memory-plan.ts";

const MiB = 2 ** 20;
const plan = (bytes: number): ReturnType<typeof memoryPlanOf> =>
  memoryPlanOf({ bytes, from: "a test" });

test("under 96 MiB every bound is a small one", () => {
  const { roomBytes, seriesMax, tableRowsMax, front, access, ...others } = plan(96 * MiB);
  assert.equal(roomBytes, 68 * MiB);
  assert.equal(seriesMax, 2_048);
  assert.equal(tableRowsMax, 65_536);
  assert.equal(front.connectionsMax, 256);
  assert.equal(front.heldBytesMax, 2 * MiB);
  assert.equal(access.passwordChecksMax, 1);
  assert.equal(others.queriesMax, 1);
  assert.equal(others.postBodiesBytesMax, 2 * MiB);
});

test("a ceiling that is high enough changes no bound", () => {
  const high = plan(4_096 * MiB);
  assert.equal(high.seriesMax, limits.seriesMax);
  assert.equal(high.tableRowsMax, limits.memoryTableRowsMax);
  assert.equal(high.pendingOutputBytesMax, limits.pendingOutputBytesMax);
  assert.equal(high.outboxRunBytesMax, limits.outboxRollupBytesMax);
  assert.equal(high.queriesMax, limits.queriesMax);
  assert.equal(high.postBodiesBytesMax, limits.postBodiesBytesMax);
  for (const [name, value] of Object.entries({ ...high.front, ...high.access })) {
    assert.equal(value, limits[name as keyof typeof limits], name);
  }
});

test("more memory never makes a bound smaller, and no ceiling makes one useless", () => {
  const ceiling = fc.integer({ min: 0, max: 1_024 * MiB });
  fc.assert(
    fc.property(ceiling, ceiling, (one, other) => {
      const low = numbersOf(plan(Math.min(one, other)));
      const high = numbersOf(plan(Math.max(one, other)));
      for (const [index, value] of low.entries()) assert.ok(value <= high[index]!);
      const { tableRowsMax, seriesMax, front } = plan(one);
      assert.ok(tableRowsMax >= limits.batchRowsMax && seriesMax >= limits.memorySeriesMin);
      assert.ok(front.heldBytesMax >= limits.heldBytesPerConnectionMax);
      assert.ok(front.outboundBytesPerConnectionMax > limits.ownUnreadBytes);
    }),
  );
});

function numbersOf({ ceiling: _, front, access, ...rest }: ReturnType<typeof plan>): number[] {
  return [front, access, rest].flatMap((part) => Object.values(part));
}
