import assert from "node:assert/strict";
import { test } from "node:test";
import { type Config, homeAssistantDefaults } from "./config.ts";
import { ownFilters } from "./own-filters.ts";
import { parseConfig, type ParsedConfig } from "./parse.ts";

function parse(text: string): Promise<ParsedConfig> {
  return parseConfig(text, { file: "/etc/weir.yaml", cwd: "/", env: {}, readFile: () => "" });
}

async function configOf(text: string): Promise<Config> {
  const parsed = await parse(text);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed.config;
}

const source = 'version: 1\nsources: [{ name: plant, topics: ["plant/{device}"] }]\n';

test("a source that names the agent's own topics is warned of", async () => {
  const text = (topic: string): string =>
    `version: 1\nagent: gw1\nsources: [{ name: back, topics: ["${topic}"] }]\n`;
  const external = "brokers: [{ name: site, urls: [mqtt://10.0.0.5] }]\n";
  const warningsOf = async (topic: string): Promise<readonly string[]> => {
    const parsed = await parse(text(topic));
    assert.ok(parsed.kind === "config");
    return parsed.warnings.filter((warning) => warning.includes("published by this agent"));
  };
  for (const topic of ["weir/gw1/summary/{pipeline}", "weir/#", "weir/{agent}/#"]) {
    const [warning = ""] = await warningsOf(topic);
    assert.match(warning, /^.*:3:34: .*weir\/gw1\/# is published by this agent itself/);
  }
  const { warnings } = await parse(
    text("#").replace("name: back", "name: back, broker: site") + external,
  ).then((parsed) => {
    assert.ok(parsed.kind === "config", JSON.stringify(parsed));
    return parsed;
  });
  assert.ok(
    warnings.some((warning) => warning.includes("published by this agent")),
    "what is bridged to an external broker comes back from there",
  );
  for (const topic of ["weir/gw2/#", "#", "plant/#"]) {
    assert.deepEqual(await warningsOf(topic), []);
  }
});

test("what the agent publishes itself can be chosen", async () => {
  const own = async (publish: string) =>
    (await configOf(`${source}mqtt: { publish: ${publish} }\n`)).ownTopics;
  assert.deepEqual(await own("{}"), { summaries: true, alerts: true, statusMs: 10_000 });
  assert.deepEqual(await own("{ summaries: false, status: off }"), {
    summaries: false,
    alerts: true,
    statusMs: undefined,
  });
  assert.deepEqual((await own("{ status: 1m }")).statusMs, 60_000);
});

test("Home Assistant finds the agent where it is switched on, which needs the status", async () => {
  const pipelines = "pipelines: [{ name: temp, key: [device], window: { tumbling: 10s } }]\n";
  const text = (publish: string): string =>
    `${source}agent: gw1\n${pipelines}mqtt: { publish: ${publish} }\n`;
  const { ownTopics } = await configOf(text("{ homeAssistant: {} }"));
  assert.deepEqual(ownTopics.homeAssistant, homeAssistantDefaults);
  const named = await configOf(
    text("{ homeAssistant: { prefix: ha/eu, units: { flow: m³/h }, pipelines: [temp] } }"),
  );
  assert.deepEqual(named.ownTopics.homeAssistant, {
    prefix: "ha/eu",
    birth: "homeassistant/status",
    units: { flow: "m³/h" },
    pipelines: ["temp"],
  });
  assert.deepEqual(ownFilters({ ...named, ...named.ownTopics }), [
    "weir/gw1/#",
    "ha/eu/device/weir_gw1/+/config",
  ]);
  const faultOf = async (publish: string): Promise<string> =>
    JSON.stringify(await parse(text(publish)));
  assert.match(await faultOf("{ status: off, homeAssistant: {} }"), /leave publish.status at a/);
  assert.match(await faultOf("{ homeAssistant: { prefix: a+b } }"), /a topic of a-z/);
  assert.match(
    await faultOf("{ homeAssistant: { pipelines: [tmep] } }"),
    /no pipeline has the name .*tmep.*did you mean/,
  );
});
