/**
 * How fast does a full outbox drain, and at what cost? Rounds of weir and of the client's own
 * Producer, one after the other, each a fresh process with fresh topics; medians are compared.
 *
 * The Producer does less: messages are made before the clock starts, and it has no outbox to read
 * and prune, no intent to store, no digest and no cursor. It sends as many messages a transaction as
 * weir did in the round before.
 */

import { cpSync, mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeFlags } from "../src/agent/node-flags.ts";
import type { KafkaBroker } from "../test/support/kafka/broker.ts";
import type { DrainCost, DrainOptions } from "./uplink-drain.ts";
import { fillOutbox } from "./uplink-outbox.ts";
import { type Bundles, median, rounded, start } from "./process.ts";

export type ThroughputOptions = {
  readonly records: number;
  readonly rounds: number;
  /** Rounds before, for a broker that was just started. */
  readonly warmUps: number;
};

type SenderFigures = {
  readonly records_per_s: number;
  readonly cpu_us_per_record: number;
  readonly records_per_cpu_s: number;
  readonly transactions: number;
  readonly records_per_transaction: number;
};

export type ThroughputResult = {
  readonly records: number;
  readonly rounds: number;
  readonly weir: SenderFigures & {
    readonly rss_peak_mb: number;
    readonly wire_bytes_per_record: number;
    readonly store_commits: number;
  };
  readonly producer: SenderFigures;
  readonly cpu_ratio_vs_producer: number;
};

type Rig = {
  readonly kafka: KafkaBroker;
  readonly bundles: Bundles;
  /** Holds the full store that each round copies. */
  readonly full: string;
  readonly run: string;
};

export async function measureThroughput(
  { kafka, bundles, run }: Omit<Rig, "full">,
  { records, rounds, warmUps }: ThroughputOptions,
): Promise<ThroughputResult> {
  using full = mkdtempDisposableSync(join(tmpdir(), "weir-bench-"));
  await fillOutbox(full.path, { agent: run, count: records });
  const rig = { kafka, bundles, run, full: full.path };
  const weir: DrainCost[] = [];
  const producer: DrainCost[] = [];
  for (let n = 0; n < warmUps + rounds; n++) {
    const ours = await round(rig, "weir", { n, batchRecords: 0, records });
    const batchRecords = Math.ceil(ours.records / ours.transactions);
    const theirs = await round(rig, "producer", { n, batchRecords, records });
    if (n < warmUps) continue;
    weir.push(ours);
    producer.push(theirs);
  }
  const ratios = weir.map((cost, n) => cpuMicros(producer[n]!) / cpuMicros(cost));
  return {
    records,
    rounds,
    weir: {
      ...figuresOf(weir),
      rss_peak_mb: rounded(median(weir.map((cost) => cost.rssPeakBytes)) / 1e6),
      wire_bytes_per_record: rounded(median(weir.map((cost) => cost.sentBytes)) / records),
      store_commits: median(weir.map((cost) => cost.storeCommits)),
    },
    producer: figuresOf(producer),
    cpu_ratio_vs_producer: rounded(median(ratios)),
  };
}

async function round(
  { kafka, bundles, full, run }: Rig,
  kind: "weir" | "producer",
  of: { readonly n: number; readonly batchRecords: number; readonly records: number },
): Promise<DrainCost> {
  using directory = mkdtempDisposableSync(join(tmpdir(), "weir-bench-"));
  cpSync(full, directory.path, { recursive: true });
  const agent = `${run}-${kind}-${of.n}`;
  const topics = { data: agent, alerts: `${agent}-alerts`, cursor: `${agent}-cursor` };
  await createTopics(kafka, topics);
  const options: DrainOptions = {
    bootstrap: kafka.bootstrap,
    directory: directory.path,
    agent,
    topics,
    batchRecords: of.batchRecords,
    records: of.records,
  };
  // weir as it is started, the client as Node starts it.
  const flags = kind === "weir" ? nodeFlags : [];
  await using sender = start(flags, bundles.file("uplink-drain"), [kind, JSON.stringify(options)]);
  return (await sender.event("done")) as DrainCost;
}

/** As weir creates them, but there before the clock starts. */
export async function createTopics(
  kafka: KafkaBroker,
  { data, alerts, cursor }: DrainOptions["topics"],
): Promise<void> {
  const config = { "message.timestamp.type": "LogAppendTime" };
  await kafka.createTopic(data, { partitions: 3, config });
  await kafka.createTopic(alerts, { partitions: 3, config });
  await kafka.createTopic(cursor, { partitions: 50, config: { "cleanup.policy": "compact" } });
}

function figuresOf(costs: readonly DrainCost[]): SenderFigures {
  const transactions = median(costs.map((cost) => cost.transactions));
  const records = median(costs.map((cost) => cost.records));
  return {
    records_per_s: Math.round(median(costs.map((cost) => cost.records / cost.seconds))),
    cpu_us_per_record: rounded(median(costs.map(cpuMicros))),
    records_per_cpu_s: Math.round(median(costs.map((cost) => cost.records / cost.cpuSeconds))),
    transactions,
    records_per_transaction: Math.round(records / transactions),
  };
}

/** Per record. */
function cpuMicros({ cpuSeconds, records }: DrainCost): number {
  return (cpuSeconds * 1e6) / records;
}
