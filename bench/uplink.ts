/**
 * How fast does a full outbox drain into Kafka and at what cost, and how long does an alert take from
 * the device to a consumer? Against a real broker on this machine (or the one that WEIR_TEST_KAFKA
 * names), which shares its processors with what is measured: CPU per record is the figure to compare.
 */

import { randomBytes } from "node:crypto";
import { connectCluster } from "../src/sync/kafka/client/client.ts";
import { eventually } from "../test/support/kafka/cluster-contract-rig.ts";
import { type KafkaBroker, startKafka } from "../test/support/kafka/broker.ts";
import { fetchJars, hasJars } from "../test/support/kafka/jars.ts";
import { type AlertLatency, type LatencyOptions, measureAlerts } from "./uplink-latency.ts";
import { bundleProcesses } from "./process.ts";
import {
  measureThroughput,
  type ThroughputOptions,
  type ThroughputResult,
} from "./uplink-throughput.ts";

export type UplinkBenchOptions = {
  readonly throughput: ThroughputOptions;
  readonly latency: LatencyOptions;
};

export const defaults: UplinkBenchOptions = {
  throughput: { records: 200_000, rounds: 5, warmUps: 1 },
  latency: { devices: 100, rate: 1_000, settleMs: 5_000, alerts: 400, alertEveryMs: 50 },
};

export const tinyOptions: UplinkBenchOptions = {
  throughput: { records: 3_000, rounds: 1, warmUps: 0 },
  latency: { devices: 20, rate: 400, settleMs: 2_000, alerts: 10, alertEveryMs: 50 },
};

export type UplinkBenchResult = {
  readonly throughput: ThroughputResult;
  readonly alertLatency: AlertLatency;
};

export async function runUplink(options: UplinkBenchOptions): Promise<UplinkBenchResult> {
  await using kafka = await openBroker();
  await wake(kafka.bootstrap);
  using bundles = await bundleProcesses(["uplink-drain", "uplink-agent"]);
  // A broker that was there before keeps its topics.
  const run = `bench-${randomBytes(4).toString("hex")}`;
  const throughput = await measureThroughput({ kafka, bundles, run }, options.throughput);
  const alertLatency = await measureAlerts({ kafka, bundles, run }, options.latency);
  return { throughput, alertLatency };
}

async function openBroker(): Promise<KafkaBroker> {
  if (process.env["WEIR_TEST_KAFKA"] !== undefined) return await startKafka();
  const version = "4";
  if (!hasJars(version)) {
    const trouble = fetchJars(version);
    if (trouble !== undefined) throw new Error(`Kafka's jars could not be fetched: ${trouble}`);
  }
  return await startKafka({ version });
}

/**
 * What a fresh cluster does only once: it makes its inner topics, and gives out producer id 0, which
 * the client's Producer takes for its own.
 */
async function wake(bootstrap: string): Promise<void> {
  const cluster = await connectCluster({
    bootstrap: [bootstrap],
    clientId: "weir-bench",
    requestTimeoutMs: 10_000,
    connectTimeoutMs: 10_000,
  });
  for (const transactionalId of ["bench-first", "bench-second"]) {
    await eventually(() => cluster.initProducer({ transactionalId, timeoutMs: 10_000 }));
  }
  await eventually(() => cluster.committedOffsets("bench-first"));
  await cluster.close();
}
