/** Clients that others wrote, against the front, in MQTT 3.1 and 3.1.1: mosquitto_pub and mosquitto_sub, and MQTT.js. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { plainNet } from "../../src/agent/doors/net.ts";
import { type FrontServer, openFrontServer } from "../support/front-server.ts";
import { requireTool } from "../support/require-tool.ts";

type Ran = { readonly code: number | null; readonly output: string };

/** A program that talks to the server; `done` when it has ended. */
function start(
  command: string,
  server: FrontServer,
  args: readonly string[],
): { readonly child: ChildProcess; readonly done: Promise<Ran> } {
  const child = spawn(command, ["-h", "127.0.0.1", "-p", String(server.port), ...args]);
  let output = "";
  const take = (text: string): void => {
    output += text;
  };
  child.stdout.setEncoding("utf8").on("data", take);
  child.stderr.setEncoding("utf8").on("data", take);
  const done = once(child, "close").then(([code]: (number | null)[]) => ({
    code: code ?? null,
    output,
  }));
  return { child, done };
}

function publish(server: FrontServer, ...args: readonly string[]): Promise<Ran> {
  return start("mosquitto_pub", server, args).done;
}

/** Subscribed when it resolves; ends after `count` messages. */
async function subscribe(
  server: FrontServer,
  filter: string,
  count: number,
  ...args: readonly string[]
): Promise<{ readonly child: ChildProcess; readonly done: Promise<Ran> }> {
  const before = server.front.status.subscriptions;
  const all = ["-t", filter, "-C", String(count), "-W", "20", "-F", "> %t %p %r", ...args];
  const started = start("mosquitto_sub", server, all);
  while (server.front.status.subscriptions === before) await wait(5);
  return started;
}

function messagesIn({ output }: Ran): readonly string[] {
  return output
    .split("\n")
    .filter((line) => line.startsWith("> "))
    .map((line) => line.slice(2));
}

function connect(server: FrontServer, options: IClientOptions = {}): Promise<MqttClient> {
  return connectAsync({ host: "127.0.0.1", port: server.port, reconnectPeriod: 0, ...options });
}

describe("mosquitto's clients", () => {
  for (const qos of ["0", "1", "2"]) {
    it(`publish with QoS ${qos}, and a wildcard subscriber gets it`, async (t) => {
      if (!requireTool(t, "mosquitto_pub") || !requireTool(t, "mosquitto_sub")) return;
      await using server = await openFrontServer();
      const reader = await subscribe(server, "plant/+/t", 1, "-q", qos);
      const sent = await publish(server, "-t", "plant/a/t", "-m", "21.5", "-q", qos);
      assert.equal(sent.code, 0, sent.output);
      assert.deepEqual(messagesIn(await reader.done), ["plant/a/t 21.5 0"]);
      assert.deepEqual(server.receiver.payloads, ["21.5"]);
    });
  }

  it("publish to topics that no source wants as to any broker", async (t) => {
    if (!requireTool(t, "mosquitto_pub") || !requireTool(t, "mosquitto_sub")) return;
    await using server = await openFrontServer();
    const reader = await subscribe(server, "#", 3, "-q", "2");
    for (const qos of ["0", "1", "2"]) {
      assert.equal((await publish(server, "-t", "x", "-m", qos, "-q", qos)).code, 0);
    }
    assert.deepEqual(messagesIn(await reader.done), ["x 0 0", "x 1 0", "x 2 0"]);
    assert.deepEqual(server.receiver.payloads, []);
  });

  it("leave a retained message for who comes later, and take it back", async (t) => {
    if (!requireTool(t, "mosquitto_pub") || !requireTool(t, "mosquitto_sub")) return;
    await using server = await openFrontServer();
    await publish(server, "-t", "plant/a/t", "-m", "kept", "-r", "-q", "1");
    const format = ["-F", "> %t %p %r"];
    const later = await start("mosquitto_sub", server, ["-t", "plant/#", "-C", "1", ...format])
      .done;
    assert.deepEqual(messagesIn(later), ["plant/a/t kept 1"]);
    await publish(server, "-t", "plant/a/t", "-n", "-r", "-q", "1");
    const none = start("mosquitto_sub", server, ["-t", "plant/#", "-C", "1", "-W", "1"]);
    assert.notEqual((await none.done).code, 0);
    assert.deepEqual(server.receiver.payloads, ["kept"]);
  });

  it("have their will received and published when they are killed", async (t) => {
    if (!requireTool(t, "mosquitto_sub")) return;
    await using server = await openFrontServer();
    const reader = await subscribe(server, "plant/dead", 1);
    const will = ["--will-topic", "plant/dead", "--will-payload", "gone", "--will-qos", "1"];
    const dying = await subscribe(server, "x", 1, ...will);
    dying.child.kill("SIGKILL");
    assert.deepEqual(messagesIn(await reader.done), ["plant/dead gone 0"]);
    assert.deepEqual(server.receiver.payloads, ["gone"]);
  });

  it("with a wrong password are refused, with the right one let in", async (t) => {
    if (!requireTool(t, "mosquitto_pub")) return;
    await using server = await openFrontServer({ users: [{ name: "s", password: "right" }] });
    const message = ["-t", "plant/a", "-m", "1", "-q", "1"];
    const wrong = await publish(server, ...message, "-u", "s", "-P", "wrong");
    assert.match(wrong.output, /bad user name or password/i);
    const nobody = await publish(server, ...message);
    assert.match(nobody.output, /not authori[sz]ed/i);
    assert.equal((await publish(server, ...message, "-u", "s", "-P", "right")).code, 0);
    assert.deepEqual(server.receiver.payloads, ["1"]);
  });

  it("of version 3.1 are served", async (t) => {
    if (!requireTool(t, "mosquitto_pub")) return;
    await using server = await openFrontServer();
    const old = await publish(server, "-V", "31", "-t", "plant/a", "-m", "1", "-q", "2");
    assert.equal(old.code, 0, old.output);
    assert.deepEqual(server.receiver.payloads, ["1"]);
  });

  it("are served over plain data events too", async (t) => {
    if (!requireTool(t, "mosquitto_pub")) return;
    await using server = await openFrontServer({ net: plainNet() });
    assert.equal((await publish(server, "-t", "plant/a", "-m", "1", "-q", "1")).code, 0);
    assert.deepEqual(server.receiver.payloads, ["1"]);
  });
});

describe("MQTT.js", () => {
  it("publishes with QoS 2 and reads back what it wrote", async () => {
    await using server = await openFrontServer();
    const client = await connect(server);
    await client.subscribeAsync("plant/#", { qos: 2 });
    const echoed: string[] = [];
    const complete = Promise.withResolvers<void>();
    client.on("message", (_topic, payload) => {
      if (echoed.push(payload.toString()) === 20) complete.resolve();
    });
    const payloads = Array.from({ length: 20 }, (_, i) => `${i}`);
    await Promise.all(payloads.map((text) => client.publishAsync("plant/a", text, { qos: 2 })));
    await complete.promise;
    await client.endAsync();
    assert.deepEqual(echoed, payloads);
    assert.deepEqual(server.receiver.payloads, payloads);
  });

  it("publishing every 200 ms with keep alive 2 stays connected", async () => {
    await using server = await openFrontServer();
    const client = await connect(server, { keepalive: 2, reschedulePings: true });
    let closed = false;
    client.on("close", () => {
      closed = true;
    });
    for (let i = 0; i < 25; i++) {
      await client.publishAsync("plant/a", `${i}`, { qos: 1 });
      await wait(200);
    }
    assert.equal(closed, false);
    assert.equal(server.receiver.received.length, 25);
    assert.equal(server.front.status.packetsFast, 25);
    await client.endAsync();
  });

  it("with the id of another takes its place", async () => {
    await using server = await openFrontServer();
    const older = await connect(server, { clientId: "same" });
    const closed = new Promise<void>((resolve) => older.once("close", resolve));
    const newer = await connect(server, { clientId: "same" });
    await closed;
    await newer.publishAsync("plant/a", "1", { qos: 1 });
    assert.deepEqual(server.receiver.payloads, ["1"]);
    await newer.endAsync();
  });

  it("publishing and subscribed on one connection under load gets every byte in its place", async () => {
    await using server = await openFrontServer({ commitEveryMs: 2 });
    const client = await connect(server);
    await client.subscribeAsync(["plant/#", "other/#"], { qos: 1 });
    const count = 4_000;
    const echoed = { fast: 0, broker: 0 };
    const complete = Promise.withResolvers<void>();
    client.on("error", complete.reject);
    client.on("message", (topic, payload) => {
      assert.equal(payload.length, 100);
      echoed[topic.startsWith("plant/") ? "fast" : "broker"] += 1;
      if (echoed.fast + echoed.broker === 2 * count) complete.resolve();
    });
    const payload = "x".repeat(100);
    const sent: Promise<unknown>[] = [];
    for (let i = 0; i < count; i++) {
      sent.push(client.publishAsync("plant/a", payload, { qos: 1 }));
      sent.push(client.publishAsync("other/a", payload, { qos: 1 }));
    }
    await Promise.all(sent);
    await complete.promise;
    assert.deepEqual(echoed, { fast: count, broker: count });
    assert.equal(server.receiver.received.length, count);
    await client.endAsync();
  });
});
