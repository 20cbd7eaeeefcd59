/**
 * The simulator finds what it is there for: each fault that is put into the agent on purpose breaks a
 * promise in some world, and the verdict names it. In the short form there is one fault for each promise.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isLong } from "../support/long-form.ts";
import { canaries, type Canary } from "./canaries.ts";
import type { Violation } from "./oracle/evidence.ts";
import { drawPlan, type Plan } from "./plan.ts";
import { PlanRunner, runPlans } from "./run-plans.ts";
import { shrink } from "./shrink.ts";

const seedsMax = 500;
const allSeeds = Array.from({ length: seedsMax }, (_, index) => index + 1);

type Found = { readonly seed: number; readonly violations: readonly Violation[] };

for (const canary of isLong ? canaries : oneForEachPromise()) {
  const { name, breaks } = canary;
  test(`the canary ${name} is found, and breaks ${breaks.join(" or ")}`, async (t) => {
    const { seed, violations } = await find(canary);
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

function oneForEachPromise(): readonly Canary[] {
  const promises = new Set(canaries.flatMap(({ breaks }) => breaks));
  const first = [...promises].map((promise) =>
    canaries.find(({ breaks }) => breaks.includes(promise)),
  );
  return [...new Set(first.filter((canary) => canary !== undefined))];
}

/**
 * A world in which a promise does not hold: one in which it was found before, or, where worlds have
 * changed since, the first of all.
 */
async function find({ name, seeds }: Canary): Promise<Found> {
  assert.ok(
    seeds.every((seed) => seed >= 1 && seed <= seedsMax),
    "they are of the worlds",
  );
  const again = await firstThatFails(name, { seeds, jobs: 1 });
  if (again !== undefined) return again;
  const found = await firstThatFails(name, { seeds: allSeeds, jobs: 2 });
  if (found === undefined) return { seed: 0, violations: [] };
  console.log(`canary ${name}: found in world ${found.seed}, not in ${seeds.join(", ")}`);
  return found;
}

async function firstThatFails(
  canary: string,
  { seeds, jobs }: { readonly seeds: readonly number[]; readonly jobs: number },
): Promise<Found | undefined> {
  let found: Found | undefined;
  await runPlans(seeds.values().map(drawPlan), {
    canary,
    jobs,
    onOutcome: ({ seed, violations }) => {
      if (violations.length > 0) found ??= { seed, violations };
      return found === undefined;
    },
  });
  return found;
}

test("a world that fails is shrunk to what it takes", async () => {
  const canary = canaries.find(({ name }) => name === "apply-resend-twice");
  assert.ok(canary !== undefined);
  const { seed } = await find(canary);
  using runner = new PlanRunner({ canary: canary.name });
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
