import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import type { Trouble } from "./health.ts";
import { type Verdict, Watch, type WatchOptions } from "./watch.ts";

const forMs = 60_000;
const kafka: Trouble = { name: "uplink kafka alerts", message: "nobody is there", isEarly: false };

class World {
  readonly clock = new SimulatedClock(1_764_000_000_000);
  troubles: readonly Trouble[] = [];
  verdicts: Verdict[] = [];
  readonly watch: Watch;

  constructor(options: Partial<WatchOptions> = {}) {
    this.watch = new Watch({
      clock: this.clock,
      forMs,
      troubles: () => this.troubles,
      before: [],
      blames: ["uplink ", "degraded "],
      onVerdict: (verdict) => this.verdicts.push(verdict),
      ...options,
    });
  }
}

test("an agent without trouble is well at the end, and not before", async () => {
  const world = new World();
  await world.clock.pass(forMs - 1);
  assert.deepEqual(world.verdicts, []);
  await world.clock.pass(1);
  assert.deepEqual(world.verdicts, [{ kind: "well" }]);
  await world.clock.pass(forMs);
  assert.equal(world.verdicts.length, 1);
});

test("what lasts for half of the time and to the end is its fault", async () => {
  const world = new World();
  await world.clock.pass(forMs / 2 - 2_000);
  world.troubles = [kafka];
  await world.clock.pass(forMs);
  assert.deepEqual(world.verdicts, [
    { kind: "ill", code: "unhealthy", reason: "uplink kafka alerts: nobody is there" },
  ]);
});

test("what passes, or has only begun, is not", async () => {
  const passing = new World();
  passing.troubles = [kafka];
  await passing.clock.pass(forMs - 5_000);
  passing.troubles = [];
  await passing.clock.pass(2_000);
  passing.troubles = [kafka];
  await passing.clock.pass(forMs);
  assert.deepEqual(passing.verdicts, [{ kind: "well" }]);
});

test("what was there before, or is of a part that it did not touch, is not", async () => {
  for (const options of [{ before: [kafka.name] }, { blames: ["broker "] }]) {
    const world = new World(options);
    world.troubles = [kafka];
    await world.clock.pass(forMs);
    assert.deepEqual(world.verdicts, [{ kind: "well" }], JSON.stringify(options));
  }
});

test("what no waiting heals is told at once", async () => {
  const world = new World();
  world.troubles = [{ name: "degraded uplink_halted", message: "fenced", isEarly: false }];
  await world.clock.pass(2_000);
  assert.deepEqual(world.verdicts, [
    { kind: "ill", code: "unhealthy", reason: "degraded uplink_halted: fenced" },
  ]);
});

test("a watch that is closed says nothing", async () => {
  const world = new World();
  world.watch.close();
  await world.clock.pass(2 * forMs);
  assert.deepEqual(world.verdicts, []);
});
