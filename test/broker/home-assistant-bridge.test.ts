/** Home Assistant at a Mosquitto of its own, which is a bridge to the broker in weir: docs/home-assistant.md. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { connectAsync } from "mqtt";
import { startAgentProcess } from "../support/agent-process.ts";
import { HomeAssistantClient, until } from "../support/home-assistant-client.ts";
import { startMosquitto } from "../support/mosquitto/server.ts";
import { freePorts } from "../support/ports.ts";
import { requireTool } from "../support/require-tool.ts";

/** The lines that the documentation gives, but for where the gateway is. */
function bridgeLines(port: number): readonly string[] {
  const page = readFileSync(join(import.meta.dirname, "../../docs/home-assistant.md"), "utf8");
  const [, lines = ""] = /^```conf\n(.*?)^```/ms.exec(page) ?? [];
  assert.match(lines, /^connection /);
  const own = lines
    .replace("gateway.local:1883", `127.0.0.1:${port}`)
    .replaceAll(/^remote_(?:username|password) .*\n/gm, "");
  return [...own.trimEnd().split("\n"), "restart_timeout 1"];
}

/** The file of a configuration, in a folder that is gone after the test. */
async function configured(
  t: TestContext,
  textWith: (port: number) => string,
): Promise<{ readonly port: number; readonly file: string }> {
  const folder = mkdtempSync(join(tmpdir(), "weir-home-bridge-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [port = 0] = await freePorts(1);
  const file = join(folder, "weir.yaml");
  writeFileSync(file, textWith(port));
  return { port, file };
}

test("Home Assistant finds a gateway through a bridge of its own broker, also after the agent was killed", async (t) => {
  if (!requireTool(t, "mosquitto")) return;
  const { port, file } = await configured(
    t,
    (free) => `version: 1
agent: gw1
data: ./data
http: off
mqtt: { port: ${free}, anonymous: true, publish: { status: 1s, homeAssistant: {} } }
sources: [{ name: plant, topics: ["plant/{device}"], time: { fields: [time] }, disorder: 0s }]
pipelines: [{ name: temp, key: [device, metric], window: { tumbling: 1s }, aggregate: [mean] }]
commit: { interval: 100ms }
`,
  );
  let agent = await startAgentProcess(["run", "--config", file]);
  await using mosquitto = await startMosquitto({ more: bridgeLines(port) });
  const home = new HomeAssistantClient(mosquitto.port, { says: true });
  t.after(async () => {
    await home.end();
    await agent.kill("SIGKILL");
  });
  const publish = async (from: number): Promise<void> => {
    const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
    for (let n = from; n < from + 5; n++) {
      const reading = { time: 1_764_000_000_000 + n * 1_000, oil_celsius: 60 + n };
      await client.publishAsync("plant/p1", JSON.stringify(reading), { qos: 1 });
    }
    await client.endAsync(true);
  };
  await publish(0);
  const temperature = "oil_celsius mean (temp)";
  await until("all entities", () => home.view.names.length === 4);
  await until("the newest state", () => home.state(temperature)["mean"] === 63);
  await until("the gateway's state", () => home.state("State")["state"] === "running");
  await wait(1_500);
  home.read.length = 0;
  home.online();
  await until("both devices again", () => new Set(home.read).size === 2);

  await agent.kill("SIGKILL");
  home.read.length = 0;
  agent = await startAgentProcess(["run", "--config", file]);
  await until("both devices after a kill", () => new Set(home.read).size === 2);
  await publish(5);
  await until("a newer state", () => home.state(temperature)["mean"] === 68);
  assert.equal(home.view.names.length, 4);
  assert.deepEqual(home.mistakes, []);
});

for (const version of ["mqttv311", "mqttv50"]) {
  test(`with topic both a bridge by ${version} has nothing twice`, async (t) => {
    if (!requireTool(t, "mosquitto")) return;
    const { port, file } = await configured(
      t,
      (free) => `version: 1
data: ./data
http: off
mqtt: { port: ${free} }
sources: [{ name: plant, topics: ["plant/{device}"] }]
`,
    );
    const agent = await startAgentProcess(["run", "--config", file]);
    t.after(() => agent.kill("SIGKILL"));
    const more = [
      "connection weir",
      `address 127.0.0.1:${port}`,
      "topic # both 1",
      `bridge_protocol_version ${version}`,
    ];
    // Without a bound Mosquitto says a Receive Maximum of 0, which MQTT 5 forbids.
    await using mosquitto = await startMosquitto({ more, inFlightMax: 20 });
    const heard: string[] = [];
    const there = await connectAsync(`mqtt://127.0.0.1:${mosquitto.port}`, { reconnectPeriod: 0 });
    const here = await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
    t.after(() => Promise.all([there.endAsync(true), here.endAsync(true)]));
    const hear = (where: string) => (topic: string, payload: Buffer) =>
      heard.push(`${where} ${topic} ${payload.toString()}`);
    there.on("message", hear("there"));
    here.on("message", hear("here"));
    await there.subscribeAsync(["plant/#", "else/#"], { qos: 1 });
    await here.subscribeAsync(["plant/#", "else/#"], { qos: 1 });
    // As soon as the bridge is there.
    for (let n = 0; !heard.includes("here else/begin x"); n++) {
      assert.ok(n < 100, `no bridge: ${mosquitto.output}`);
      await there.publishAsync("else/begin", "x", { qos: 1 });
      await wait(100);
    }
    heard.length = 0;
    for (const topic of ["plant/p1", "else/a"]) {
      await there.publishAsync(topic, "1", { qos: 1 });
      await here.publishAsync(topic, "2", { qos: 1 });
    }
    await there.publishAsync("else/end", "x", { qos: 1 });
    await here.publishAsync("else/end", "y", { qos: 1 });
    await until("the end", () => heard.filter((one) => one.includes("else/end")).length === 4);
    const wanted = ["there", "here"].flatMap((where) => [
      ...["1", "2"].flatMap((n) => [`${where} plant/p1 ${n}`, `${where} else/a ${n}`]),
      `${where} else/end x`,
      `${where} else/end y`,
    ]);
    assert.deepEqual(heard.toSorted(), wanted.toSorted());
  });
}
