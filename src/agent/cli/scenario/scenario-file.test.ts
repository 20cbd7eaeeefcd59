import assert from "node:assert/strict";
import { test } from "node:test";
import { parseScenario } from "./scenario-file.ts";

async function faultsOf(steps: string, rest = ""): Promise<readonly string[]> {
  const text = `version: 1\nfor: 1m\n${rest}steps:\n${steps}\n`;
  const parsed = await parseScenario(text, "/tmp/s.yaml");
  assert.ok(parsed.kind === "faults", "the scenario has faults");
  return parsed.faults.map((fault) => fault.replace("/tmp/s.yaml:", ""));
}

test("a scenario is a fleet, an upstream, and steps in words that a person reads", async () => {
  const parsed = await parseScenario(
    `version: 1
for: 2m
agent: plant/weir.yaml
upstream: { kafka: { brokers: ["k:9092"] } }
steps:
  - { at: 10s, for: 5s, link: { loss: 30%, delay: 2s, bandwidth: 4kB } }
  - { every: 18s, from: 3s, jitter: 10s, agent: kill }
  - { at: 20s, for: 1s, run: docker stop kafka, after: docker start kafka }
`,
    "/tmp/s.yaml",
  );
  assert.ok(parsed.kind === "scenario", JSON.stringify(parsed));
  const { seed, forMs, fleet, agentFile, kafka, steps } = parsed.scenario;
  assert.deepEqual(
    { seed, forMs, agentFile },
    { seed: 1, forMs: 120_000, agentFile: "/tmp/plant/weir.yaml" },
  );
  assert.deepEqual(kafka, { brokers: ["k:9092"] });
  assert.equal(fleet.qos1, 1);
  assert.deepEqual(
    steps.map(({ text }) => text),
    ["link delay 2s, loss 30 %, 4000 B/s for 5s", "agent kill", "run docker stop kafka for 1s"],
  );
  assert.deepEqual(steps[0]?.action, {
    kind: "link",
    weather: { passage: "open", delayMs: 2_000, loss: 0.3, bandwidth: 4_000 },
  });
  assert.deepEqual(steps[1]?.when, {
    kind: "again",
    everyMs: 18_000,
    fromMs: 3_000,
    untilMs: 120_000,
  });
});

test("what is wrong is told by line, column and key", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["  - { at: 1s, for: 1s }", /^4:5: steps\[0\]: each step is one of link, .* none of them/],
    ["  - { agent: kill }", /^4:5: steps\[0\]: each step has at \(once\) or every/],
    ["  - { at: 1s, every: 1s, agent: kill }", /at \(once\) or every/],
    ["  - { at: 1s, agent: kill, disk: full, for: 1s }", /this has agent and disk/],
    ["  - { at: 1s, devices: cut }", /steps\[0\]: say for how long: for: 10s/],
    ["  - { at: 1s, link: cut, for: 1s }", /^4:21: steps\[0\]\.link: there is no link to files/],
    ["  - { at: 70s, agent: kill }", /steps\[0\]\.at: the scenario is over after 1m/],
    ["  - { at: 1s, from: 2s, agent: kill }", /steps\[0\]\.from: this goes with every/],
    ["  - { at: 1s, agent: kill, after: x }", /steps\[0\]\.after: this goes with run/],
    ["  - { at: 1s, agent: pause }", /agent: expected one of kill, stop, hang, found "pause"/],
    [
      "  - { at: 1s, for: 1s, devices: { los: 3% } }",
      /devices\.los: unknown key; did you mean "loss"/,
    ],
    ["  - { at: 1s, for: 1s, devices: { loss: 0.3 } }", /loss: expected a share such as 30%/],
  ];
  for (const [steps, expected] of cases) {
    const faults = await faultsOf(steps);
    assert.equal(faults.length, 1, `${steps}: ${faults.join("\n")}`);
    assert.match(faults[0]!, expected);
  }
  const [fault] = await faultsOf("  []", "upstream: { kafka: { brokers: ['k:99999'] } }\n");
  assert.match(fault!, /^3:.*upstream\.kafka\.brokers\[0\]: 99999 is no port/);
});
