/**
 * Runs plans in processes of their own, where the agent is loaded with its marks, and which can be
 * ended when a world stands still.
 */

import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { Plan } from "./plan.ts";
import type { Outcome } from "./simulate.ts";
import type { PlanToRun } from "./world-process.ts";

/** A world that takes longer, in real time, stands still. */
const standstillMs = 120_000;

export type RunnerOptions = {
  /** Whether traces have every request, call and mark. */
  readonly detailed?: boolean;
  /** The canary to load. */
  readonly canary?: string;
  /** The node to run, for traces that must not differ between versions. */
  readonly node?: string;
};

/** One process that lives through one plan after another; begun with the first. */
export class PlanRunner {
  readonly #options: RunnerOptions;
  #child: ChildProcess | undefined;

  constructor(options: RunnerOptions = {}) {
    this.#options = options;
  }

  /** One at a time. A world that stands still is an outcome too. */
  async run(plan: Plan): Promise<Outcome> {
    this.#child ??= await start(this.#options);
    const message: PlanToRun = { plan, detailed: this.#options.detailed ?? false };
    const outcome = await ask(this.#child, message);
    if (outcome !== undefined) return outcome;
    this.#end("SIGKILL");
    return standstill(plan);
  }

  #end(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
    this.#child = undefined;
  }

  [Symbol.dispose](): void {
    this.#end("SIGTERM");
  }
}

/** The outcome of one plan. */
export async function runPlan(plan: Plan, options: RunnerOptions = {}): Promise<Outcome> {
  using runner = new PlanRunner(options);
  return await runner.run(plan);
}

/** Several at a time, each outcome handed over as it comes. */
export async function runPlans(
  plans: Iterable<Plan>,
  options: RunnerOptions & {
    readonly jobs: number;
    /** False: no further plan is begun. */
    readonly onOutcome: (outcome: Outcome) => boolean;
  },
): Promise<void> {
  const iterator = plans[Symbol.iterator]();
  let isOver = false;
  const next = (): Plan | undefined => {
    if (isOver) return undefined;
    const { done, value } = iterator.next();
    return done === true ? undefined : value;
  };
  const work = async (): Promise<void> => {
    using runner = new PlanRunner(options);
    for (let plan = next(); plan !== undefined; plan = next()) {
      isOver = !options.onOutcome(await runner.run(plan)) || isOver;
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
}

async function start({ canary, node }: RunnerOptions): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, "world-process.ts"), {
    execPath: node ?? process.execPath,
    execArgv: ["--import", join(import.meta.dirname, "instrument.ts"), "--max-old-space-size=1024"],
    serialization: "advanced",
    env: { ...process.env, ...(canary === undefined ? {} : { WEIR_CANARY: canary }) },
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onExit = (code: number | null): void =>
    reject(new Error(`a simulating process ended with ${String(code)} before it began`));
  child.once("message", () => resolve());
  child.once("exit", onExit);
  await promise;
  child.off("exit", onExit);
  return child;
}

/** Undefined where the process stands still or is gone. */
async function ask(child: ChildProcess, message: PlanToRun): Promise<Outcome | undefined> {
  const { promise, resolve } = Promise.withResolvers<Outcome | undefined>();
  const timer = setTimeout(() => resolve(undefined), standstillMs);
  const onExit = (): void => resolve(undefined);
  const onMessage = (outcome: unknown): void => resolve(outcome as Outcome);
  child.once("message", onMessage);
  child.once("exit", onExit);
  child.send(message);
  const outcome = await promise;
  clearTimeout(timer);
  child.off("message", onMessage);
  child.off("exit", onExit);
  return outcome;
}

function standstill({ seed }: Plan): Outcome {
  const what = `the world stands still: no end after ${standstillMs} ms of real time, or its process is gone`;
  return {
    seed,
    violations: [{ promise: "P6", what }],
    simulatedMs: 0,
    readings: 0,
    acknowledged: 0,
    lives: 0,
    faults: {},
    marks: [],
    trace: [`verdict  P6: ${what}`],
  };
}
