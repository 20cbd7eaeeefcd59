/**
 * Waits until every transaction on a topic is decided. A cluster answers EndTxn before it has written
 * the markers, so what was just committed is a moment away from read_committed readers.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Admin, FetchIsolationLevels, ListOffsetTimestamps } from "@platformatic/kafka";

const waitMsMax = 20_000;

/** A transaction was open all the time: one hangs, or one follows the other. */
export class StillOpen extends Error {
  override readonly name = "StillOpen";
}

/** Resolves when the last stable offset of each partition is its end. */
export async function allDecided(bootstrap: string, topics: readonly string[]): Promise<void> {
  const admin = new Admin({ clientId: "weir-tests", bootstrapBrokers: [bootstrap], retries: 3 });
  const deadline = performance.now() + waitMsMax;
  try {
    while (!(await isDecided(admin, topics))) {
      if (performance.now() > deadline) {
        throw new StillOpen(
          `after ${waitMsMax} ms a transaction is still open on ${topics.join(", ")}`,
        );
      }
      await sleep(5);
    }
  } finally {
    await admin.close();
  }
}

async function isDecided(admin: Admin, topics: readonly string[]): Promise<boolean> {
  // In this order: whatever is decided by now is decided in what is read next.
  const ends = await offsetsOf(admin, topics, FetchIsolationLevels.READ_UNCOMMITTED);
  const stable = await offsetsOf(admin, topics, FetchIsolationLevels.READ_COMMITTED);
  return [...ends].every(([at, end]) => (stable.get(at) ?? -1n) >= end);
}

/** By "topic/partition". */
async function offsetsOf(
  admin: Admin,
  topics: readonly string[],
  isolationLevel: 0 | 1,
): Promise<ReadonlyMap<string, bigint>> {
  const { topics: known } = await admin.metadata({ topics: [...topics] });
  const wanted = [...known].map(([name, { partitions }]) => ({
    name,
    partitions: Object.keys(partitions).map((index) => ({
      partitionIndex: Number(index),
      timestamp: ListOffsetTimestamps.LATEST,
    })),
  }));
  const listed = await admin.listOffsets({ topics: wanted, isolationLevel });
  return new Map(
    listed.flatMap(({ name, partitions }) =>
      partitions.map(
        ({ partitionIndex, offset }) => [`${name}/${partitionIndex}`, offset] as const,
      ),
    ),
  );
}
