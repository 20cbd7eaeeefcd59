/**
 * Finds a lane's cursor in the cluster, after InitProducerId succeeded: every transaction of this
 * name is then decided, and all its markers are written.
 *
 * First the group's offset, one small answer; clusters forget it after a week without a commit. Then
 * the cursor topic, from where our last cursor was written to the high watermark, else from its
 * beginning. It is read uncommitted and decided by the control markers of each producer: reading
 * committed would stop at the oldest transaction that any agent has open on the partition.
 */

import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Cluster, FetchedBatch, TopicPartition } from "./cluster.ts";
import { type Cursor, decodeCursor } from "./cursor.ts";
import type { CursorPlace } from "./lane-state.ts";

export type CursorToFind = {
  readonly group: string;
  /** The cursor topic's partition of this lane. */
  readonly at: TopicPartition;
  readonly key: Uint8Array;
  /** Where the last one that we know of was written. */
  readonly hint: CursorPlace | undefined;
};

/** The last committed cursor of the key; undefined where there is none. */
export async function readCursor(
  cluster: Cluster,
  wanted: CursorToFind,
): Promise<Cursor | undefined> {
  const { group, at, hint } = wanted;
  const offsets = await cluster.committedOffsets(group, [at]);
  const found = offsets.find(({ topic, metadata }) => topic === at.topic && metadata !== "");
  if (found !== undefined) {
    return decodeCursor(new TextEncoder().encode(found.metadata), `the offset of group ${group}`);
  }
  const { first, end } = await cluster.offsets(at);
  const isKnown = hint?.partition === at.partition && hint.offset >= first && hint.offset < end;
  const near = isKnown
    ? await lastCommitted(cluster, wanted, { from: hint.offset, end })
    : undefined;
  const value = near ?? (await lastCommitted(cluster, wanted, { from: first, end }));
  return value && decodeCursor(value, `the cursor in ${at.topic}`);
}

/** Value of the key's last committed record in [from, end). */
async function lastCommitted(
  cluster: Cluster,
  { at, key }: CursorToFind,
  { from, end }: { readonly from: number; readonly end: number },
): Promise<Uint8Array | undefined> {
  const open = new Map<bigint, Uint8Array>();
  let last: Uint8Array | undefined;
  let bytes = 0;
  for (let offset = from; offset < end; ) {
    const { batches, next } = await cluster.fetch(at, {
      offset,
      bytesMax: limits.kafkaFetchBytesMax,
    });
    for (const batch of batches) {
      bytes += bytesOf(batch);
      const value = batch.records.findLast((record) => isEqual(record.key, key))?.value;
      if (batch.control !== undefined) {
        const decided = open.get(batch.producerId);
        if (batch.control === "commit" && decided !== undefined) last = decided;
        open.delete(batch.producerId);
      } else if (value !== undefined) {
        if (batch.isTransactional) open.set(batch.producerId, value);
        else last = value;
      }
    }
    if (next <= offset) throw noProgress(at, offset, end);
    if (bytes > limits.kafkaCursorReadBytesMax) throw tooMuch(at);
    offset = next;
  }
  return last;
}

function bytesOf({ records }: FetchedBatch): number {
  return records.reduce(
    (sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0) + 8,
    64,
  );
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function noProgress({ topic, partition }: TopicPartition, offset: number, end: number): Fault {
  return new Fault(
    "UPLINK_UNREACHABLE",
    `${topic}/${partition} gives nothing from offset ${offset} on although it reaches to ${end}; it is tried again`,
    { facts: { topic, partition, offset, end } },
  );
}

function tooMuch({ topic, partition }: TopicPartition): Fault {
  const bytes = limits.kafkaCursorReadBytesMax;
  return new Fault(
    "UPLINK_REFUSED",
    `${topic}/${partition} holds more than ${bytes} bytes and no cursor of ours among them: it is not compacted; see that its cleanup.policy is compact and that the log cleaner runs`,
    { facts: { topic, partition, bytes } },
  );
}
