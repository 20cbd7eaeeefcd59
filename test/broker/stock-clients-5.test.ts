/** Clients that others wrote, against the front, in MQTT 5: mosquitto_pub and mosquitto_sub, and MQTT.js. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import {
  connect as mqttConnect,
  connectAsync,
  type IClientOptions,
  type IPublishPacket,
  type MqttClient,
} from "mqtt";
import { type FrontServer, openFrontServer } from "../support/front-server.ts";
import { requireTool } from "../support/require-tool.ts";

async function run(
  command: string,
  server: FrontServer,
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly output: string }> {
  const child = spawn(command, ["-V", "5", "-h", "127.0.0.1", "-p", String(server.port), ...args]);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = await once(child, "close");
  return { code: Number(code), output };
}

function connect(server: FrontServer, options: IClientOptions = {}): Promise<MqttClient> {
  return connectAsync({
    host: "127.0.0.1",
    port: server.port,
    reconnectPeriod: 0,
    protocolVersion: 5,
    ...options,
  });
}

describe("mosquitto's clients of MQTT 5", () => {
  it("publish and subscribe with properties, in every QoS", async (t) => {
    if (!requireTool(t, "mosquitto_pub") || !requireTool(t, "mosquitto_sub")) return;
    await using server = await openFrontServer();
    const reader = run(
      "mosquitto_sub",
      server,
      "-t",
      "#",
      "-q",
      "2",
      "-C",
      "6",
      "-W",
      "20",
      "-F",
      "> %t %p %C %R %D %P",
      "-D",
      "subscribe",
      "subscription-identifier",
      "7",
    );
    while (server.front.status.subscriptions === 0) await wait(5);
    const properties = [
      ["content-type", "json"],
      ["response-topic", "back"],
      ["correlation-data", "c1"],
      ["user-property", "k", "v"],
    ].flatMap((property) => ["-D", "publish", ...property]);
    for (const topic of ["plant/a", "other/a"]) {
      for (const qos of ["0", "1", "2"]) {
        const args = ["-t", topic, "-m", qos, "-q", qos, ...properties];
        const { code, output } = await run("mosquitto_pub", server, ...args);
        assert.equal(code, 0, output);
      }
    }
    const lines = (await reader).output.split("\n").filter((line) => line.startsWith("> "));
    assert.deepEqual(
      lines.toSorted(),
      ["other/a", "plant/a"].flatMap((topic) =>
        ["0", "1", "2"].map((qos) => `> ${topic} ${qos} json back c1 k:v`),
      ),
    );
    assert.deepEqual(server.receiver.payloads, ["0", "1", "2"]);
  });

  it("are told in its words what they may not", async (t) => {
    if (!requireTool(t, "mosquitto_pub") || !requireTool(t, "mosquitto_sub")) return;
    await using server = await openFrontServer({ users: [{ name: "s", password: "right" }] });
    const wrong = await run("mosquitto_pub", server, "-t", "a", "-m", "1", "-u", "s", "-P", "x");
    assert.match(wrong.output, /bad user name or password/i);
    const shared = ["-t", "$share/g/a", "-u", "s", "-P", "right", "-C", "1", "-W", "1"];
    assert.match((await run("mosquitto_sub", server, ...shared)).output, /not supported|denied/i);
  });
});

describe("MQTT.js as a client of MQTT 5", () => {
  it("publishes under aliases it gives itself, and reads back what it wrote", async () => {
    await using server = await openFrontServer({ commitEveryMs: 2 });
    const client = await connect(server, { autoAssignTopicAlias: true });
    await client.subscribeAsync("plant/#", { qos: 2 });
    const echoed: string[] = [];
    const complete = Promise.withResolvers<void>();
    client.on("error", complete.reject);
    client.on("message", (topic, payload) => {
      if (echoed.push(`${topic} ${payload.toString()}`) === 300) complete.resolve();
    });
    const sent = Array.from({ length: 300 }, (_, i) => [`plant/${i % 100}`, `${i}`] as const);
    await Promise.all(
      sent.map(([topic, text], i) =>
        client.publishAsync(topic, text, { qos: (i % 3) as 0 | 1 | 2 }),
      ),
    );
    await complete.promise;
    await client.endAsync();
    const expected = sent.map(([topic, text]) => `${topic} ${text}`).toSorted();
    assert.deepEqual(echoed.toSorted(), expected);
    assert.equal(server.receiver.received.length, 300);
  });

  it("that takes few messages at a time gets all of them, and its session is there again", async () => {
    await using server = await openFrontServer();
    const properties = { receiveMaximum: 3, sessionExpiryInterval: 60 };
    const options = { clientId: "r", clean: false, properties };
    const reader = await connect(server, options);
    await reader.subscribeAsync("other/#", { qos: 1 });
    await reader.endAsync();
    const writer = await connect(server);
    const count = 50;
    for (let i = 0; i < count; i++) {
      await writer.publishAsync("other/a", `${i}`, {
        qos: 1,
        properties: { messageExpiryInterval: 60, userProperties: { n: `${i}` } },
      });
    }
    const seen: IPublishPacket[] = [];
    const back = mqttConnect({
      host: "127.0.0.1",
      port: server.port,
      reconnectPeriod: 0,
      protocolVersion: 5,
      ...options,
    });
    back.on("message", (_topic, _payload, packet) => seen.push(packet));
    while (seen.length < count) await wait(5);
    assert.deepEqual(
      seen.map(({ payload, properties: own }) => [payload.toString(), own?.userProperties?.["n"]]),
      Array.from({ length: count }, (_, i) => [`${i}`, `${i}`]),
    );
    await Promise.all([back.endAsync(), writer.endAsync()]);
  });

  it("is told why when another takes its id", async () => {
    await using server = await openFrontServer();
    const older = await connect(server, { clientId: "same" });
    const told = new Promise<number | undefined>((resolve) => {
      older.once("disconnect", ({ reasonCode }) => resolve(reasonCode));
    });
    const newer = await connect(server, { clientId: "same" });
    assert.equal(await told, 0x8e);
    await newer.endAsync();
  });
});
