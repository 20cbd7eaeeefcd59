/**
 * `npm run simulate`: many worlds, or one of them with its trace. What it takes is in `help`.
 *
 *   options ──▶ many: plans of seeds ──▶ run-plans ──▶ tally ──▶ report
 *           └─▶ one: a plan ──▶ trace ──▶ shrink ──▶ a regression file
 */

import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
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

const help = `usage: npm run simulate -- [--seeds N] [--from N] [--seconds S] [--jobs N] [--json]
       npm run simulate -- --seed N | --plan FILE [--detailed] [--shrink FILE] [--json]

Many worlds:
  --seeds N       so many (100; with --seconds as many as there is time for)
  --from N        the first seed (1)
  --seconds S     begin no world after so long
  --jobs N        processes (as many as there are cores)
  --json          one JSON object at the end, and nothing else on standard output
One world:
  --seed N        with a readable trace
  --plan FILE     the plan of a regression file
  --detailed      every request, call and mark in the trace
  --shrink FILE   if it fails: made as small as it can be, and written there as a regression file
Either:
  --canary NAME   a fault put into the agent on purpose:
                  ${canaries.map(({ name }) => name).join("\n                  ")}

Exit code: 0 all promises held, 1 one did not, 2 usage.`;

const seedMax = 2 ** 32 - 1;

const values = readArguments();
const canary = values.canary === undefined ? {} : { canary: values.canary };
const again = values.canary === undefined ? "" : ` --canary ${values.canary}`;

if (values.seed !== undefined || values.plan !== undefined) await one();
else await many();

// ---- arguments ----

type Arguments = ReturnType<typeof parse>;

function readArguments(): Arguments {
  let given: Arguments;
  try {
    given = parse();
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
  if (given.help === true) {
    console.log(help);
    process.exit(0);
  }
  for (const name of ["seeds", "from", "seed", "seconds", "jobs"] as const) {
    const value = given[name];
    if (value === undefined) continue;
    const least = name === "seeds" || name === "jobs" || name === "seconds" ? 1 : 0;
    if (!/^\d+$/.test(value) || Number(value) < least || Number(value) > seedMax) {
      wrong(`--${name} ${value} is no whole number from ${least} to ${seedMax}`);
    }
  }
  if (given.canary !== undefined && !canaries.some(({ name }) => name === given.canary)) {
    wrong(`there is no canary ${given.canary}`);
  }
  const isOne = given.seed !== undefined || given.plan !== undefined;
  const others = isOne
    ? (["seeds", "from", "seconds", "jobs"] as const)
    : (["detailed", "shrink"] as const);
  for (const name of others) {
    if (given[name] !== undefined) {
      wrong(`--${name} is for ${isOne ? "many worlds" : "one world: --seed N or --plan FILE"}`);
    }
  }
  if (given.seed !== undefined && given.plan !== undefined) wrong("--seed or --plan, not both");
  return given;
}

function parse() {
  return parseArgs({
    options: {
      seeds: { type: "string" },
      from: { type: "string" },
      seed: { type: "string" },
      plan: { type: "string" },
      detailed: { type: "boolean" },
      shrink: { type: "string" },
      canary: { type: "string" },
      seconds: { type: "string" },
      jobs: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  }).values;
}

function wrong(what: string): never {
  console.error(`${what}\n\n${help}`);
  process.exit(2);
}

// ---- one world ----

async function one(): Promise<void> {
  const plan = values.plan === undefined ? drawPlan(Number(values.seed)) : planIn(values.plan);
  if (values.shrink !== undefined) checkWritable(values.shrink);
  const outcome = await runPlan(plan, { ...canary, detailed: values.detailed ?? false });
  const { trace, ...rest } = outcome;
  if (values.json) console.log(JSON.stringify(rest));
  else {
    for (const line of trace) console.log(line);
    console.log(outcome.violations.length === 0 ? "all promises held" : "FAILED");
  }
  const [violation] = outcome.violations;
  if (violation === undefined) {
    if (values.shrink !== undefined) console.error("nothing to shrink");
    return;
  }
  process.exitCode = 1;
  if (values.shrink !== undefined) await shrinkTo(values.shrink, plan, violation);
}

function planIn(path: string): Plan {
  try {
    return readRegression(readFileSync(path, "utf8"), path).plan;
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
}

function checkWritable(path: string): void {
  if (existsSync(path) && path !== values.plan) wrong(`${path} is there already`);
  try {
    accessSync(dirname(resolve(path)), constants.W_OK);
  } catch {
    wrong(`${dirname(resolve(path))} cannot be written to`);
  }
}

async function shrinkTo(path: string, plan: Plan, { promise, what }: Violation): Promise<void> {
  using runner = new PlanRunner(canary);
  let tried = 0;
  let last = what;
  const fails = async (smaller: Plan): Promise<boolean> => {
    tried += 1;
    const { violations } = await runner.run(smaller);
    const found = violations.find((violation) => violation.promise === promise);
    if (found !== undefined) last = found.what;
    return found !== undefined;
  };
  // Written at each step, so that an interrupted run has something to show.
  const write = (smaller: Plan): void => {
    const note = `seed ${plan.seed}${again}: ${last.split("\n")[0]}`;
    const regression: Regression = { promise, note, plan: smaller };
    writeFileSync(path, `${JSON.stringify(regression, undefined, 2)}\n`);
  };
  write(plan);
  await shrink(plan, fails, (smaller) => {
    write(smaller);
    const { faults, devices, durationMs } = smaller;
    const size = `${faults.length} faults, ${devices.length} devices, ${durationMs} ms`;
    console.error(`${tried} tried: ${size}`);
  });
  console.error(`written to ${path}: say in its note what it was, and commit it with the fix`);
}

// ---- many worlds ----

async function many(): Promise<void> {
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1_000;
  const { seeds: seedsGiven, seconds: secondsGiven } = values;
  const secondsMax = secondsGiven === undefined ? Number.POSITIVE_INFINITY : Number(secondsGiven);
  const count = Number(seedsGiven ?? (secondsGiven === undefined ? 100 : seedMax));
  const tally = new Tally(marks.map(({ name }) => name));
  let isInterrupted = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      isInterrupted = true;
    });
  }
  let toldAt = 0;
  await runPlans(plansOf(Number(values.from ?? 1), count), {
    ...canary,
    jobs: Number(values.jobs ?? availableParallelism()),
    onOutcome: (outcome) => {
      if (isInterrupted) return false;
      tally.add(outcome);
      if (outcome.violations.length > 0) tellFailed(outcome);
      if (seconds() - toldAt > 10) {
        toldAt = seconds();
        const of = count === seedMax ? "" : ` of ${count}`;
        console.error(`${tally.seeds}${of} worlds, ${tally.failed.length} failed`);
      }
      return seconds() < secondsMax;
    },
  });
  const report = tally.report(seconds());
  const { seeds, simulated_hours: hours, failed } = report;
  if (values.json) console.log(JSON.stringify(report));
  else console.log(`${seeds} worlds, ${hours} hours, ${failed.length} failed, ${report.seconds} s`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

function* plansOf(from: number, count: number): Generator<Plan> {
  for (let seed = from; seed < from + count && seed <= seedMax; seed++) yield drawPlan(seed);
}

function tellFailed({ seed, violations }: Outcome): void {
  console.error(`seed ${seed} failed: again with npm run simulate -- --seed ${seed}${again}`);
  for (const { promise, what } of violations.slice(0, 3)) {
    console.error(`  ${promise}: ${what.split("\n")[0]}`);
  }
}
