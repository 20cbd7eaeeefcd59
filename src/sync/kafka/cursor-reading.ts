/**
 * Finds a lane's cursor in the cluster, after InitProducerId succeeded: every transaction of this
 * name is then decided, and all its markers are written.
 *
 * First, unless it is to be passed over, the group's offset, one small answer; clusters forget it after
 * a week without a commit. It is looked for in all partitions: a cursor stays where it was first written
 * when the topic grows, and whoever looked elsewhere would take a used name for a free one. Then the
 * cursor topic, from where our last cursor was written to the high watermark, else from its beginning.
 * It is read uncommitted and decided by the control markers of each producer: reading committed would
 * stop at the oldest transaction that any agent has open on the partition.
 */

import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Cluster, FetchedBatch, TopicPartition } from "./cluster.ts";
import { type Cursor, cursorKey, decodeCursor } from "./cursor.ts";
import type { CursorPlace } from "./lane-state.ts";
import { partitionOf } from "./message/murmur2.ts";
import { noProgress } from "./no-progress.ts";

export type CursorToFind = {
  /** Undefined: its offset is passed over, and the topic is read whatever partition it takes. */
  readonly group: string | undefined;
  /** The cursor topic, and how many partitions it has. */
  readonly topic: string;
  readonly partitions: number;
  readonly key: Uint8Array;
  /** Where the last one that we know of was written, in this topic. */
  readonly hint: Pick<CursorPlace, "partition" | "offset"> | undefined;
};

/** The last committed cursor of the key, undefined where there is none, and its partition. */
export async function readCursor(
  cluster: Cluster,
  wanted: CursorToFind,
): Promise<{ readonly cursor: Cursor | undefined; readonly partition: number }> {
  const { group, topic, partitions, key, hint } = wanted;
  const committed = group === undefined ? undefined : await committedCursor(cluster, wanted, group);
  if (committed !== undefined) return committed;
  const hashed = partitionOf(key, partitions);
  const known = hint !== undefined && hint.partition < partitions ? hint : undefined;
  // The key is in one partition: whoever found it there went on there.
  const others = group === undefined ? Array.from({ length: partitions }, (_, n) => n) : [];
  const places = [...new Set([known?.partition ?? hashed, hashed, ...others])];
  for (const partition of places) {
    const from = partition === known?.partition ? known.offset : undefined;
    const value = await findRecord(cluster, { at: { topic, partition }, key, from });
    if (value === undefined) continue;
    const cursor = cursorIn(value, { place: `the cursor in ${topic}`, key });
    if (cursor === undefined) throw notOurs({ topic, partition }, key);
    return { cursor, partition };
  }
  return { cursor: undefined, partition: known?.partition ?? hashed };
}

/** What the group's offsets say; the partition that we know of is believed before others. */
async function committedCursor(
  cluster: Cluster,
  { topic, partitions, key, hint }: CursorToFind,
  group: string,
): Promise<{ readonly cursor: Cursor; readonly partition: number } | undefined> {
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  const offsets = await cluster.committedOffsets(group, all);
  const place = `the offset of group ${group}`;
  const found = offsets.flatMap(({ partition, metadata }) => {
    // Whoever resets offsets by hand leaves other words there; the topic has it still.
    const cursor = cursorIn(new TextEncoder().encode(metadata), { place, key });
    return cursor === undefined ? [] : [{ cursor, partition }];
  });
  return found.find(({ partition }) => partition === hint?.partition) ?? found[0];
}

/** Undefined where the bytes are no cursor of the key. Faults: FORMAT_TOO_NEW. */
function cursorIn(
  bytes: Uint8Array,
  { place, key }: { readonly place: string; readonly key: Uint8Array },
): Cursor | undefined {
  try {
    const cursor = decodeCursor(bytes, place);
    return isEqual(cursorKey(cursor.agent, cursor.lane), key) ? cursor : undefined;
  } catch (error) {
    if (error instanceof Fault && error.code === "STORE_FAILED") return undefined;
    throw error;
  }
}

type RecordToFind = {
  readonly at: TopicPartition;
  readonly key: Uint8Array;
  /** Offset of one that was written. */
  readonly from: number | undefined;
};

async function findRecord(cluster: Cluster, wanted: RecordToFind): Promise<Uint8Array | undefined> {
  const { from } = wanted;
  const { first, end } = await cluster.offsets(wanted.at);
  if (from !== undefined && from >= first && from < end) {
    const near = await lastCommitted(cluster, wanted, { from, end });
    if (near !== undefined) return near;
  }
  return await lastCommitted(cluster, wanted, { from: first, end });
}

/** Value of the key's last committed record in [from, end). */
async function lastCommitted(
  cluster: Cluster,
  { at, key }: RecordToFind,
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
    if (next <= offset) throw noProgress(at, { offset, end });
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

function notOurs({ topic, partition }: TopicPartition, key: Uint8Array): Fault {
  const name = new TextDecoder().decode(key);
  return new Fault(
    "UPLINK_REFUSED",
    `what ${topic}/${partition} holds under ${name} is no cursor: something else writes to this topic; name another one in topics.cursor`,
    { facts: { topic, partition } },
  );
}

function tooMuch({ topic, partition }: TopicPartition): Fault {
  const bytes = limits.kafkaCursorReadBytesMax;
  return new Fault(
    "UPLINK_REFUSED",
    `${topic}/${partition} holds more than the ${bytes} bytes that are read to find a cursor: it is not compacted; see that its cleanup.policy is compact and that the log cleaner runs`,
    { facts: { topic, partition, bytes } },
  );
}
