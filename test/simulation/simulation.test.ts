/**
 * Simulated worlds of fixed seeds: every promise holds in each, and in the long form their faults come
 * through every branch that is marked. More of them: npm run simulate -- --seeds 10000. See docs/testing.md.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { countOf, isLong } from "../support/long-form.ts";
import { requireOtherNode } from "../support/other-node.ts";
import { marks } from "./marks.ts";
import { drawPlan, type Plan } from "./plan.ts";
import { Tally } from "./report.ts";
import { PlanRunner, type RunnerOptions, runPlans } from "./run-plans.ts";

const seeds = countOf("WEIR_TEST_SEEDS", { short: 60, long: 300 });
const from = Number(process.env["WEIR_TEST_SEED"] ?? 1);
/** So many are sure to meet what only some of them do. */
const seedsThatReachAll = 200;
/**
 * Their traces are compared: the first few that have nothing to do with QoS 2 at the gateway, which
 * passes through Node's own streams, and those take other turns in every Node.
 */
const tracedSeeds = Array.from({ length: 100 }, (_, seed) => seed)
  .filter((seed) => drawPlan(seed).devices.every(({ via, qos }) => via === "site" || qos < 2))
  .slice(0, isLong ? 5 : 3);

const reachesAll = seeds >= seedsThatReachAll;
/** Several times what it takes. */
const timeout = 60_000 + seeds * 2_000;

test(`every promise holds in ${seeds} worlds${reachesAll ? ", whose faults reach every mark" : ""}`, {
  timeout,
}, async (t) => {
  const tally = new Tally(marks.map(({ name }) => name));
  const startedAt = performance.now();
  await runPlans(plans(), {
    jobs: 2,
    onOutcome: (outcome) => {
      tally.add(outcome);
      return outcome.violations.length === 0;
    },
  });
  const report = tally.report((performance.now() - startedAt) / 1_000);
  for (const { seed } of report.failed) t.diagnostic(`again: npm run simulate -- --seed ${seed}`);
  assert.deepEqual(report.failed, []);
  t.diagnostic(`${report.simulated_hours} hours, ${report.lives} lives in ${report.seconds} s`);
  if (!reachesAll) return;
  const missed = Object.keys(report.marks).filter((name) => report.marks[name] === 0);
  assert.deepEqual(missed, [], "marks that no world came through");
  assert.ok(report.acknowledged > seeds * 50, "devices were acknowledged");
  assert.ok(report.lives > seeds * 2, "agents died and lived on");
});

function* plans(): Generator<Plan> {
  for (let seed = from; seed < from + seeds; seed++) yield drawPlan(seed);
}

test("the same seed gives the same trace, byte for byte", async () => {
  await assertSameTraces(tracesOf({}));
});

test("and the same with the oldest Node that weir runs on", async (t) => {
  const node = requireOtherNode(t);
  if (node === undefined) return;
  await assertSameTraces(tracesOf({ node }));
});

async function assertSameTraces(others: Promise<readonly string[]>): Promise<void> {
  here ??= tracesOf({});
  const [traces, again] = await Promise.all([here, others]);
  for (const [index, seed] of tracedSeeds.entries()) {
    assert.equal(traces[index], again[index], `seed ${seed}`);
  }
}

/** With this Node; what the others are compared with. */
let here: Promise<readonly string[]> | undefined;

/** Of the traced seeds, each with every request, call and mark. */
async function tracesOf(options: RunnerOptions): Promise<readonly string[]> {
  using runner = new PlanRunner({ ...options, detailed: true });
  const traces: string[] = [];
  for (const seed of tracedSeeds) {
    const { trace } = await runner.run(drawPlan(seed));
    assert.ok(trace.length > 200, "the trace has every call");
    traces.push(trace.join("\n"));
  }
  return traces;
}
