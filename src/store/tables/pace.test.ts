import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { limits } from "../../core/limits.ts";
import { Pace } from "./pace.ts";

/** Somebody who breathes when a step's time is over; whether that is done. */
async function breathing(clock: SimulatedClock, pace: Pace): Promise<() => boolean> {
  await clock.pass(limits.workStepMs);
  let isOver = false;
  void pace.breathe().then(() => {
    isOver = true;
  });
  return () => isOver;
}

test("work waits for the end of what goes first", async () => {
  const clock = new SimulatedClock(0);
  const pace = new Pace(clock);
  const first = Promise.withResolvers<void>();
  pace.giveWayTo(first.promise);
  const isOver = await breathing(clock, pace);
  await clock.pass(limits.giveWayMsMax - 1);
  assert.equal(isOver(), false);
  first.reject(new Error("a failed append is an end, too"));
  await clock.pass(0);
  assert.equal(isOver(), true);
});

test("but not for ever, and not for what is over", async () => {
  const clock = new SimulatedClock(0);
  const pace = new Pace(clock);
  pace.giveWayTo(Promise.withResolvers().promise);
  const isOver = await breathing(clock, pace);
  await clock.pass(limits.giveWayMsMax);
  assert.equal(isOver(), true);
  pace.giveWayTo(Promise.resolve());
  const isOverAgain = await breathing(clock, pace);
  await clock.pass(0);
  assert.equal(isOverAgain(), true);
});

test("who has a share of the time rests for the others' share of it, and not when it is stopped", async () => {
  const clock = new SimulatedClock(0);
  const pace = new Pace(clock);
  await clock.pass(limits.workStepMs);
  let isOver = false;
  void pace
    .breathe(() => 0.25)
    .then(() => {
      isOver = true;
    });
  await clock.pass(3 * limits.workStepMs - 1);
  assert.equal(isOver, false);
  await clock.pass(1);
  assert.equal(isOver, true);
  await clock.pass(1_000);
  const breath = pace.breathe(() => 0.25);
  await clock.pass(0);
  pace.stop();
  await breath;
  await assert.rejects(pace.breathe(), { name: "Stopped" });
});
