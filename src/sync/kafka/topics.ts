/**
 * The topics of a lane: there, or created where that is allowed, and fit for their purpose. Made once
 * per session, so a topic that somebody deleted comes back.
 */

import { Fault } from "../../core/faults.ts";
import { type Cluster, errorOf, type TopicToCreate } from "./cluster.ts";

export type TopicOptions = {
  /** Whether to create what is missing. */
  readonly create: boolean;
  /** Partitions of data topics; -1 is the cluster's default. */
  readonly partitions: number;
  readonly replication: number;
  readonly cursorPartitions: number;
};

/** Settings of data topics that weir creates: see docs/format/kafka.md on timestamps. */
const dataConfig = { "message.timestamp.type": "LogAppendTime" };

/**
 * Compacted often, or a fleet's cursors are long to read: short segments, cleaned early. A gateway whose
 * clock is ahead could not write to it without LogAppendTime.
 */
const cursorConfig = {
  ...dataConfig,
  "cleanup.policy": "compact",
  "segment.ms": "3600000",
  "segment.bytes": "16777216",
  "min.cleanable.dirty.ratio": "0.1",
};

export type TopicPart = {
  readonly data: string;
  /** Undefined without transactions. */
  readonly cursor: string | undefined;
  readonly options: TopicOptions;
  readonly wait: (ms: number) => Promise<void>;
  readonly waitMsMax: number;
};

/** Partition counts. Rejects as `Cluster` does, with what to do in the sentence. */
export async function openTopics(
  cluster: Cluster,
  part: TopicPart,
): Promise<{ readonly data: number; readonly cursor: number }> {
  const { data, cursor, options } = part;
  const { partitions, replication, cursorPartitions } = options;
  const wanted: TopicToCreate[] = [{ topic: data, partitions, replication, config: dataConfig }];
  if (cursor !== undefined) {
    const config = cursorConfig;
    wanted.push({ topic: cursor, partitions: cursorPartitions, replication, config });
  }
  const counts = await present(cluster, wanted, part);
  if (cursor !== undefined) {
    await checkCompacted(cluster, cursor, "cursors in it would expire, and records be sent twice");
  }
  return {
    data: counts.get(data) ?? 0,
    cursor: cursor === undefined ? 0 : (counts.get(cursor) ?? 0),
  };
}

/** The same for a topic of savepoints; the count of its partitions. */
export async function openSavepointTopic(
  cluster: Cluster,
  topic: string,
  part: Pick<TopicPart, "options" | "wait" | "waitMsMax">,
): Promise<number> {
  const { cursorPartitions: partitions, replication } = part.options;
  const wanted = { topic, partitions, replication, config: cursorConfig };
  const counts = await present(cluster, [wanted], part);
  await checkCompacted(cluster, topic, "savepoints in it would expire, or pile up");
  return counts.get(topic) ?? 0;
}

async function present(
  cluster: Cluster,
  wanted: readonly TopicToCreate[],
  { options, wait, waitMsMax }: Pick<TopicPart, "options" | "wait" | "waitMsMax">,
): Promise<ReadonlyMap<string, number>> {
  const names = wanted.map(({ topic }) => topic);
  let counts = await cluster.partitionsOf(names);
  const missing = wanted.filter(({ topic }) => !counts.has(topic));
  if (missing.length === 0) return counts;
  if (!options.create) throw missingTopics(missing);
  for (const topic of missing) await create(cluster, topic);
  for (let waitedMs = 0; counts.size < names.length; waitedMs += 100) {
    if (waitedMs >= waitMsMax) throw missingTopics(missing);
    await wait(100);
    counts = await cluster.partitionsOf(names);
  }
  return counts;
}

/** The other lane, or another agent, may be doing the same. */
async function create(cluster: Cluster, topic: TopicToCreate): Promise<void> {
  try {
    await cluster.createTopic(topic);
  } catch (error) {
    if (errorOf(error) !== "TOPIC_ALREADY_EXISTS") throw error;
  }
}

/** A cursor that expires would be a lost one. Who may not look at the setting is not told. */
async function checkCompacted(cluster: Cluster, topic: string, or: string): Promise<void> {
  let policy: string | undefined;
  try {
    policy = (await cluster.topicConfig(topic, ["cleanup.policy"])).get("cleanup.policy");
  } catch (error) {
    if (error instanceof Fault && error.code === "UPLINK_RIGHT_MISSING") return;
    throw error;
  }
  if (policy === undefined || policy === "compact") return;
  throw new Fault(
    "UPLINK_REFUSED",
    `topic ${topic} has cleanup.policy=${policy}: ${or}; set cleanup.policy=compact, or name another topic in the uplink`,
    { facts: { topic, policy } },
  );
}

function missingTopics(missing: readonly TopicToCreate[]): Fault {
  const names = missing.map(({ topic, config }) => {
    const settings = Object.entries(config).map(([name, value]) => `${name}=${value}`);
    return `${topic} (${settings.join(", ")})`;
  });
  return new Fault(
    "UPLINK_REFUSED",
    `the cluster has no topic ${names.join(" and no topic ")}: create it, or let weir do so (topics.create: true)`,
    { facts: { topics: missing.map(({ topic }) => topic).join(" ") } },
  );
}
