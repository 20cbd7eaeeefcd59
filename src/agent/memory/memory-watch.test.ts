import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../core/limits.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { memoryPlanOf } from "./memory-plan.ts";
import { MemoryWatch } from "./memory-watch.ts";

const plan = memoryPlanOf({ bytes: 96 * 2 ** 20, from: "limits.memory" });

function rig() {
  const clock = new SimulatedClock(0);
  const done: string[] = [];
  const world = { percent: 50 as number | undefined, rows: 40_000, garbage: 0 };
  const watch = new MemoryWatch({
    clock,
    plan,
    anonymousBytes: () =>
      world.percent === undefined
        ? undefined
        : Math.round(((world.percent + world.garbage) / 100) * plan.roomBytes),
    collect: () => {
      done.push("collect");
      world.garbage = 0;
    },
    flush: () => {
      if (world.rows < limits.memoryTableRowsStep) return false;
      done.push("flush");
      return true;
    },
  });
  watch.start();
  /** So many looks later. */
  const looks = (count: number): Promise<void> => clock.pass(count * limits.memoryLookMs);
  return { watch, world, done, looks };
}

test("with room to spare nothing is done", async () => {
  const { watch, done, looks } = rig();
  await looks(100);
  assert.deepEqual(done, []);
  assert.equal(watch.status.level, "easy");
});

test("tight memory flushes and collects, each not more often than its limit", async () => {
  const { watch, world, done, looks } = rig();
  world.percent = 92;
  await looks(60);
  assert.equal(watch.status.level, "tight");
  assert.equal(watch.isShort, false);
  assert.equal(done.filter((each) => each === "flush").length, 6);
  assert.equal(done.filter((each) => each === "collect").length, 2);
  assert.deepEqual([watch.status.flushes, watch.status.collections], [6, 2]);
});

test("short memory collects often, for as long as it is", async () => {
  const { watch, world, done, looks } = rig();
  world.percent = 105;
  world.rows = 0;
  await looks(60);
  assert.equal(done.length, 30);
  world.percent = 92;
  await looks(30);
  assert.equal(watch.status.level, "tight");
  assert.ok(done.length <= 32, `${done.length} collections`);
});

test("few readings in memory are not worth a table", async () => {
  const { world, done, looks } = rig();
  world.percent = 95;
  world.rows = 100;
  await looks(20);
  assert.deepEqual(done, ["collect"]);
});

test("what is short only for garbage is not short", async () => {
  const { watch, world, looks } = rig();
  world.percent = 80;
  world.garbage = 30;
  await looks(1);
  assert.equal(watch.isShort, false);
  assert.ok(watch.status.anonymousBytesPeak > plan.roomBytes);
});

test("short memory is short until it has eased, not a byte below", async () => {
  const { watch, world, looks } = rig();
  world.percent = 101;
  await looks(1);
  assert.equal(watch.isShort, true);
  world.percent = 97;
  await looks(5);
  assert.equal(watch.isShort, true);
  world.percent = 94;
  await looks(1);
  assert.equal(watch.status.level, "tight");
  world.percent = 87;
  await looks(1);
  assert.equal(watch.status.level, "tight");
  world.percent = 84;
  await looks(1);
  assert.equal(watch.status.level, "easy");
});

test("where nobody can tell, nothing is done", async () => {
  const { watch, world, done, looks } = rig();
  world.percent = undefined;
  await looks(10);
  assert.deepEqual(done, []);
  assert.equal(watch.status.anonymousBytes, undefined);
});

test("nothing is looked at once it is closed", async () => {
  const { watch, world, done, looks } = rig();
  watch.close();
  world.percent = 99;
  await looks(10);
  assert.deepEqual(done, []);
});
