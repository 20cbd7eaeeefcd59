/**
 * The bridge against a real Mosquitto: the agent is killed, the broker ends, and the connection is cut
 * or stands half-open while records flow.
 * Every record arrives at least once, each under one id with one text; without the repetitions it is
 * exactly what the file uplink of the same outbox has, which holds each record once.
 */

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connectAsync, type MqttClient } from "mqtt";
import { freePort, startAgentProcess } from "../support/agent-process.ts";
import { DeviceLoad } from "../support/device-load.ts";
import { openProxy } from "../support/mosquitto/proxy.ts";
import { startMosquitto } from "../support/mosquitto/server.ts";
import { requireTool } from "../support/require-tool.ts";
import { fractions } from "../support/seeded-random.ts";

const KILLS = Number(process.env["WEIR_TEST_KILLS"] ?? 12);
const SEED = Number(process.env["WEIR_TEST_SEED"] ?? 1);
const ARRIVE_MS_MAX = 60_000;

type Arrived = { readonly topic: string; readonly text: string; readonly id: string | undefined };

/** A subscriber whose session the broker keeps: it gets whatever the broker acknowledged. */
async function openWitness(port: number): Promise<{
  readonly client: MqttClient;
  readonly arrived: Arrived[];
}> {
  const arrived: Arrived[] = [];
  const client = await connectAsync({
    host: "127.0.0.1",
    port,
    protocolVersion: 5,
    clientId: "witness",
    clean: false,
    properties: { sessionExpiryInterval: 3_600 },
    reconnectPeriod: 50,
  });
  client.on("error", () => undefined); // a broker that is down: it connects again
  client.on("message", (topic, payload, { properties }) => {
    const id = properties?.userProperties?.["id"];
    arrived.push({ topic, text: payload.toString(), id: typeof id === "string" ? id : undefined });
  });
  await client.subscribeAsync("weir/#", { qos: 1 });
  return { client, arrived };
}

/** Lines of the file uplink, in order. */
async function linesOf(directory: string, lane: string): Promise<readonly string[]> {
  const names = (await readdir(directory)).filter((name) => name.startsWith(`${lane}-`)).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), "utf8")));
  return texts.flatMap((text) => text.split("\n").filter((line) => line !== ""));
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + ARRIVE_MS_MAX;
  while (!isSo()) {
    assert.ok(performance.now() < end, `within ${ARRIVE_MS_MAX} ms: ${what}`);
    await sleep(20);
  }
}

function configurationOf(options: {
  readonly directory: string;
  readonly port: number;
  readonly brokerPort: number;
}): string {
  const { directory, port, brokerPort } = options;
  return `version: 1
agent: gw1
data: ${directory}/data
mqtt: { host: 127.0.0.1, port: ${port}, anonymous: true, publish: { status: off } }
http: off
sources:
  - name: plant
    topics: ["plant/{line}/{device}/state"]
    disorder: 500ms
    idle: 1s
pipelines:
  - name: seconds
    where: { metrics: [v] }
    key: [line, device, metric]
    window: { tumbling: 200ms }
    aggregate: [count, sum]
    allowedLateness: 60s
  - name: shifts
    where: { metrics: [v] }
    ewma: { sigmas: 0.1, warmup: 5, rearm: 1 }
uplinks:
  - file: { directory: ${directory}/out }
  - mqtt: { url: "mqtt://127.0.0.1:${brokerPort}", linger: 50ms, status: 1s, timeouts: { answer: 1500ms } }
commit: { wait: 20ms, interval: 100ms, checkpoint: 2s }
`;
}

describe("the bridge and a real Mosquitto", { timeout: 280_000 }, () => {
  test(`each record arrives, with one id and one text, over ${KILLS} ends of agent, link and broker`, async (t) => {
    if (!requireTool(t, "mosquitto")) return;
    t.diagnostic(`replay with WEIR_TEST_SEED=${SEED} WEIR_TEST_KILLS=${KILLS}`);
    const directory = await mkdtemp(join(tmpdir(), "weir-bridge-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    await using mosquitto = await startMosquitto({ inFlightMax: 20 });
    await using proxy = await openProxy({ to: mosquitto.port });
    const { client, arrived } = await openWitness(mosquitto.port);
    t.after(() => client.end(true));
    const port = await freePort();
    const file = join(directory, "weir.yaml");
    await writeFile(file, configurationOf({ directory, port, brokerPort: proxy.port }));
    const random = fractions(SEED);
    let agent = await startAgentProcess(["run", "-c", file]);
    t.after(() => agent.kill("SIGKILL"));
    const load = new DeviceLoad({
      port,
      devices: 8,
      windowMs: 1_000,
      stepMs: 5,
      random: fractions(SEED + 1),
    });
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(100 + random() * 900);
      if (kill % 4 === 1) {
        proxy.stall(); // longer than answers are waited for
        await sleep(2_000 + random() * 1_500);
        proxy.unstall();
      } else if (kill % 4 === 2) {
        proxy.cut({ torn: random() < 0.5 });
      } else if (kill % 4 === 3) {
        // In order, so that it keeps what it acknowledged: a kill loses that, whoever sent it.
        await mosquitto.end("SIGTERM");
        await sleep(random() * 1_000);
        await mosquitto.start();
      } else {
        await agent.kill("SIGKILL");
        agent = await startAgentProcess(["run", "-c", file]);
      }
    }
    await load.stop();
    await sleep(3_000); // longer than the idle timeout: silent devices let their windows close
    assert.equal(await agent.kill("SIGTERM"), 0, `a clean end: ${agent.output()}`);

    let repeated = 0;
    for (const [lane, topic] of [
      ["summaries", "weir/gw1/summary/seconds"],
      ["alerts", "weir/gw1/alert/shifts"],
    ] as const) {
      const lines = await linesOf(join(directory, "out"), lane);
      const here = (): readonly Arrived[] => arrived.filter((each) => each.topic === topic);
      await until(`all ${lines.length} ${lane}`, () => {
        return new Set(here().map(({ text }) => text)).size >= lines.length;
      });
      assert.ok(lines.length > 10, `${lines.length} ${lane} flowed`);
      const textOf = new Map<string, string>();
      for (const { id, text } of here()) {
        assert.ok(id !== undefined, "each message has an id");
        assert.equal(textOf.get(id) ?? text, text, `${id} has one text`);
        textOf.set(id, text);
      }
      const bySeq = [...textOf].sort(([a], [b]) => seqOf(a) - seqOf(b));
      assert.deepEqual(
        bySeq.map(([id]) => seqOf(id)),
        [...lines.keys()],
        "numbers without a gap",
      );
      assert.deepEqual(
        bySeq.map(([, text]) => text),
        lines,
        `without repetitions it is what the outbox of ${lane} held, in its order`,
      );
      repeated += here().length - textOf.size;
    }
    await until("the last word", () => {
      const last = arrived.findLast(({ topic }) => topic === "weir/gw1/status");
      return last !== undefined && last.text.includes('"online":false');
    });
    t.diagnostic(`${arrived.length} messages arrived, ${repeated} of them repetitions`);
  });

  test("an agent that takes every topic of the broker it bridges to does not hear itself", async (t) => {
    if (!requireTool(t, "mosquitto")) return;
    const directory = await mkdtemp(join(tmpdir(), "weir-bridge-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    await using mosquitto = await startMosquitto();
    const { client, arrived } = await openWitness(mosquitto.port);
    t.after(() => client.end(true));
    const [port, httpPort] = [await freePort(), await freePort()];
    const file = join(directory, "weir.yaml");
    await writeFile(
      file,
      configurationOf({ directory, port, brokerPort: mosquitto.port })
        .replace("http: off", `http: { port: ${httpPort} }`)
        .replace(
          'topics: ["plant/{line}/{device}/state"]',
          `broker: site\n    topics: ["plant/{line}/{device}/state", "#"]`,
        )
        .concat(`brokers: [{ name: site, urls: ["mqtt://127.0.0.1:${mosquitto.port}"] }]\n`),
    );
    const agent = await startAgentProcess(["run", "-c", file]);
    t.after(() => agent.kill("SIGKILL"));
    const read = async (path: string): Promise<Record<string, unknown>> => {
      const answer = await fetch(`http://127.0.0.1:${httpPort}${path}`);
      return (await answer.json()) as Record<string, unknown>;
    };
    const subscribed = async (): Promise<boolean> => {
      const [site] = (await read("/v1/status"))["brokers"] as { state: string }[];
      return site?.state === "running";
    };
    while (!(await subscribed())) await sleep(20);
    const intake = async () => (await read("/v1/status"))["intake"] as Record<string, number>;
    const readings = 40;
    for (let n = 0; n < readings; n++) {
      const payload = JSON.stringify({ ts: Date.now(), v: n });
      await client.publishAsync("plant/a/d1/state", payload, { qos: 1 });
      await sleep(50);
    }
    await until("summaries", () => arrived.some(({ topic }) => topic.includes("/summary/")));
    await sleep(2_000); // what came back would be computed on, and come back again
    const { decoded, deadLettered, own } = await intake();
    assert.deepEqual([decoded, deadLettered], [readings, 0]);
    const ours = arrived.filter(({ topic }) => topic.startsWith("weir/gw1/"));
    assert.ok((own ?? 0) > 0, "what came back was seen");
    assert.ok(ours.length < 200, `${ours.length} messages of its own`);
    assert.equal(await agent.kill("SIGTERM"), 0);
  });

  test("a killed agent is offline by its will, and online again when it is back", async (t) => {
    if (!requireTool(t, "mosquitto")) return;
    const directory = await mkdtemp(join(tmpdir(), "weir-bridge-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    await using mosquitto = await startMosquitto();
    const { client, arrived } = await openWitness(mosquitto.port);
    t.after(() => client.end(true));
    const file = join(directory, "weir.yaml");
    const port = await freePort();
    await writeFile(file, configurationOf({ directory, port, brokerPort: mosquitto.port }));
    const online = (): string =>
      arrived
        .filter(({ topic }) => topic === "weir/gw1/status")
        .map(({ text }) => String((JSON.parse(text) as { online: boolean }).online))
        .filter((state, index, all) => state !== all[index - 1])
        .join(" ");
    let agent = await startAgentProcess(["run", "-c", file]);
    t.after(() => agent.kill("SIGKILL"));
    await until("online", () => online() === "true");
    await agent.kill("SIGKILL");
    await until("offline", () => online() === "true false");
    agent = await startAgentProcess(["run", "-c", file]);
    await until("online again", () => online() === "true false true");
    assert.equal(await agent.kill("SIGTERM"), 0);
    await until("offline at last", () => online() === "true false true false");
  });
});

function seqOf(id: string): number {
  return Number(id.slice(id.lastIndexOf(":") + 1));
}
