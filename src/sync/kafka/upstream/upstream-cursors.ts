/**
 * All cursors that the cursor topic still has, by agent, lane and outbox: not only how far each lane
 * is, also what its digest was on the way. Committed ones alone, read once from the beginning.
 */

import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import type { TopicSource } from "../cluster.ts";
import { type CursorOf, cursorKey, decodeAnyCursor, type Mark } from "../cursor.ts";
import { CommittedRecords } from "./committed-records.ts";

/** Digests of an outbox by how many records they are over. */
export type Marks = ReadonlyMap<number, string>;

export type LaneCursors = {
  readonly agent: string;
  readonly lane: string;
  /** The last one. */
  readonly cursor: CursorOf<string>;
  /** By outbox, that of the cursor among them. */
  readonly marks: ReadonlyMap<string, Marks>;
};

/**
 * The lanes that have a cursor there, by agent and lane. `agent`: of this one alone. Rejects as
 * `Cluster` does; FORMAT_TOO_NEW.
 */
export async function readCursors(
  cluster: TopicSource,
  { topic, agent }: { readonly topic: string; readonly agent: string | undefined },
): Promise<readonly LaneCursors[]> {
  const partitions = (await cluster.partitionsOf([topic])).get(topic);
  if (partitions === undefined) {
    throw new Fault("INPUT_INVALID", `the cluster has no topic ${topic}, where cursors would be`, {
      facts: { topic },
    });
  }
  const lanes = new Map<string, Found>();
  for (let partition = 0; partition < partitions; partition++) {
    for await (const cursor of cursorsIn(cluster, { topic, partition })) {
      if (agent !== undefined && cursor.agent !== agent) continue;
      const name = `${cursor.agent}/${cursor.lane}`;
      const found = lanes.get(name) ?? { cursor, marks: new Map<string, Map<number, string>>() };
      found.cursor = cursor;
      for (const mark of [cursor.mark, ...cursor.before]) remember(found.marks, mark);
      lanes.set(name, found);
    }
  }
  return [...lanes.values()]
    .map(({ cursor, marks }) => ({ agent: cursor.agent, lane: cursor.lane, cursor, marks }))
    .toSorted((a, b) => compare(a.agent, b.agent) || compare(a.lane, b.lane));
}

type Found = { cursor: CursorOf<string>; readonly marks: Map<string, Map<number, string>> };

async function* cursorsIn(
  cluster: TopicSource,
  at: { readonly topic: string; readonly partition: number },
): AsyncGenerator<CursorOf<string>> {
  const { first, end } = await cluster.offsets(at);
  const records = new CommittedRecords(cluster, {
    at,
    from: first,
    bytesMax: limits.kafkaFetchBytesMax,
    takes: () => true,
  });
  while (records.offset < end) {
    const before = records.offset;
    for (const { key, value } of await records.next()) {
      const cursor = value === undefined ? undefined : cursorOf(value, at.topic);
      // Something else may write there; what is under another key is nobody's cursor.
      if (cursor !== undefined && isKeyOf(cursor, key)) yield cursor;
    }
    if (records.offset === before) return;
  }
}

function cursorOf(value: Uint8Array, topic: string): CursorOf<string> | undefined {
  try {
    return decodeAnyCursor(value, `a cursor in ${topic}`);
  } catch (error) {
    if (error instanceof Fault && error.code === "STORE_FAILED") return undefined;
    throw error;
  }
}

function isKeyOf({ agent, lane }: CursorOf<string>, key: Uint8Array | undefined): boolean {
  return key !== undefined && Buffer.compare(cursorKey(agent, lane), key) === 0;
}

/** Bounded: where there are too many, every other one goes, but never the furthest. */
function remember(marks: Map<string, Map<number, string>>, { outbox, seq, digest }: Mark): void {
  const known = marks.get(outbox) ?? new Map<number, string>();
  marks.set(outbox, known);
  if (!known.has(seq)) known.set(seq, digest);
  if (known.size <= limits.verifyCursorsMax) return;
  const furthest = Math.max(...known.keys());
  let count = 0;
  for (const at of known.keys()) if (at !== furthest && count++ % 2 === 0) known.delete(at);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
