/** The savepoints of an agent in their topic: which are whole, and the file of one. */

import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import {
  decodeChunk,
  FileDigest,
  type FoundSet,
  type Refused,
  SetIndex,
} from "../../../store/care/savepoint-set.ts";
import type { TopicPartition, TopicSource } from "../cluster.ts";
import { partitionOf } from "../message/murmur2.ts";
import { noProgress } from "../no-progress.ts";

export type UpstreamPlace = TopicPartition & { readonly offset: number };
export type UpstreamSet = FoundSet<UpstreamPlace>;

/**
 * The sets of the agent, the newest first, and why others are none. Reads the partition of its name, and
 * where nothing is there all others: the topic may have grown. Rejects as `Cluster` does; INPUT_INVALID
 * where there is no such topic.
 */
export async function findSets(
  cluster: TopicSource,
  { topic, agent }: { readonly topic: string; readonly agent: string },
): Promise<{ readonly sets: readonly UpstreamSet[]; readonly refused: readonly Refused[] }> {
  const partitions = (await cluster.partitionsOf([topic])).get(topic);
  if (partitions === undefined) {
    throw new Fault(
      "INPUT_INVALID",
      `the cluster has no topic ${topic}, where savepoints would be: name another one with --topic`,
      { facts: { topic } },
    );
  }
  const hashed = partitionOf(new TextEncoder().encode(agent), partitions);
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  const refused: Refused[] = [];
  for (const partition of [hashed, ...all.filter((each) => each !== hashed)]) {
    const found = await indexOf(cluster, { topic, partition }, agent);
    refused.push(...found.refused);
    if (found.sets.length > 0) return { sets: found.sets, refused };
  }
  return { sets: [], refused };
}

async function indexOf(cluster: TopicSource, at: TopicPartition, agent: string) {
  const index = new SetIndex<UpstreamPlace>(agent);
  const { first, end } = await cluster.offsets(at);
  for (let offset = first; offset < end; ) {
    const bytesMax = limits.kafkaFetchBytesMax;
    const { batches, next } = await cluster.fetch(at, { offset, bytesMax });
    for (const { control, records } of batches) {
      if (control !== undefined) continue;
      for (const { key, value, offset: place } of records) {
        if (key !== undefined) index.take(key, value, { ...at, offset: place });
      }
    }
    if (next <= offset) throw noProgress(at, { offset, end });
    offset = next;
  }
  return index.result();
}

/** Gives the file of the set piece by piece. Faults: INPUT_INVALID where it is not what its head says. */
export async function fetchSet(
  cluster: TopicSource,
  { head, places }: UpstreamSet,
  take: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  const digest = new FileDigest();
  for (const place of places) {
    const value = await recordAt(cluster, place);
    const chunk = value && decodeChunk(value);
    if (chunk?.set !== head.set) throw notWhole(head.made, "a chunk was written anew meanwhile");
    digest.add(chunk.piece);
    await take(chunk.piece);
  }
  if (digest.end() !== head.digest) throw notWhole(head.made, "its digest is another one");
}

async function recordAt(
  cluster: TopicSource,
  { topic, partition, offset }: UpstreamPlace,
): Promise<Uint8Array | undefined> {
  const bytesMax = limits.kafkaFetchBytesMax;
  const { batches } = await cluster.fetch({ topic, partition }, { offset, bytesMax });
  for (const { records } of batches) {
    const found = records.find((record) => record.offset === offset);
    if (found !== undefined) return found.value;
  }
  return undefined;
}

function notWhole(made: number, why: string): Fault {
  return new Fault("INPUT_INVALID", `the savepoint made at ${made} is not whole: ${why}`, {
    facts: { made },
  });
}
