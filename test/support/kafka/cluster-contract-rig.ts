/**
 * What the claims of cluster-contract.ts are written with: sessions that end with the test, names
 * nobody else has, producers that transact, and asking again what the cluster does a moment later.
 */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "../../../src/core/faults.ts";
import {
  type Cluster,
  errorOf,
  type ProduceBatch,
  type Producer,
  type TopicPartition,
  type TransactionOf,
} from "../../../src/sync/kafka/cluster.ts";
import { encodeRecordBatch, noCompression } from "../../../src/sync/kafka/message/record-batch.ts";

/** What the tests run on. */
export type ClusterUnderTest = {
  /** A new session, which the test closes. */
  readonly open: () => Promise<Cluster>;
};

export const timeoutMs = 60_000;

type BatchOf = { readonly sequence: number; readonly count?: number };

export class ContractRig {
  readonly #t: TestContext;
  readonly #cluster: ClusterUnderTest;

  constructor(t: TestContext, cluster: ClusterUnderTest) {
    this.#t = t;
    this.#cluster = cluster;
  }

  name(noun: string): string {
    return `contract-${noun}-${randomUUID()}`;
  }

  /** A session, closed after the test. */
  async session(): Promise<Cluster> {
    const cluster = await this.#cluster.open();
    this.#t.after(async () => await cluster.close());
    return cluster;
  }

  /** What a fresh cluster does only once: it gives out producer id 0, it makes its inner topics. */
  async warmUp(): Promise<void> {
    const cluster = await this.session();
    for (let burnt = 0; burnt < 2; burnt++) {
      const transactionalId = this.name("burnt");
      await eventually(() => cluster.initProducer({ transactionalId, timeoutMs }));
    }
    await eventually(() => cluster.committedOffsets(this.name("group")));
  }

  /** The first two partitions of a new topic that is ready to be used. */
  async topic(): Promise<readonly [TopicPartition, TopicPartition]> {
    const cluster = await this.session();
    const topic = this.name("topic");
    await cluster.createTopic({ topic, partitions: 2, replication: -1, config: {} });
    const at = (partition: number): TopicPartition => ({ topic, partition });
    await eventually(async () => {
      assert.equal((await cluster.partitionsOf([topic])).get(topic), 2);
      await Promise.all([cluster.offsets(at(0)), cluster.offsets(at(1))]);
    });
    return [at(0), at(1)];
  }

  /** A new incarnation of the transactional id, in a session of its own. */
  async producer(transactionalId: string = this.name("txn")): Promise<TestProducer> {
    const cluster = await this.session();
    const producer = await eventually(() => cluster.initProducer({ transactionalId, timeoutMs }));
    return new TestProducer(cluster, { transactionalId, producer });
  }

  /** The partition batch by batch, from the beginning. */
  async log(
    at: TopicPartition,
  ): Promise<readonly ({ readonly values: readonly string[] } | { readonly control: string })[]> {
    const cluster = await this.session();
    const { end } = await cluster.offsets(at);
    const found = [];
    for (let offset = 0; offset < end; ) {
      const { batches, next } = await cluster.fetch(at, { offset, bytesMax: 100_000 });
      assert.ok(next > offset, "below the end there is something to read");
      found.push(...batches);
      offset = next;
    }
    return found.map(({ control, records }) =>
      control === undefined
        ? { values: records.map(({ value }) => Buffer.from(value ?? []).toString()) }
        : { control },
    );
  }
}

class TestProducer {
  readonly cluster: Cluster;
  readonly of: TransactionOf;

  constructor(cluster: Cluster, of: TransactionOf) {
    this.cluster = cluster;
    this.of = of;
  }

  /** A batch of records "sequence.0", "sequence.1" and so on. */
  readonly batch = (at: TopicPartition, { sequence, count = 1 }: BatchOf): ProduceBatch => ({
    ...at,
    bytes: batchBytes({ producer: this.of.producer, sequence, count }),
  });

  /** A transaction of one batch. */
  async transact(at: TopicPartition, batch: BatchOf, outcome: "commit" | "abort"): Promise<void> {
    // The transaction before may not be complete yet.
    await whileRefused("CONCURRENT_TRANSACTIONS", () => this.cluster.addPartitions(this.of, [at]));
    await this.cluster.produce([this.batch(at, batch)], this.of);
    await this.cluster.endTransaction(this.of, outcome);
  }

  /** A transaction of one offset. */
  async commitOffset(
    group: string,
    offset: TopicPartition & { readonly offset: number; readonly metadata: string },
    outcome: "commit" | "abort" | "open",
  ): Promise<void> {
    await whileRefused("CONCURRENT_TRANSACTIONS", () => this.cluster.addGroup(this.of, group));
    await this.cluster.commitOffset(this.of, { ...offset, group });
    if (outcome !== "open") await this.cluster.endTransaction(this.of, outcome);
  }
}

export function batchBytes(of: {
  readonly producer: Producer | undefined;
  readonly sequence: number;
  readonly count: number;
}): Uint8Array {
  const text = new TextEncoder();
  const records = Array.from({ length: of.count }, (_, i) => ({
    key: text.encode(`key ${i}`),
    value: text.encode(`${of.sequence}.${i}`),
    headers: [],
  }));
  const { producer, sequence } = of;
  const isTransactional = producer !== undefined;
  // Of today: a log begins a new segment where times are a week apart.
  const timeMs = Date.now();
  return encodeRecordBatch(records, {
    producer,
    sequence,
    isTransactional,
    timeMs,
    compression: noCompression,
  });
}

/** The name of the protocol error that the cluster refuses with. */
export async function refusal(asked: Promise<unknown>): Promise<string | undefined> {
  const fault = await rejection(asked);
  assert.equal(fault.code, "UPLINK_REFUSED", fault.message);
  return errorOf(fault);
}

export async function rejection(asked: Promise<unknown>): Promise<Fault> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "the cluster did what it should refuse" });
}

/** Asks until it succeeds; within seconds, or what it failed with last is thrown. */
export async function eventually<Value>(
  ask: () => Promise<Value>,
  isPassing: (error: unknown) => boolean = () => true,
): Promise<Value> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (attempt === 200 || !isPassing(error)) throw error;
      await sleep(Math.min(attempt, 50));
    }
  }
}

/** Asks again as long as the cluster refuses with this error; any other is thrown at once. */
export async function whileRefused(error: string, ask: () => Promise<void>): Promise<void> {
  await eventually(ask, (failure) => errorOf(failure) === error);
}
