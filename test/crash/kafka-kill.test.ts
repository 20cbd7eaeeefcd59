/**
 * The real agent with a Kafka uplink, killed while devices keep sending: at random, as the broker is
 * too, and at each step of a transaction. Afterwards a read_committed consumer finds every acknowledged
 * reading in exactly one summary count, and every record of an outbox once.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { byOutputQueue, type OutputQueue } from "../../src/store/outbox/lane.ts";
import { type AgentProcess, freePort, startAgentProcess } from "../support/agent-process.ts";
import { DeviceLoad } from "../support/device-load.ts";
import { type KafkaBroker, startKafka } from "../support/kafka/broker.ts";
import { StillOpen } from "../support/kafka/stable-offsets.ts";
import { inTime, once, steps, warmUp } from "../support/kafka/failure-rig.ts";
import type { KafkaVersion } from "../support/kafka/jars.ts";
import { countOf, pairsOf } from "../support/long-form.ts";
import { freePorts } from "../support/ports.ts";
import { openProxy } from "../support/kafka/proxy.ts";
import { requireKafka } from "../support/kafka/require-kafka.ts";
import { readOutboxes } from "../support/kafka/upstream-records.ts";
import { fractions } from "../support/seeded-random.ts";
import { latestRevisions, repeatedIds, type UpstreamRecord } from "../support/upstream.ts";

const KILLS = countOf("WEIR_TEST_KILLS", { short: 5, long: 15 });
const SEED = Number(process.env["WEIR_TEST_SEED"] ?? 1);
const VERSIONS = (process.env["WEIR_TEST_KAFKA_VERSIONS"] ?? "3.9").split(",").map(versionOf);
const BROKER_KILLS = Math.ceil(KILLS / 3);
const AGENT = "killed";
const WINDOW_MS = 1_000;
/** After a broker was away the uplink may wait up to a minute before it tries again. */
const COMPLETE_WAIT_MS = 90_000;

for (const version of VERSIONS) {
  test(`nothing is lost or counted twice over ${KILLS} kills of the agent and ${BROKER_KILLS} of Kafka ${version}`, {
    timeout: 90_000 + KILLS * 20_000,
  }, async (t) => {
    if (!requireKafka(t, [version])) return;
    t.diagnostic(
      `replay with WEIR_TEST_SEED=${SEED} WEIR_TEST_KILLS=${KILLS} WEIR_TEST_KAFKA_VERSIONS=${version} npm test -- test/crash`,
    );
    await using kafka = await startKafka({ version });
    await warmUp(kafka.bootstrap);
    const gateway = await startGateway(t, kafka.bootstrap);
    const random = fractions(SEED + 1);
    const brokerKills = (async () => {
      for (let kill = 0; kill < BROKER_KILLS; kill++) {
        await sleep(500 + random() * 3_000);
        await kafka.kill();
        await kafka.restart();
      }
    })();
    const agentRandom = fractions(SEED + 2);
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(100 + agentRandom() * 1_900);
      await gateway.kill();
      await gateway.start();
    }
    await brokerKills;
    await finish(t, gateway, kafka);
  });

  test(`nothing is lost or counted twice when the agent is killed at any step of a transaction with Kafka ${version}`, {
    timeout: 180_000,
  }, async (t) => {
    if (!requireKafka(t, [version])) return;
    const [port = 0] = await freePorts(1);
    await using kafka = await startKafka({ version, proxied: port });
    await using proxy = await openProxy({ port, to: kafka.behindProxy });
    await warmUp(kafka.bootstrap);
    const gateway = await startGateway(t, proxy.bootstrap);
    for (const [step, { side, verdict }] of pairsOf(steps, moments)) {
      const { promise: killed, resolve } = Promise.withResolvers<void>();
      once(proxy, { step, side }, async () => {
        await gateway.kill();
        resolve();
        return verdict;
      });
      // A lane asks these only when it opens.
      if (step === "InitProducerId" || step === "OffsetFetch") await gateway.restart();
      await inTime(`killed: ${verdict} the ${side} of ${step}`, killed);
      await gateway.start();
    }
    await finish(t, gateway, kafka);
  });
}

/** Before the broker heard, while it is at it, and after it acted. */
const moments = [
  { side: "request", verdict: "cut" },
  { side: "request", verdict: "pass" },
  { side: "response", verdict: "cut" },
] as const;

/** An agent that can be killed and started again, and its devices. */
type Gateway = {
  readonly load: DeviceLoad;
  /** SIGKILL, when it has started. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Killed and started; resolves before it has started. */
  restart(): Promise<void>;
  /** SIGTERM; resolves with the exit code and what it printed. */
  end(): Promise<{ readonly code: number | undefined; readonly output: string }>;
};

async function startGateway(t: TestContext, bootstrap: string): Promise<Gateway> {
  const directory = await mkdtemp(join(tmpdir(), "weir-kafka-kill-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const port = await freePort();
  const file = join(directory, "weir.yaml");
  await writeFile(file, configuration({ directory, port, bootstrap }));
  let agent: Promise<AgentProcess> = startAgentProcess(["run", "-c", file]);
  await agent;
  t.after(async () => await (await agent).kill("SIGKILL"));
  const load = new DeviceLoad({
    port,
    devices: 8,
    windowMs: WINDOW_MS,
    stepMs: 20,
    random: fractions(SEED),
  });
  const kill = async (): Promise<void> => void (await (await agent).kill("SIGKILL"));
  const begin = (): void => {
    agent = startAgentProcess(["run", "-c", file]);
  };
  return {
    load,
    kill,
    start: async () => {
      begin();
      await agent;
    },
    restart: async () => {
      await kill();
      begin();
    },
    end: async () => {
      const ending = await agent;
      return { code: await ending.kill("SIGTERM"), output: ending.output() };
    },
  };
}

/** Waits for the rest, ends the agent, and compares what is upstream with what was acknowledged. */
async function finish(t: TestContext, gateway: Gateway, kafka: KafkaBroker): Promise<void> {
  const { load } = gateway;
  await load.stop();
  assert.equal(load.acknowledged, load.total);
  assert.equal(load.strayAcks, 0);
  const deadline = performance.now() + COMPLETE_WAIT_MS;
  while (!(await isComplete(load, kafka)) && performance.now() < deadline) await sleep(500);
  const isWhole = await isComplete(load, kafka);
  const { code, output } = await gateway.end();
  assert.equal(code, 0, `a clean end: ${output}`);
  assert.ok(
    isWhole,
    `all of it is upstream within ${COMPLETE_WAIT_MS} ms; the agent says:\n${output}`,
  );
  const { summaries, alerts } = await readRecords(kafka);
  assert.deepEqual(countsOf(summaries), load.sent);
  assert.deepEqual(repeatedIds(summaries), [], "each record id is upstream once");
  assert.deepEqual(repeatedIds(alerts), [], "each alert is upstream once");
  const upstream = `${summaries.length} summaries and ${alerts.length} alerts upstream`;
  t.diagnostic(`${load.total} readings acknowledged, ${upstream}`);
}

/**
 * Whether everything seems to be upstream. While the agent sends, partitions are read at different
 * moments, so that what is read need not be whole.
 */
async function isComplete({ sent }: DeviceLoad, kafka: KafkaBroker): Promise<boolean> {
  try {
    return isDeepStrictEqual(countsOf((await readRecords(kafka)).summaries), sent);
  } catch (error) {
    // While it catches up, one transaction follows the other.
    if (error instanceof assert.AssertionError || error instanceof StillOpen) return false;
    throw error;
  }
}

/** Of one outbox in each lane, in which every number is there once. */
async function readRecords({
  bootstrap,
}: KafkaBroker): Promise<Readonly<Record<OutputQueue, readonly UpstreamRecord[]>>> {
  const { outboxes, forkedFrom } = await readOutboxes(AGENT, { bootstrap, topics });
  assert.deepEqual(forkedFrom, []);
  return byOutputQueue((lane) => {
    const [texts = [], ...others] = outboxes[lane].values();
    assert.equal(others.length, 0, `${lane} has one outbox`);
    return texts.map((text) => JSON.parse(text) as UpstreamRecord);
  });
}

/** As DeviceLoad counts. */
function countsOf(summaries: readonly UpstreamRecord[]): ReadonlyMap<string, number> {
  return new Map(
    latestRevisions(summaries).map((summary) => {
      const { device } = summary["key"] as { readonly device: string };
      return [`${device}@${String(summary["start"])}`, Number(summary["count"])];
    }),
  );
}

function versionOf(text: string): KafkaVersion {
  if (text === "3.9" || text === "4") return text;
  throw new Error(`WEIR_TEST_KAFKA_VERSIONS is a list of 3.9 and 4, not ${text}`);
}

const topics = { alerts: "alerts", summaries: "summaries", cursors: "cursors" };

function configuration(of: {
  readonly directory: string;
  readonly port: number;
  readonly bootstrap: string;
}): string {
  const { directory, port, bootstrap } = of;
  return `version: 1
agent: ${AGENT}
data: ${directory}/data
mqtt: { host: 127.0.0.1, port: ${port}, anonymous: true }
http: off
sources:
  - name: plant
    topics: ["plant/{line}/{device}/state"]
    disorder: 500ms
    future: 1d # the devices' clocks run faster than ours
    idle: 2s
pipelines:
  - name: seconds
    where: { metrics: [v] }
    key: [line, device, metric]
    window: { tumbling: 1s }
    aggregate: [count, sum, min, max]
    allowedLateness: 60s
  - name: shifts
    where: { metrics: [v] }
    ewma: { sigmas: 1, warmup: 10, rearm: 1 }
uplinks:
  - kafka:
      brokers: [${bootstrap}]
      linger: 50ms
      topics: { summaries: summaries, alerts: alerts, cursor: cursors, partitions: 3 }
      timeouts: { connect: 2s, request: 3s, transaction: 20s }
commit: { wait: 20ms, interval: 200ms, checkpoint: 2s }
`;
}
