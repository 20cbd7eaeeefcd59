/**
 * `npm run simulate`: many worlds, or one of them with its trace.
 *
 *   --seeds N            worlds of seeds 1 to N (100)
 *   --from N             the first seed (1)
 *   --seed N             that world alone, with a readable trace
 *   --plan FILE          the same for a plan, or a regression file
 *   --detailed           the trace has every request, call and mark
 *   --shrink FILE        a world that fails is made as small as it can be and written there, as a
 *                        regression file (with --seed or --plan)
 *   --canary NAME        with a fault put into the agent on purpose (canaries.ts)
 *   --seconds S          begin no world after so long
 *   --jobs N             processes (as many as there are cores)
 *   --json               one JSON object at the end, and nothing else on standard output
 *
 * Exit code: 0 all promises held, 1 one did not, 2 usage.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { canaries } from "./canaries.ts";
import { marks } from "./marks.ts";
import type { Violation } from "./oracle/evidence.ts";
import { drawPlan, type Plan } from "./plan.ts";
import { readRegression, type Regression } from "./regression.ts";
import { Tally } from "./report.ts";
import { PlanRunner, runPlan, runPlans } from "./run-plans.ts";
import { shrink } from "./shrink.ts";
import type { Outcome } from "./simulate.ts";

const usage = `usage: npm run simulate -- [--seeds N] [--from N] [--seconds S] [--jobs N] [--json]
       npm run simulate -- --seed N | --plan FILE [--detailed] [--shrink FILE]
       --canary NAME with either: ${canaries.map(({ name }) => name).join(", ")}`;

const { values } = readArguments();
const canary = values.canary === undefined ? {} : { canary: values.canary };

if (values.seed !== undefined || values.plan !== undefined) await one();
else await many();

function readArguments(): { readonly values: ReturnType<typeof parse>["values"] } {
  try {
    const { values: given } = parse();
    for (const name of ["seeds", "from", "seed", "seconds", "jobs"] as const) {
      const value = given[name];
      if (value !== undefined && !/^\d+$/.test(value)) wrong(`--${name} ${value} is no number`);
    }
    if (given.canary !== undefined && !canaries.some(({ name }) => name === given.canary)) {
      wrong(`there is no canary ${given.canary}`);
    }
    if (given.help === true) {
      console.log(usage);
      process.exit(0);
    }
    return { values: given };
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
}

function parse() {
  return parseArgs({
    options: {
      seeds: { type: "string", default: "100" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      plan: { type: "string" },
      detailed: { type: "boolean", default: false },
      shrink: { type: "string" },
      canary: { type: "string" },
      seconds: { type: "string" },
      jobs: { type: "string", default: String(availableParallelism()) },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
}

function wrong(what: string): never {
  console.error(`${what}\n${usage}`);
  process.exit(2);
}

// ---- one world ----

async function one(): Promise<void> {
  const plan = values.plan === undefined ? drawPlan(Number(values.seed)) : planIn(values.plan);
  const outcome = await runPlan(plan, { ...canary, detailed: values.detailed });
  if (values.json) console.log(JSON.stringify({ ...outcome, trace: undefined }));
  else for (const line of outcome.trace) console.log(line);
  if (!values.json)
    console.log(`${outcome.violations.length === 0 ? "all promises held" : "FAILED"}`);
  if (outcome.violations.length === 0) return;
  process.exitCode = 1;
  if (values.shrink !== undefined) await shrinkTo(values.shrink, plan, outcome.violations[0]!);
}

function planIn(path: string): Plan {
  const { plan } = readRegression(readFileSync(path, "utf8"), path);
  return plan;
}

async function shrinkTo(path: string, plan: Plan, violation: Violation): Promise<void> {
  const { promise } = violation;
  using runner = new PlanRunner(canary);
  let tried = 0;
  const fails = async (smaller: Plan): Promise<boolean> => {
    tried += 1;
    const { violations } = await runner.run(smaller);
    return violations.some((found) => found.promise === promise);
  };
  const smallest = await shrink(plan, fails, ({ faults, devices, durationMs }) => {
    console.error(
      `${tried} tried: ${faults.length} faults, ${devices.length} devices, ${durationMs} ms`,
    );
  });
  const regression: Regression = {
    promise,
    note: `seed ${plan.seed}: ${violation.what.split("\n")[0]}`,
    plan: smallest,
  };
  writeFileSync(path, `${JSON.stringify(regression, undefined, 2)}\n`);
  console.error(`written to ${path}: say in its note what it was, and commit it with the fix`);
}

// ---- many worlds ----

async function many(): Promise<void> {
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1_000;
  const [from, count] = [Number(values.from), Number(values.seeds)];
  const secondsMax =
    values.seconds === undefined ? Number.POSITIVE_INFINITY : Number(values.seconds);
  const tally = new Tally(marks.map(({ name }) => name));
  let toldAt = 0;
  await runPlans(plansOf(from, count), {
    ...canary,
    jobs: Number(values.jobs),
    onOutcome: (outcome) => {
      tally.add(outcome);
      if (outcome.violations.length > 0) tellFailed(outcome);
      if (seconds() - toldAt > 10) {
        toldAt = seconds();
        console.error(`${tally.seeds} of ${count} worlds, ${tally.failed.length} failed`);
      }
      return seconds() < secondsMax;
    },
  });
  const report = tally.report(seconds());
  if (values.json) console.log(JSON.stringify(report));
  else
    console.log(
      `${report.seeds} worlds, ${report.simulated_hours} hours, ${report.failed.length} failed, in ${report.seconds} s`,
    );
  process.exitCode = report.failed.length > 0 ? 1 : 0;
}

function* plansOf(from: number, count: number): Generator<Plan> {
  for (let seed = from; seed < from + count; seed++) yield drawPlan(seed);
}

function tellFailed({ seed, violations }: Outcome): void {
  console.error(`seed ${seed} failed: again with npm run simulate -- --seed ${seed}`);
  for (const { promise, what } of violations.slice(0, 3)) {
    console.error(`  ${promise}: ${what.split("\n")[0]}`);
  }
}
