/** A scenario file to a Scenario, or everything that is wrong with it, by line and column. */

import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { counted } from "../../../core/counted.ts";
import { Fault } from "../../../core/faults.ts";
import { checkKafka } from "../../config/kafka-config.ts";
import type { Finding, Path } from "../../config/fault.ts";
import { located } from "../../config/parse.ts";
import { durationText } from "../../config/quantity.ts";
import { shapedBy } from "../../config/shape.ts";
import { nodeAt, plainOf, type Tree } from "../../config/tree.ts";
import { readYaml } from "../../config/yaml.ts";
import {
  type FleetSection,
  type NetworkSection,
  type ScenarioSection,
  scenarioSchema,
  type StepSection,
} from "./scenario-schema.ts";
import type { Action, Step } from "./timeline.ts";
import { fairWeather, type Weather } from "./weather.ts";

export type Scenario = {
  readonly seed: number;
  readonly forMs: number;
  readonly fleet: FleetSection;
  /** A weir.yaml, absolute. */
  readonly agentFile: string | undefined;
  /** The `kafka` section as it is written. */
  readonly kafka: Readonly<Record<string, unknown>> | undefined;
  readonly steps: readonly Step[];
};

/** Prints what is wrong, and throws CONFIG_INVALID. */
export async function readScenario(file: string): Promise<Scenario> {
  const path = resolve(file);
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new Fault("CONFIG_INVALID", `cannot read the scenario ${path}`, { cause });
  });
  const parsed = await parseScenario(text, path);
  if (parsed.kind === "scenario") return parsed.scenario;
  for (const fault of parsed.faults) console.error(fault);
  const { length } = parsed.faults;
  throw new Fault("CONFIG_INVALID", `${counted(length, "error")} in ${path}`);
}

export type ParsedScenario =
  | { readonly kind: "scenario"; readonly scenario: Scenario }
  /** One line each: file, line, column, path, sentence. */
  | { readonly kind: "faults"; readonly faults: readonly string[] };

/** `path` is that of the file; what it names is relative to its folder. */
export async function parseScenario(text: string, path: string): Promise<ParsedScenario> {
  const faultsOf = (findings: readonly Finding[], tree: Tree | undefined): ParsedScenario => ({
    kind: "faults",
    faults: located(path, findings, tree).map((fault) => fault.text),
  });
  const read = await readYaml(text);
  if (read.kind === "findings") return faultsOf(read.findings, undefined);
  const { tree } = read;
  const shaped = shapedBy(scenarioSchema, tree);
  if (shaped.kind === "findings") return faultsOf(shaped.findings, tree);
  const findings = checked(shaped.value);
  if (findings.length > 0) return faultsOf(findings, tree);
  const { seed, fleet, agent, steps } = shaped.value;
  const kafka = nodeAt(tree, ["upstream", "kafka"]);
  return {
    kind: "scenario",
    scenario: {
      seed,
      forMs: shaped.value.for,
      fleet,
      agentFile: agent === undefined ? undefined : resolve(dirname(path), agent),
      kafka: kafka?.kind === "section" ? sectionOf(kafka) : undefined,
      steps: steps.map((step) => stepOf(step, shaped.value.for)),
    },
  };
}

/** A section as an object of plain values. */
export function sectionOf(
  section: Extract<Tree, { kind: "section" }>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(section.entries.map(({ key, value }) => [key, plainOf(value)]));
}

// ---- what depends on several values ----

const actionKeys = ["link", "devices", "agent", "disk", "run"] as const;

function checked(scenario: ScenarioSection): readonly Finding[] {
  const { steps, upstream } = scenario;
  const kafka = upstream.kafka;
  return [
    ...(kafka === undefined ? [] : checkKafka(kafka, ["upstream", "kafka"]).findings),
    ...steps.flatMap((step, index) =>
      stepProblems(step, scenario).map(([key, message]) => ({
        path: ["steps", index, ...key] satisfies Path,
        message,
      })),
    ),
  ];
}

type Problem = readonly [key: readonly string[], message: string];

function stepProblems(step: StepSection, { for: whole, upstream }: ScenarioSection): Problem[] {
  const problems: Problem[] = [];
  const actions = actionKeys.filter((key) => step[key] !== undefined);
  if (actions.length !== 1) {
    problems.push([[], `each step is one of ${actionKeys.join(", ")}; this has ${named(actions)}`]);
  }
  if ((step.at === undefined) === (step.every === undefined)) {
    problems.push([[], "each step has at (once) or every (again and again)"]);
  }
  for (const key of ["from", "until"] as const) {
    if (step.at !== undefined && step[key] !== undefined) {
      problems.push([[key], "this goes with every, not with at"]);
    }
  }
  if (step.after !== undefined && step.run === undefined) {
    problems.push([["after"], "this goes with run"]);
  }
  const begins = step.at ?? step.from ?? 0;
  if (begins >= whole) {
    problems.push([
      [step.at === undefined ? "from" : "at"],
      `the scenario is over after ${durationText(whole)}`,
    ]);
  }
  const [action] = actions;
  const lasts = step.agent === "hang" || ["link", "devices", "disk"].includes(action ?? "");
  if (lasts && step.for === undefined) {
    problems.push([[], `say for how long: for: ${durationText(10_000)}`]);
  }
  if (step.link !== undefined && upstream.kafka === undefined) {
    problems.push([["link"], "there is no link to files: set upstream.kafka"]);
  }
  return problems;
}

function named(keys: readonly string[]): string {
  return keys.length === 0 ? "none of them" : keys.join(" and ");
}

// ---- steps ----

function stepOf(step: StepSection, whole: number): Step {
  const { at, every, from, until, jitter, for: forMs = 0 } = step;
  const action = actionOf(step);
  return {
    action,
    when:
      every === undefined
        ? { kind: "once", atMs: at ?? 0 }
        : { kind: "again", everyMs: every, fromMs: from ?? 0, untilMs: until ?? whole },
    jitterMs: jitter ?? 0,
    forMs,
    text: textOf(step),
  };
}

function actionOf({ link, devices, agent, disk, run, after }: StepSection): Action {
  if (link !== undefined) return { kind: "link", weather: weatherIn(link) };
  if (devices !== undefined) return { kind: "devices", weather: weatherIn(devices) };
  if (agent !== undefined) return { kind: "agent", how: agent };
  if (disk !== undefined) return { kind: "disk" };
  return { kind: "run", command: run ?? "", after };
}

function weatherIn(network: NetworkSection): Weather {
  if (network === "cut" || network === "hang") return { ...fairWeather, passage: network };
  const { delay: delayMs, loss, bandwidth = Infinity } = network;
  return { passage: "open", delayMs, loss, bandwidth };
}

function textOf({ link, devices, agent, disk, run, for: forMs }: StepSection): string {
  const lasting = forMs === undefined ? "" : ` for ${durationText(forMs)}`;
  if (link !== undefined) return `link ${networkText(link)}${lasting}`;
  if (devices !== undefined) return `devices ${networkText(devices)}${lasting}`;
  if (agent !== undefined) return `agent ${agent}${lasting}`;
  return disk === undefined ? `run ${run ?? ""}${lasting}` : `disk ${disk}${lasting}`;
}

function networkText(network: NetworkSection): string {
  if (network === "cut" || network === "hang") return network;
  const { delay, loss, bandwidth } = network;
  return [
    ...(delay === 0 ? [] : [`delay ${durationText(delay)}`]),
    ...(loss === 0 ? [] : [`loss ${Math.round(loss * 1_000) / 10} %`]),
    ...(bandwidth === undefined ? [] : [`${bandwidth} B/s`]),
  ].join(", ");
}
