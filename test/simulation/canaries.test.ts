/**
 * The simulator finds what it is there for: each fault that is put into the agent on purpose breaks a
 * promise in some world, and the verdict names it.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { canaries } from "./canaries.ts";
import type { Violation } from "./oracle/evidence.ts";
import { drawPlan, type Plan } from "./plan.ts";
import { PlanRunner, runPlans } from "./run-plans.ts";
import { shrink } from "./shrink.ts";

const seedsMax = 500;

for (const { name, breaks } of canaries) {
  test(`the canary ${name} is found, and breaks ${breaks.join(" or ")}`, async (t) => {
    const { seed, violations } = await findCanary(name);
    const [first] = violations;
    assert.ok(first !== undefined, `not found in ${seedsMax} worlds`);
    t.diagnostic(`seed ${seed}: ${first.promise}: ${first.what.split("\n")[0]}`);
    const named = new Set(violations.map(({ promise }) => promise));
    assert.ok(
      breaks.some((promise) => named.has(promise)),
      `the verdict names ${[...named].join(", ")}`,
    );
  });
}

/** The first world in which a promise does not hold. */
async function findCanary(
  canary: string,
): Promise<{ readonly seed: number; readonly violations: readonly Violation[] }> {
  let found: { readonly seed: number; readonly violations: readonly Violation[] } | undefined;
  await runPlans(plans(), {
    canary,
    jobs: 2,
    onOutcome: ({ seed, violations }) => {
      if (violations.length > 0) found ??= { seed, violations };
      return found === undefined;
    },
  });
  return found ?? { seed: 0, violations: [] };
}

function* plans(): Generator<Plan> {
  for (let seed = 1; seed <= seedsMax; seed++) yield drawPlan(seed);
}

test("a world that fails is shrunk to what it takes", async () => {
  const canary = "apply-resend-twice";
  const { seed } = await findCanary(canary);
  using runner = new PlanRunner({ canary });
  const fails = async (plan: Plan): Promise<boolean> => {
    const { violations } = await runner.run(plan);
    return violations.some(({ promise }) => promise === "P9");
  };
  const plan = drawPlan(seed);
  const smallest = await shrink(plan, fails);
  assert.equal(smallest.devices.length, 1);
  assert.ok(
    smallest.faults.length <= 1,
    `${smallest.faults.length} of ${plan.faults.length} faults`,
  );
  assert.ok(smallest.durationMs < plan.durationMs / 2);
});
