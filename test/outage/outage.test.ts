/** `weir sim --scenario --verify` as a person runs it: what an honest agent proves, and who is found out. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import type { StageCounts } from "../../src/agent/cli/scenario/stage.ts";
import { startKafka } from "../support/kafka/broker.ts";
import { requireKafka } from "../support/kafka/require-kafka.ts";
import { weirMain } from "../support/weir-command.ts";
import { scriptOf } from "./script.ts";

type Report = {
  readonly counts: StageCounts;
  readonly fleet: { readonly acknowledged: number; readonly pending: number };
  readonly link: { readonly cut: number };
  readonly verdict: {
    readonly isWhole: boolean;
    readonly first?: string;
    readonly proven?: { readonly lanes: readonly object[] };
    readonly compared: readonly { readonly readings: number; readonly missing: number }[];
  };
};

type Outcome = {
  readonly code: number;
  readonly report: Report | undefined;
  readonly error: string;
};

/** Windows that close soon, so that nobody waits for them in the end. */
const plant = `
sources:
  - { name: plant, topics: ["plant/{line}/{device}/state", "plant/{line}/{device}/cbor", "plant/{line}/{device}/batch"], disorder: 0ms, idle: 2s }
  - { name: sensor, topics: ["sensor/{site}/{device}/{metric}"], disorder: 0ms, idle: 2s }
pipelines:
  - { name: seconds, key: [device, metric], window: { tumbling: 1s }, aggregate: [count, sum, min, max], allowedLateness: 5m }
  - { name: outliers, ewma: { sigmas: 2, warmup: 10, rearm: 1 } }
commit: { interval: 400ms, checkpoint: 1s }
`;

async function play(scenario: string, canary?: string): Promise<Outcome> {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-outage-test-"));
  const file = join(folder.path, "scenario.yaml");
  writeFileSync(join(folder.path, "plant.yaml"), plant);
  writeFileSync(file, scenario);
  const broken = pathToFileURL(resolve(import.meta.dirname, "broken.ts")).href;
  const args = ["sim", "--scenario", file, "--verify", "--json", "--drain", "60s"];
  const child = spawn(process.execPath, [weirMain, ...args, "--data", join(folder.path, "data")], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      ...(canary === undefined ? {} : { WEIR_CANARY: canary, NODE_OPTIONS: `--import=${broken}` }),
    },
  });
  let [out, error] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (error += text));
  const [code] = await once(child, "close");
  const report = out === "" ? undefined : (JSON.parse(out) as Report);
  return { code: Number(code), report, error };
}

/** Acknowledgements are on their way when the line is cut: their readings come again. */
const cuts = `
  - { at: 0s, for: 9s, devices: { delay: 200ms } }
  - { every: 3s, from: 2s, for: 100ms, devices: cut }`;
const kills = `
  - { every: 3s, from: 2s, agent: kill }`;

/** What agents do that break their word, what shows it, and what is said of it. */
const breaks = [
  ["acknowledge-before-append", kills, /the ledger has \d+ readings, \d+ were acknowledged/],
  ["apply-resend-twice", cuts, /readings, no more than \d+ were sent/],
  ["deliver-twice", cuts, /is there a second time/],
] as const;

// Mostly they wait, each for processes of its own.
suite("scenarios", { concurrency: true }, () => {
  test("cuts, hangs, loss and kills cost no reading and repeat none", honest);
  test("an agent that breaks its word is found out, and what is first is named", foundOut);
  test("a script of every length is a scenario", everyLength);
});

async function honest(t: TestContext): Promise<void> {
  if (!requireKafka(t, ["3.9"])) return;
  await using kafka = await startKafka({ version: "3.9" });
  const { code, report, error } = await play(`version: 1
seed: 5
for: 18s
agent: plant.yaml
fleet: { devices: 20, interval: 500ms }
upstream:
  kafka: { brokers: ["${kafka.bootstrap}"], linger: 50ms, timeouts: { connect: 2s, request: 3s, transaction: 20s } }
steps:
  - { every: 5s, from: 2s, jitter: 2s, agent: kill, for: 300ms }
  - { every: 3s, from: 1s, jitter: 2s, link: cut, for: 400ms }
  - { at: 4s, for: 2s, link: hang }
  - { at: 7s, for: 4s, link: { loss: 30%, delay: 200ms } }
  - { at: 12s, for: 3s, link: { bandwidth: 4kB } }
  - { at: 9s, for: 1s, devices: cut }
`);
  assert.equal(code, 0, error);
  assert.ok(report !== undefined);
  const { counts, fleet, link, verdict } = report;
  assert.equal(verdict.isWhole, true);
  assert.ok(counts.kills >= 2, `${counts.kills} kills`);
  assert.ok(link.cut > 0, "connections of the link were cut");
  assert.ok(verdict.proven !== undefined && verdict.proven.lanes.length >= 1);
  const [seconds] = verdict.compared;
  assert.ok(seconds !== undefined && seconds.readings > 1_000);
  assert.equal(seconds.missing, 0);
  const { acknowledged, pending } = fleet;
  assert.equal(pending, 0);
  t.diagnostic(`${acknowledged} readings acknowledged, ${counts.kills} kills, ${link.cut} cut`);
}

async function foundOut(): Promise<void> {
  const outcomes = await Promise.all(
    breaks.map(async ([canary, steps]) => {
      const scenario = `version: 1\nfor: 9s\nagent: plant.yaml\nfleet: { devices: 20, interval: 200ms, faults: none }\nsteps:${steps}\n`;
      return await play(scenario, canary);
    }),
  );
  for (const [index, { code, report, error }] of outcomes.entries()) {
    const [canary, , expected] = breaks[index]!;
    assert.equal(code, 1, `${canary}: ${error} ${JSON.stringify(report)}`);
    assert.equal(report?.verdict.isWhole, false, canary);
    assert.match(report?.verdict.first ?? "", expected, canary);
    assert.match(error, expected, canary);
  }
}

async function everyLength(): Promise<void> {
  const { parseScenario } = await import("../../src/agent/cli/scenario/scenario-file.ts");
  for (const minutes of [1, 5, 60]) {
    for (let seed = 0; seed < 5; seed++) {
      const broker = { kill: "touch down", start: "rm -f down" };
      const text = scriptOf({ seed, minutes, devices: 30, bootstrap: "127.0.0.1:9092", broker });
      const parsed = await parseScenario(text, "/tmp/s.yaml");
      assert.ok(parsed.kind === "scenario", JSON.stringify(parsed));
    }
  }
}
