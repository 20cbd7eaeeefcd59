/**
 * Topics as an agent's uplink leaves them, written down rather than sent: transactions of records and
 * a cursor, committed or aborted, over several partitions. What is written may then be spoiled, one
 * defect at a time, for those who look for it.
 */

import type { FetchedBatch, FetchedRecord, TopicSource } from "../../../src/sync/kafka/cluster.ts";
import {
  cursorKey,
  digestAfter,
  emptyDigest,
  encodeCursor,
  type Mark,
} from "../../../src/sync/kafka/cursor.ts";
import {
  createMessageEncoder,
  type MessageEncoder,
} from "../../../src/sync/kafka/message/message.ts";
import { partitionOf } from "../../../src/sync/kafka/message/murmur2.ts";
import type { Lane } from "../../../src/store/outbox/lane.ts";

type Entry = Omit<FetchedBatch, "records"> & {
  readonly first: number;
  readonly next: number;
  records: readonly FetchedRecord[];
};

type Partition = { entries: Entry[]; first: number; end: number };

export type Place = { readonly topic: string; readonly partition: number; readonly offset: number };

export const cursors = "cursors";

export class RecordedTopics implements TopicSource {
  readonly #topics = new Map<string, Partition[]>();
  readonly #marks = new Map<string, Mark>();
  readonly #before = new Map<string, readonly Mark[]>();
  readonly #encode: MessageEncoder;
  readonly #agent: string;

  constructor(agent: string, partitions: Readonly<Record<string, number>>) {
    this.#agent = agent;
    this.#encode = createMessageEncoder({ agent, headers: "cloudevents", format: "json" });
    for (const [topic, count] of Object.entries({ [cursors]: 1, ...partitions })) {
      this.#topics.set(
        topic,
        Array.from({ length: count }, () => ({ entries: [], first: 0, end: 0 })),
      );
    }
  }

  /** One transaction of a lane. One that is aborted is sent again by the next. */
  send(
    {
      topic,
      lane,
      outbox,
    }: { readonly topic: string; readonly lane: Lane; readonly outbox: string },
    records: readonly Uint8Array[],
    {
      outcome = "commit",
      forkedFrom,
    }: { readonly outcome?: "commit" | "abort" | "open"; readonly forkedFrom?: string } = {},
  ): void {
    const known = this.#marks.get(lane);
    if (known !== undefined && known.outbox !== outbox) {
      this.#before.set(lane, [known, ...(this.#before.get(lane) ?? [])].slice(0, 8));
    }
    const mark = known?.outbox === outbox ? known : { outbox, seq: 0, digest: emptyDigest };
    let { seq, digest } = mark;
    const producerId = lane === "alerts" ? 1n : 2n;
    const partitions = this.#partitions(topic);
    const touched = new Set<Partition>();
    for (const record of records) {
      const place = { outbox, lane, seq, forkedFrom };
      const { key, value, headers, partitionKey } = this.#encode(record, place);
      const partition = partitions[partitionOf(partitionKey, partitions.length)]!;
      touched.add(partition);
      append(partition, producerId, { key, value, headers });
      digest = digestAfter(digest, value);
      seq += 1;
    }
    const [cursorPartition] = this.#partitions(cursors);
    touched.add(cursorPartition!);
    const after = { outbox, seq, digest };
    const value = encodeCursor({
      agent: this.#agent,
      lane,
      mark: after,
      boots: [],
      before: this.#before.get(lane) ?? [],
      version: "0.0.0",
    });
    append(cursorPartition!, producerId, { key: cursorKey(this.#agent, lane), value, headers: [] });
    if (outcome === "open") return;
    for (const partition of touched) decide(partition, producerId, outcome);
    if (outcome === "commit") this.#marks.set(lane, after);
  }

  // ---- defects ----

  /** Where the committed records of an outbox are, in order of their numbers. */
  places(topic: string, outbox: string): readonly (Place & { readonly number: number })[] {
    const found: (Place & { readonly number: number })[] = [];
    for (const [partition, { entries }] of this.#partitions(topic).entries()) {
      for (const entry of entries) {
        const isCommitted =
          entries.find(
            (of) =>
              of.control !== undefined &&
              of.first >= entry.next &&
              of.producerId === entry.producerId,
          )?.control === "commit";
        for (const { headers, offset } of isCommitted ? entry.records : []) {
          const [of, , number] = Buffer.from(
            headers.find(({ name }) => Buffer.from(name).toString() === "ce_id")?.value ?? [],
          )
            .toString()
            .split(":");
          if (of === outbox) found.push({ topic, partition, offset, number: Number(number) });
        }
      }
    }
    return found.toSorted((a, b) => a.number - b.number);
  }

  /** As if it had never been sent, or been lost. */
  remove({ topic, partition, offset }: Place): void {
    this.#change({ topic, partition, offset }, () => []);
  }

  /** The last cursor was never written. */
  forgetCursor(): void {
    const [{ entries }] = this.#partitions(cursors) as [Partition];
    const last = entries.findLast(({ records }) => records.length > 0);
    if (last !== undefined) last.records = [];
  }

  /** The same record once more, at the end of its partition. */
  repeat(place: Place): void {
    let copy: FetchedRecord | undefined;
    this.#change(place, (record) => {
      copy = record;
      return [record];
    });
    if (copy === undefined) throw new Error("there is no such record");
    append(this.#partitions(place.topic)[place.partition]!, -1n, copy);
  }

  /** Another value in its place. */
  alter(place: Place, change: (value: string) => string): void {
    this.#change(place, (record) => {
      const value = change(Buffer.from(record.value ?? []).toString("utf8"));
      return [{ ...record, value: Buffer.from(value) }];
    });
  }

  /** What retention does. */
  truncate({ topic, partition }: Omit<Place, "offset">, first: number): void {
    const of = this.#partitions(topic)[partition]!;
    of.first = Math.min(first, of.end);
  }

  end({ topic, partition }: Omit<Place, "offset">): number {
    return this.#partitions(topic)[partition]!.end;
  }

  // ---- as a cluster ----

  partitionsOf: TopicSource["partitionsOf"] = async (topics) =>
    new Map(
      topics.flatMap((topic) => {
        const found = this.#topics.get(topic);
        return found === undefined ? [] : [[topic, found.length] as const];
      }),
    );

  offsets: TopicSource["offsets"] = async ({ topic, partition }) => {
    const { first, end } = this.#partitions(topic)[partition]!;
    return { first, end };
  };

  /** At most two batches an answer: whoever reads must go on. */
  fetch: TopicSource["fetch"] = async ({ topic, partition }, { offset }) => {
    const { entries } = this.#partitions(topic)[partition]!;
    const batches = entries.filter(({ next }) => next > offset).slice(0, 2);
    return {
      batches: batches.map((entry) => ({
        ...entry,
        records: entry.records.filter((record) => record.offset >= offset),
      })),
      next: batches.at(-1)?.next ?? offset,
    };
  };

  #partitions(topic: string): Partition[] {
    const found = this.#topics.get(topic);
    if (found === undefined) throw new Error(`there is no topic ${topic}`);
    return found;
  }

  #change(
    { topic, partition, offset }: Place,
    change: (record: FetchedRecord) => readonly FetchedRecord[],
  ): void {
    for (const entry of this.#partitions(topic)[partition]!.entries) {
      entry.records = entry.records.flatMap((record) =>
        record.offset === offset ? change(record) : [record],
      );
    }
  }
}

function append(
  partition: Partition,
  producerId: bigint,
  { key, value, headers }: Omit<FetchedRecord, "offset">,
): void {
  const first = partition.end;
  partition.end += 1;
  partition.entries.push({
    producerId,
    isTransactional: producerId >= 0n,
    control: undefined,
    first,
    next: partition.end,
    records: [{ offset: first, key, value, headers }],
  });
}

function decide(partition: Partition, producerId: bigint, control: "commit" | "abort"): void {
  const first = partition.end;
  partition.end += 1;
  const kind = { producerId, isTransactional: true, control };
  partition.entries.push({ ...kind, first, next: partition.end, records: [] });
}
