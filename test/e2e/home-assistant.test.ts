/** A real agent and a stock MQTT client that acts as Home Assistant. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { connectAsync } from "mqtt";
import { startAgentProcess } from "../support/agent-process.ts";
import { HomeAssistantClient, until } from "../support/home-assistant-client.ts";
import { freePorts } from "../support/ports.ts";
import { weir } from "../support/weir-command.ts";

const startMs = 1_764_000_000_000;
test("Home Assistant finds a gateway, its devices and alerts, across restarts, and loses what is gone", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "weir-home-assistant-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [mqtt = 0] = await freePorts(1);
  const file = join(folder, "weir.yaml");
  const modes = "  - { name: modes, key: [device], frequency: { heavy: 0.5, minimum: 1 } }\n";
  const text = (more: string): string => `version: 1
agent: gw1
data: ./data
http: off
mqtt: { port: ${mqtt}, anonymous: true, publish: { status: 1s, homeAssistant: {} } }
sources: [{ name: plant, topics: ["plant/{device}", "#"], time: { fields: [time] }, disorder: 0s }]
pipelines:
  - { name: temp, where: { metrics: ["*_celsius"] }, key: [device, metric], window: { tumbling: 1s }, aggregate: [mean] }
${more}commit: { interval: 100ms }
`;
  writeFileSync(file, text(modes));

  let agent = await startAgentProcess(["run", "--config", file]);
  const clients: HomeAssistantClient[] = [];
  t.after(async () => {
    for (const client of clients) await client.end();
    await agent.kill("SIGKILL");
  });
  const home = new HomeAssistantClient(mqtt, { says: true, protocolVersion: 5 });
  clients.push(home);
  const publish = async (device: string, readings: readonly object[]): Promise<void> => {
    const client = await connectAsync(`mqtt://127.0.0.1:${mqtt}`, { reconnectPeriod: 0 });
    for (const reading of readings) {
      await client.publishAsync(`plant/${device}`, JSON.stringify(reading), { qos: 1 });
    }
    await client.endAsync(true);
  };
  const readings = Array.from({ length: 5 }, (_, n) => ({
    time: startMs + n * 1_000,
    oil_celsius: 60 + n,
    mode: "run",
  }));
  await publish("p1", readings);
  await publish("p2", readings);

  const temperature = "oil_celsius mean (temp)";
  const alert = "mode alert (modes)";
  const names = (client: HomeAssistantClient): readonly string[] => client.view.names.toSorted();
  const gateway = ["gw1: Problem", "gw1: State", "gw1: Waiting records"];
  const all = [
    ...gateway,
    `p1: ${alert}`,
    `p1: ${temperature}`,
    `p2: ${alert}`,
    `p2: ${temperature}`,
  ];
  await until("all entities", () => names(home).length === all.length);
  assert.deepEqual(names(home), all.toSorted());
  const { config } = home.view.entity(temperature);
  assert.deepEqual([config["unit_of_measurement"], config["device_class"]], ["°C", "temperature"]);
  await until("its newest state", () => home.state(temperature)["mean"] === 63);
  assert.equal(home.state(alert)["state"], "ON");
  await until("the gateway's state", () => home.state("State")["state"] === "running");

  // Nothing of it is a reading, or a message that nobody wants: a source takes every topic.
  assert.deepEqual(home.state("State")["notices"], []);

  // Who comes late, and says nothing, finds it all.
  const late = new HomeAssistantClient(mqtt);
  clients.push(late);
  await until("all entities for who comes late", () => names(late).length === all.length);
  await until("its state", () => late.state(temperature)["mean"] === 63);

  // When it says that it is online, each device comes again.
  for (const client of [home, late]) {
    await wait(1_500);
    home.read.length = 0;
    client.online();
    await until("every device again", () => new Set(home.read).size === 3);
  }

  // A broker that begins anew has it all at once, with the same ids.
  const ids = [...home.view.entities.keys()].toSorted();
  await agent.kill("SIGKILL");
  agent = await startAgentProcess(["run", "--config", file]);
  const fresh = new HomeAssistantClient(mqtt);
  clients.push(fresh);
  await until("all entities after a kill", () => names(fresh).length === all.length);
  assert.deepEqual([...fresh.view.entities.keys()].toSorted(), ids);
  await until("no alert since then", () => fresh.state(alert)["state"] === "OFF");

  // A pipeline that is gone and a device that was erased are taken back from who knew them.
  await agent.kill("SIGTERM");
  writeFileSync(file, text(""));
  const erased = await weir("store", "erase", "--device", "p2", "-c", file, "--yes");
  assert.equal(erased.code, 0, erased.error);
  home.read.length = 0;
  agent = await startAgentProcess(["run", "--config", file]);
  const left = [...gateway, `p1: ${temperature}`].toSorted();
  await until("what is left", () => names(home).length === left.length);
  assert.deepEqual(names(home), left);
  assert.ok(home.read.length > 0);
  await wait(500);
  const last = new HomeAssistantClient(mqtt);
  clients.push(last);
  await until("the same for who comes late", () => names(last).length === left.length);
  assert.deepEqual(names(last), left);
  assert.deepEqual(
    clients.flatMap(({ mistakes }) => mistakes),
    [],
  );
});
