/**
 * Somebody at the side of Kafka asks for an hour of a device over a slow link: the agent is killed while
 * it answers, the answer is whole in the end, and alerts raised meanwhile are not late for it.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isEnvironmental } from "../../src/core/faults.ts";
import type { Cluster } from "../../src/sync/kafka/cluster.ts";
import { CommittedRecords } from "../../src/sync/kafka/upstream/committed-records.ts";
import { decodeRecord } from "../../src/store/outbox/record-codec.ts";
import { type AgentProcess, freePort, startAgentProcess } from "../support/agent-process.ts";
import { oneBroker, openCluster } from "../support/kafka/failure-rig.ts";
import { writeRecord } from "../support/kafka/kcat.ts";
import { isLong } from "../support/long-form.ts";
import { Publisher } from "../support/publisher.ts";
import { weir } from "../support/weir-command.ts";

const agent = "asked";
const bandwidth = 10_000;
const hourMs = 3_600_000;
const metrics = ["a", "b", "c"] as const;
/** One a second. In the short form of a part of the hour: half a minute on the link, or more. */
const perMetric = isLong ? 3_600 : 2_000;
const readings = perMetric * metrics.length;
const alertsPerPhase = isLong ? 15 : 7;
const topics = { commands: "asked.commands", alerts: "asked.alerts", raw: "asked.raw" };
const broker = oneBroker({ version: "3.9" });

test("an hour of a device that is asked for in a topic arrives whole over a slow link, a kill in between, and delays no alert", {
  timeout: 300_000,
}, async (t) => {
  const rig = await broker(t);
  if (rig === undefined) return;
  const { bootstrap } = rig.kafka;
  const cluster = await openCluster(bootstrap);
  t.after(() => cluster.close());
  // Asked for before the agent ever ran.
  await cluster.createTopic({
    topic: topics.commands,
    partitions: 1,
    replication: 1,
    config: {},
  });
  const gateway = await startGateway(t, rig.proxy.bootstrap);
  const port = gateway.mqttPort;
  const { from } = await publishHour(port);
  const alerts = new AlertProbe(port);
  t.after(() => alerts.close());
  await alerts.train();

  const alone = await alerts.latencies(cluster);

  const range = ["--from", String(from), "--to", String(from + hourMs)];
  const to = ["--kafka", bootstrap, "--topic", topics.commands, "--agent", agent];
  const asked = await weir("raw", "ask", "{device=p1}", ...range, ...to, "--id", "hour");
  assert.equal(asked.code, 0, asked.output);
  assert.equal(asked.out.trim(), "hour");
  const raw = new RawReader(cluster);
  await until("the answer begins", async () => (await raw.read()) > 0);
  const before = rig.proxy.bytes.toBroker;
  const beganAt = performance.now();
  const during = await alerts.latencies(cluster);
  const seconds = (performance.now() - beganAt) / 1_000;
  const rate = (rig.proxy.bytes.toBroker - before) / seconds;
  assert.equal(raw.manifests.size, 0, "the answer is under way while the alerts were raised");

  await gateway.kill();
  const atKill = await raw.read();
  assert.ok(raw.parts > 0 && atKill < readings, `${atKill} readings were there at the kill`);
  assert.equal(raw.manifests.size, 0, "it was killed within the answer");
  await gateway.start();
  // From a client of another make, and what cannot be answered.
  const command = { v: 1, command: "raw.ask", agent, from, to: from + 1_000 };
  for (const each of [
    { ...command, id: "small", select: "a{device=p1}" },
    { ...command, id: "bad", select: "a{" },
    { ...command, id: "hour", select: "{device=p1}", to: from + hourMs },
  ]) {
    const record = { key: agent, value: JSON.stringify(each) };
    await writeRecord({ bootstrap, topic: topics.commands }, record);
  }
  await until("all is answered", async () => {
    await raw.read();
    return raw.manifests.size === 3;
  });

  const [hour, small, bad] = ["hour", "small", "bad"].map((id) => raw.manifests.get(id));
  assert.ok(hour?.outcome === "complete" && small?.outcome === "complete");
  assert.equal(hour.readings, readings);
  assert.equal(raw.readings.get("hour"), readings);
  assert.deepEqual(
    hour.series.map((each) => each.readings),
    metrics.map(() => perMetric),
  );
  assert.equal(small.readings, raw.readings.get("small"));
  assert.ok(bad?.outcome === "refused" && /selector "a\{"/.test(bad.reason));
  assert.equal(raw.repeated, 0);

  const named = Object.values(topics)
    .slice(1)
    .flatMap((topic) => ["--topic", topic]);
  const where = ["--kafka", bootstrap, "--cursors", "asked.cursor", "--agent", agent];
  const verified = await weir("upstream", "verify", ...where, ...named);
  assert.equal(verified.code, 0, verified.output);
  t.diagnostic(
    `${readings} readings in ${hour.parts} parts; ${atKill} were there at the kill; ${rate.toFixed(0)} bytes/s while alerts were raised, of ${bandwidth}`,
  );
  t.diagnostic(
    `alert latency alone ${shown(alone)}, while the answer was under way ${shown(during)}`,
  );
  // The answer makes way for each alert; it is under way in between.
  assert.ok(rate > bandwidth / 4, `${rate} bytes/s`);
  // An alert may wait for what is on the wire: half a second of the bandwidth.
  assert.ok(median(during) <= median(alone) + 1_000, `${shown(during)} after ${shown(alone)}`);
});

type Manifest = Extract<ReturnType<typeof decodeRecord>["record"], { kind: "manifest" }>;

/** Reads the topic of raw readings as it grows. */
class RawReader {
  readonly manifests = new Map<string, Manifest>();
  readonly readings = new Map<string, number>();
  readonly #ids = new Set<string>();
  readonly #cluster: Cluster;
  #partitions: CommittedRecords[] = [];
  parts = 0;
  repeated = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Readings so far. */
  async read(): Promise<number> {
    this.#partitions = await opened(this.#cluster, topics.raw, this.#partitions);
    for (const records of this.#partitions) {
      for (let before = -1; before < records.offset; ) {
        before = records.offset;
        for (const { value = new Uint8Array() } of await records.next()) this.#take(value);
      }
    }
    return this.readings.values().reduce((sum, count) => sum + count, 0);
  }

  #take(value: Uint8Array): void {
    const { id, record } = decodeRecord(value, "a raw record");
    if (this.#ids.has(id)) this.repeated += 1;
    this.#ids.add(id);
    if (record.kind === "manifest") this.manifests.set(record.request, record);
    else if (record.kind === "raw") {
      this.parts += 1;
      const known = this.readings.get(record.request) ?? 0;
      this.readings.set(record.request, known + record.times.length);
    }
  }
}

/** A device whose every 21st reading is far from the others. */
class AlertProbe {
  readonly #publisher: Publisher;
  #time = Date.now() - 60_000;
  #seen = 0;
  #partitions: CommittedRecords[] = [];

  constructor(port: number) {
    this.#publisher = new Publisher({ port, clientId: "probe", window: 50 });
  }

  close(): void {
    this.#publisher.close();
  }

  async train(): Promise<void> {
    for (let n = 0; n < 50; n++) await this.#send(n % 2);
    await this.#publisher.settled();
  }

  async #send(v: number): Promise<void> {
    this.#time += 1;
    await this.#publisher.publish("plant/probe/state", JSON.stringify({ ts: this.#time, v }));
  }

  /** From handing the reading over until its alert is upstream, ms. */
  async latencies(cluster: Cluster): Promise<readonly number[]> {
    const all: number[] = [];
    for (let n = 0; n < alertsPerPhase; n++) {
      const wanted = this.#seen + 1;
      const begunAt = performance.now();
      await this.#send(1_000);
      await until("an alert", async () => (await this.#count(cluster)) >= wanted, 5);
      all.push(performance.now() - begunAt);
      for (let calm = 0; calm < 60; calm++) await this.#send(calm % 2);
      await this.#publisher.settled();
      await this.#count(cluster);
    }
    return all;
  }

  async #count(cluster: Cluster): Promise<number> {
    this.#partitions = await opened(cluster, topics.alerts, this.#partitions);
    for (const records of this.#partitions) this.#seen += (await records.next()).length;
    return this.#seen;
  }
}

async function opened(
  cluster: Cluster,
  topic: string,
  known: CommittedRecords[],
): Promise<CommittedRecords[]> {
  if (known.length > 0) return known;
  const count = (await cluster.partitionsOf([topic])).get(topic) ?? 0;
  return Array.from(
    { length: count },
    (_, partition) =>
      new CommittedRecords(cluster, {
        at: { topic, partition },
        from: 0,
        bytesMax: 1_000_000,
        takes: () => true,
      }),
  );
}

async function until(what: string, isSo: () => Promise<boolean>, everyMs = 50): Promise<void> {
  const deadline = performance.now() + 60_000;
  // A topic that was made just now may have no leader yet.
  const notYet = (error: unknown): boolean => {
    if (!isEnvironmental(error)) throw error;
    return false;
  };
  while (!(await isSo().catch(notYet))) {
    assert.ok(performance.now() < deadline, what);
    await sleep(everyMs);
  }
}

async function publishHour(port: number): Promise<{ readonly from: number }> {
  const publisher = new Publisher({ port, clientId: "p1", window: 500 });
  const from = Math.floor(Date.now() / hourMs) * hourMs - 2 * hourMs;
  for (let second = 0; second < perMetric; second++) {
    // Digits that no compression takes away.
    const fields = metrics.map((metric, index) => [metric, Math.sin(second * (index + 1.7)) * 1e3]);
    const reading = { ts: from + second * 1_000, ...Object.fromEntries(fields) };
    await publisher.publish("plant/p1/state", JSON.stringify(reading));
  }
  await publisher.settled();
  publisher.close();
  return { from };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function shown(values: readonly number[]): string {
  const [max, least] = [Math.max(...values), Math.min(...values)];
  return `${least.toFixed(0)} to ${max.toFixed(0)} ms, median ${median(values).toFixed(0)}`;
}

type Gateway = {
  readonly mqttPort: number;
  /** SIGKILL. */
  kill(): Promise<void>;
  start(): Promise<void>;
};

async function startGateway(t: TestContext, bootstrap: string): Promise<Gateway> {
  const directory = await mkdtemp(join(tmpdir(), "weir-raw-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const mqttPort = await freePort();
  const file = join(directory, "weir.yaml");
  await writeFile(file, configuration({ directory, port: mqttPort, bootstrap }));
  let running: AgentProcess | undefined;
  const start = async (): Promise<void> => {
    running = await startAgentProcess(["run", "-c", file]);
  };
  const kill = async (): Promise<void> => void (await running?.kill("SIGKILL"));
  t.after(kill);
  await start();
  return { mqttPort, start, kill };
}

function configuration(of: {
  readonly directory: string;
  readonly port: number;
  readonly bootstrap: string;
}): string {
  const { directory, port, bootstrap } = of;
  return `version: 1
agent: ${agent}
data: ${directory}/data
mqtt: { host: 127.0.0.1, port: ${port}, anonymous: true }
http: off
sources:
  - { name: plant, topics: ["plant/{device}/state"], disorder: 0ms, idle: 2s, future: 1d }
pipelines:
  - { name: shifts, where: { tags: { device: probe } }, ewma: { lambda: 1, sigmas: 4, warmup: 20, rearm: 5 } }
links: [{ name: slow, bandwidth: ${bandwidth}B }]
uplinks:
  - kafka:
      brokers: [${bootstrap}]
      compression: none
      commands: { topic: ${topics.commands}, poll: 1s }
      topics: { summaries: asked.summaries, alerts: ${topics.alerts}, raw: ${topics.raw}, cursor: asked.cursor, partitions: 1, cursorPartitions: 1 }
    via: [slow]
commit: { wait: 20ms, interval: 200ms, checkpoint: 2s }
`;
}
