/**
 * One life of a lane's producer: a session with the cluster, a producer id and its epoch, and the
 * sequence numbers that go with them. Its methods are what the session machine (session.ts) does, in its
 * order. A failure that the machine does not try again ends it for good: the next one fences it.
 *
 *   each transaction:  AddPartitions, AddOffsets │ Produce data + cursor, TxnOffsetCommit │ EndTxn
 */

import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import type { Lane } from "../../store/outbox/lane.ts";
import type { Cluster, ProduceBatch, Producer, TopicPartition, TransactionOf } from "./cluster.ts";
import { type Cursor, cursorKey, encodeCursor } from "./cursor.ts";
import { readCursor } from "./cursor-reading.ts";
import { type CursorPlace, laneName } from "./lane-state.ts";
import {
  type BatchRecord,
  type Compression,
  encodeRecordBatch,
  noCompression,
} from "./message/record-batch.ts";
import type { Guarantee } from "./session.ts";
import { openTopics, type TopicOptions } from "./topics.ts";
import type { Transaction } from "./transaction.ts";

export type IncarnationOptions = {
  readonly lane: Lane;
  readonly agent: string;
  /** Version of weir, for the cursor. */
  readonly version: string;
  readonly delivery: Guarantee;
  /** Topic of the lane's records. */
  readonly topic: string;
  readonly cursorTopic: string;
  readonly topics: TopicOptions;
  readonly transactionMs: number;
  readonly clock: Clock;
};

export class Incarnation {
  readonly cluster: Cluster;
  readonly #options: IncarnationOptions;
  #partitions: { readonly data: number; readonly cursor: number } = { data: 0, cursor: 0 };
  #producer: Producer | undefined;
  /** Of the cursor topic. */
  #cursorPartition = 0;
  /** Next sequence number by partition: "topic/partition". */
  readonly #sequences: Map<string, number> = new Map();

  constructor(cluster: Cluster, options: IncarnationOptions) {
    this.cluster = cluster;
    this.#options = options;
  }

  get producer(): Producer | undefined {
    return this.#producer;
  }

  /** Partitions of the data topic. */
  get dataPartitions(): number {
    return this.#partitions.data;
  }

  /** Finds or makes the topics. `wait` lets time pass while a new one appears. */
  async openTopics(wait: (ms: number) => Promise<void>): Promise<void> {
    const { topic, cursorTopic, topics, delivery } = this.#options;
    this.#partitions = await openTopics(this.cluster, {
      data: topic,
      cursor: delivery === "transactional" ? cursorTopic : undefined,
      options: topics,
      wait,
      waitMsMax: limits.kafkaTopicWaitMs,
    });
  }

  /** From here on every older incarnation is fenced, and what it had under way is decided. */
  async initialise(): Promise<void> {
    const { transactionMs: timeoutMs } = this.#options;
    const transactionalId = this.#name;
    this.#producer = await this.cluster.initProducer({ transactionalId, timeoutMs });
  }

  /**
   * The lane's cursor, and from then on the partition where it is written. Where the last one is in
   * another topic, because the configuration named that one then, it is still the one that counts.
   * `asksGroup` false: without the group's offset, from the topic alone.
   */
  async readCursor(
    last: CursorPlace | undefined,
    { asksGroup }: { readonly asksGroup: boolean },
  ): Promise<Cursor | undefined> {
    const { agent, lane, cursorTopic } = this.#options;
    const key = cursorKey(agent, lane);
    const read = async (topic: string, partitions: number) =>
      await readCursor(this.cluster, {
        group: asksGroup ? this.#name : undefined,
        topic,
        partitions,
        key,
        hint: last?.topic === topic ? last : undefined,
      });
    const { cursor, partition } = await read(cursorTopic, this.#partitions.cursor);
    this.#cursorPartition = partition;
    if (last === undefined || last.topic === cursorTopic) return cursor;
    const partitions = (await this.cluster.partitionsOf([last.topic])).get(last.topic);
    if (partitions === undefined) return cursor;
    return (await read(last.topic, partitions)).cursor ?? cursor;
  }

  /** Begins the transaction with everything it touches. */
  async add({ messages }: Transaction): Promise<void> {
    const { topic } = this.#options;
    const data = [...messages.keys()].map((partition) => ({ topic, partition }));
    await this.cluster.addPartitions(this.#transaction, [...data, this.#cursorAt]);
    await this.cluster.addGroup(this.#transaction, this.#name);
  }

  /** Records and cursor. Resolves to where the cursor lies; undefined without cursors. */
  async send(
    { messages, state }: Transaction,
    compression: Compression,
  ): Promise<CursorPlace | undefined> {
    const { topic, delivery, agent, lane, version } = this.#options;
    const data = [...messages].map(([partition, records]) =>
      this.#batch({ topic, partition }, records, compression),
    );
    if (delivery === "upsert") {
      await this.cluster.produce(data, { transactionalId: undefined });
      return undefined;
    }
    const { boots, before, intent, life } = state;
    const value = encodeCursor({ agent, lane, mark: intent.mark, boots, before, version, life });
    const at = this.#cursorAt;
    const cursor = { key: cursorKey(agent, lane), value, headers: [] };
    const [produced] = await Promise.all([
      this.cluster.produce([...data, this.#batch(at, [cursor], noCompression)], {
        transactionalId: this.#name,
      }),
      this.cluster.commitOffset(this.#transaction, {
        ...at,
        group: this.#name,
        offset: intent.mark.seq,
        metadata: new TextDecoder().decode(value),
      }),
    ]);
    const written = produced.find((part) => isAt(part, at));
    return written && { ...at, offset: written.offset };
  }

  async commit(): Promise<void> {
    await this.cluster.endTransaction(this.#transaction, "commit");
  }

  #batch(
    at: TopicPartition,
    records: readonly BatchRecord[],
    compression: Compression,
  ): ProduceBatch {
    const name = `${at.topic}/${at.partition}`;
    const sequence = this.#sequences.get(name) ?? 0;
    this.#sequences.set(name, sequence + records.length);
    const { clock, delivery } = this.#options;
    const now = clock.now();
    const bytes = encodeRecordBatch(records, {
      producer: this.#producer,
      sequence,
      isTransactional: delivery === "transactional",
      // By the time of a clock that was never set, the cluster would delete records at once.
      timeMs: now < limits.clockFloorMs ? noTimestamp : now,
      compression,
    });
    return { ...at, bytes };
  }

  /** Transactional id and group. */
  get #name(): string {
    return laneName(this.#options.agent, this.#options.lane);
  }

  get #transaction(): TransactionOf {
    assert(this.#producer !== undefined, "a producer is initialised before its transactions");
    return { transactionalId: this.#name, producer: this.#producer };
  }

  get #cursorAt(): TopicPartition {
    return { topic: this.#options.cursorTopic, partition: this.#cursorPartition };
  }
}

/** Kafka's "no timestamp": the cluster goes by when it got the record. */
const noTimestamp = -1;

function isAt(part: TopicPartition, { topic, partition }: TopicPartition): boolean {
  return part.topic === topic && part.partition === partition;
}
