/**
 * How long does an alert take, from the publish of a reading by a device to a read_committed consumer
 * of the alerts' topic? The whole agent in a process of its own, with its defaults: the commit wait
 * (a reading waits up to 200 ms for the sync it shares) is in it, as are the commit of the alert to
 * the outbox and its transaction.
 *
 *   devices ── QoS 1 ──▶ agent ── transaction ──▶ broker ──▶ kcat ──▶ here
 *   here ── produce ──────────────────────────▶ broker ──▶ kcat ──▶ here     the floor
 *
 * Devices publish at a modest rate; now and then one of them, each in its turn, publishes an outlier.
 * Publisher and clock are in this process, kcat is librdkafka. The floor is what a record takes that
 * is produced directly, under the same load.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempDisposableSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { nodeFlags } from "../src/agent/node-flags.ts";
import { connectCluster } from "../src/sync/kafka/client/client.ts";
import { encodeRecordBatch, noCompression } from "../src/sync/kafka/message/record-batch.ts";
import type { KafkaBroker } from "../test/support/kafka/broker.ts";
import { type Fleet, openFleet } from "./fleet.ts";
import type { AgentOptions } from "./uplink-agent.ts";
import { type Bundles, quantile, rounded, start } from "./process.ts";
import { createTopics } from "./uplink-throughput.ts";

export type LatencyOptions = {
  readonly devices: number;
  /** Ordinary readings per second, over all devices. */
  readonly rate: number;
  /** Ordinary readings alone for so long: charts learn, code gets warm. */
  readonly settleMs: number;
  readonly alerts: number;
  readonly alertEveryMs: number;
};

export type AlertLatency = {
  readonly alerts: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  /** Of a record produced directly, from the call to the consumer. */
  readonly floor: { readonly p50_ms: number; readonly p99_ms: number };
  readonly messages_per_s: number;
  readonly agent_rss_mb: number;
};

/** Not counted, so that the first transactions of a process are not. */
const alertsBefore = 20;
const floorProbes = 100;
const floorEveryMs = 25;
const arrivalWaitMs = 10_000;

type Rig = { readonly kafka: KafkaBroker; readonly bundles: Bundles; readonly run: string };

export async function measureAlerts(
  { kafka, bundles, run }: Rig,
  options: LatencyOptions,
): Promise<AlertLatency> {
  using directory = mkdtempDisposableSync(join(tmpdir(), "weir-bench-"));
  const agent = `${run}-alerts`;
  const topics = { data: agent, alerts: `${agent}-alerts`, cursor: `${agent}-cursor` };
  await createTopics(kafka, topics);
  const { bootstrap } = kafka;
  const agentOptions: AgentOptions = { bootstrap, directory: directory.path, agent, topics };
  await using process = start(nodeFlags, bundles.file("uplink-agent"), [
    JSON.stringify(agentOptions),
  ]);
  const { port } = (await process.event("listening")) as { port: number };
  await using reader = readTopic(bootstrap, topics.alerts);
  using fleet = openFleet(port, options);
  const settled = sleep(options.settleMs);
  const floor = await measureFloor(reader, { bootstrap, topic: topics.alerts });
  await settled;
  const sentBefore = fleet.sent;
  const startedAt = performance.now();
  const latencies = await raiseAlerts(fleet, reader, options);
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    alerts: latencies.length,
    p50_ms: rounded(quantile(latencies, 0.5)),
    p99_ms: rounded(quantile(latencies, 0.99)),
    max_ms: rounded(Math.max(...latencies)),
    floor: { p50_ms: rounded(quantile(floor, 0.5)), p99_ms: rounded(quantile(floor, 0.99)) },
    messages_per_s: Math.round((fleet.sent - sentBefore) / seconds),
    agent_rss_mb: rssMegabytes(process.child.pid),
  };
}

async function raiseAlerts(
  fleet: Fleet,
  reader: TopicReader,
  { alerts, alertEveryMs }: LatencyOptions,
): Promise<number[]> {
  const latencies: Promise<number>[] = [];
  const firstAt = performance.now();
  for (let n = 0; n < alertsBefore + alerts; n++) {
    await sleep(Math.max(0, firstAt + n * alertEveryMs - performance.now()));
    const publishedAt = performance.now();
    const { device, time } = fleet.outlier(n);
    const seen = reader.seen(`${device} ${time}`);
    if (n >= alertsBefore) latencies.push(seen.then((seenAt) => seenAt - publishedAt));
  }
  const late = sleep(arrivalWaitMs, undefined, { ref: false });
  const all = await Promise.race([Promise.all(latencies), late]);
  if (all === undefined) throw new Error("not every outlier came back as an alert");
  return all;
}

/** Latencies in ms, from the call of produce until the reader has the record. */
async function measureFloor(
  reader: TopicReader,
  { bootstrap, topic }: { readonly bootstrap: string; readonly topic: string },
): Promise<number[]> {
  const cluster = await connectCluster({
    bootstrap: [bootstrap],
    clientId: "weir-bench",
    requestTimeoutMs: 10_000,
    connectTimeoutMs: 10_000,
  });
  const latencies: number[] = [];
  for (let n = 0; n < 2 * floorProbes; n++) {
    const partition = n % 3;
    const value = Buffer.from(JSON.stringify({ key: { device: "floor" }, time: n }));
    const bytes = encodeRecordBatch([{ key: Buffer.from("floor"), value, headers: [] }], {
      producer: undefined,
      sequence: 0,
      isTransactional: false,
      timeMs: Date.now(),
      compression: noCompression,
    });
    const producedAt = performance.now();
    const seen = reader.seen(`floor ${n}`);
    await cluster.produce([{ topic, partition, bytes }], { transactionalId: undefined });
    // A reader that begins at the end misses what was there before it had found the end.
    const seenAt = await Promise.race([seen, sleep(500)]);
    if (seenAt === undefined && latencies.length > 0) throw new Error("a probe was lost");
    if (seenAt !== undefined) latencies.push(seenAt - producedAt);
    if (latencies.length === floorProbes) break;
    await sleep(floorEveryMs);
  }
  await cluster.close();
  return latencies;
}

// ---- the consumer ----

type TopicReader = AsyncDisposable & {
  /** When (performance.now) the record of this device and time came; each is asked for once. */
  seen(deviceAndTime: string): Promise<number>;
};

/** From the end on, without waiting for more than there is. */
function readTopic(bootstrap: string, topic: string): TopicReader {
  const settings = ["isolation.level=read_committed", "fetch.wait.max.ms=10"];
  const options = settings.flatMap((setting) => ["-X", setting]);
  const where = ["-b", bootstrap, "-t", topic, "-o", "end"];
  const child = spawn("kcat", ["-C", "-q", "-u", "-f", "%s\\n", ...where, ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const waiting = new Map<string, (at: number) => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const at = performance.now();
    const { key, time } = JSON.parse(line) as { key: { device: string }; time: number };
    waiting.get(`${key.device} ${time}`)?.(at);
  });
  return {
    seen: (deviceAndTime) =>
      new Promise((resolve) => {
        waiting.set(deviceAndTime, resolve);
      }),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function rssMegabytes(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return rounded((Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024) / 1e6);
}
