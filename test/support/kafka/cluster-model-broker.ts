/**
 * The brokers in the model of a cluster (cluster-model.ts), all as one and without a network: every
 * request is a function that answers at once or throws a ModelRefusal. Here are the topics, and what
 * ties logs, transactions and groups together: rights, limits, and that a decided transaction takes
 * a few more requests, anybody's, until its markers are written.
 */

import type { Random } from "../../../src/core/doors.ts";
import type {
  Cluster,
  CommittedOffset,
  Fetched,
  ProduceBatch,
  Producer,
  TopicPartition,
  TopicToCreate,
  TransactionOf,
} from "../../../src/sync/kafka/cluster.ts";
import { type Participants, TransactionCoordinator } from "./cluster-model-coordinator.ts";
import { GroupOffsets } from "./cluster-model-groups.ts";
import { type Outcome, PartitionLog, readProduced } from "./cluster-model-log.ts";
import { ModelRefusal } from "./cluster-model-refusal.ts";
import { below } from "../seeded-random.ts";

/** What a client needs an ACL for. */
export type ModelRight = {
  readonly operation: "READ" | "WRITE" | "CREATE" | "DESCRIBE" | "DESCRIBE_CONFIGS";
  readonly resource: "Topic" | "Group" | "TransactionalId";
  readonly name: string;
};

/** Settings of the cluster, by Kafka's defaults; a test may change them at any time. */
export type ModelLimits = {
  /** The last epoch of a producer id; the next incarnation gets another id. */
  epochMax: number;
  /** transaction.max.timeout.ms */
  transactionTimeoutMsMax: number;
  /** transactional.id.expiration.ms */
  transactionalIdExpiryMs: number;
  /** producer.id.expiration.ms */
  producerExpiryMs: number;
  /** offsets.retention.minutes */
  offsetsRetentionMs: number;
  /** num.partitions */
  partitionsDefault: number;
  /** Brokers, and so the highest replication factor. */
  brokers: number;
  /** Requests from the decision of a transaction to its markers; up to that with a Random. */
  completionRequests: number;
  /**
   * Requests from its markers to its group offsets. Kafka 3.9 settles those on another thread, but
   * not once in 150 tries could a new incarnation see that.
   */
  offsetLagRequests: number;
};

type Topic = { readonly config: Map<string, string>; readonly partitions: PartitionLog[] };

type BrokerOptions = { readonly clock: () => number; readonly random: Random | undefined };

/** As DescribeConfigs answers for a topic without settings of its own, on 4.1; those we know. */
const configDefaults: ReadonlyMap<string, string> = new Map([
  ["cleanup.policy", "delete"],
  ["compression.type", "producer"],
  ["delete.retention.ms", "86400000"],
  ["max.compaction.lag.ms", "9223372036854775807"],
  ["max.message.bytes", "1048588"],
  ["message.timestamp.after.max.ms", "3600000"],
  ["message.timestamp.type", "CreateTime"],
  ["min.cleanable.dirty.ratio", "0.5"],
  ["min.compaction.lag.ms", "0"],
  ["min.insync.replicas", "1"],
  ["retention.bytes", "-1"],
  ["retention.ms", "604800000"],
  ["segment.bytes", "1073741824"],
  ["segment.ms", "604800000"],
]);

export class ModelBroker {
  forbid: (right: ModelRight) => boolean = () => false;
  readonly limits: ModelLimits = {
    epochMax: 32_766,
    transactionTimeoutMsMax: 900_000,
    transactionalIdExpiryMs: 7 * 86_400_000,
    producerExpiryMs: 86_400_000,
    offsetsRetentionMs: 7 * 86_400_000,
    partitionsDefault: 1,
    brokers: 1,
    completionRequests: 2,
    offsetLagRequests: 0,
  };
  readonly coordinator: TransactionCoordinator;
  readonly #clock: () => number;
  readonly #random: Random | undefined;
  readonly #topics = new Map<string, Topic>();
  readonly #groups = new GroupOffsets();
  /** What happens by itself after so many more requests. */
  #later: readonly { readonly inRequests: number; readonly run: () => void }[] = [];

  constructor({ clock, random }: BrokerOptions) {
    this.#clock = clock;
    this.#random = random;
    const complete = this.#complete.bind(this);
    this.coordinator = new TransactionCoordinator({ clock, limits: this.limits, complete }, 1000n);
  }

  // ---- what happens by itself ----

  /** Another request has come: time has passed, and what was decided is a step further. */
  tick(): void {
    this.#expire();
    const before = this.#later;
    this.#later = before
      .filter(({ inRequests }) => inRequests > 1)
      .map(({ inRequests, run }) => ({ inRequests: inRequests - 1, run }));
    for (const { inRequests, run } of before) if (inRequests <= 1) run();
  }

  /** All that would happen if the cluster were left alone at this time of its clock. */
  settle(): void {
    this.#expire();
    while (this.#later.length > 0) this.tick();
  }

  #expire(): void {
    const nowMs = this.#clock();
    this.coordinator.tick();
    this.#groups.expire(nowMs - this.limits.offsetsRetentionMs);
    for (const { partitions } of this.#topics.values()) {
      for (const log of partitions) log.forgetProducers(nowMs - this.limits.producerExpiryMs);
    }
  }

  #after(inRequests: number, run: () => void): void {
    if (inRequests === 0) run();
    else this.#later = [...this.#later, { inRequests, run }];
  }

  /** Markers of all partitions are written in one step, where Kafka writes one after another. */
  #complete(
    decided: Participants & { readonly producer: Producer; readonly outcome: Outcome },
    finish: () => void,
  ): void {
    const { producer, outcome, partitions, groups } = decided;
    const { completionRequests, offsetLagRequests } = this.limits;
    const random = this.#random;
    const requests =
      random === undefined ? completionRequests : below(random, completionRequests + 1);
    this.#after(requests, () => {
      for (const place of partitions)
        this.#find(placeOf(place))?.mark(producer, outcome, this.#clock());
      finish();
      this.#after(offsetLagRequests, () => {
        for (const group of groups) this.#groups.settle(group, producer.id, outcome, this.#clock());
      });
    });
  }

  // ---- topics ----

  partitionsOf(topics: readonly string[]): ReadonlyMap<string, number> {
    for (const name of topics) this.#may("DESCRIBE", "Topic", name);
    return new Map(
      topics.flatMap((name) => {
        const count = this.#topics.get(name)?.partitions.length;
        return count === undefined ? [] : [[name, count] as const];
      }),
    );
  }

  createTopic({ topic, partitions, replication, config }: TopicToCreate): void {
    this.#may("CREATE", "Topic", topic);
    if (!/^(?!\.\.?$)[\w.-]{1,249}$/.test(topic)) throw new ModelRefusal("INVALID_TOPIC_EXCEPTION");
    if (this.#topics.has(topic)) throw new ModelRefusal("TOPIC_ALREADY_EXISTS");
    if (partitions < 1 && partitions !== -1) throw new ModelRefusal("INVALID_PARTITIONS");
    const isReplicable =
      replication === -1 || (replication >= 1 && replication <= this.limits.brokers);
    if (!isReplicable) throw new ModelRefusal("INVALID_REPLICATION_FACTOR");
    if (!Object.entries(config).every(isSetting)) throw new ModelRefusal("INVALID_CONFIG");
    const count = partitions === -1 ? this.limits.partitionsDefault : partitions;
    this.#topics.set(topic, {
      config: new Map(Object.entries(config)),
      partitions: Array.from({ length: count }, () => new PartitionLog()),
    });
  }

  topicConfig(topic: string, names: readonly string[]): ReadonlyMap<string, string> {
    this.#may("DESCRIBE_CONFIGS", "Topic", topic);
    const { config } = this.#topic(topic);
    return new Map(
      names.flatMap((name) => {
        const value = config.get(name) ?? configDefaults.get(name);
        return value === undefined ? [] : [[name, value] as const];
      }),
    );
  }

  deleteTopic(topic: string): void {
    this.#topic(topic);
    this.#topics.delete(topic);
    this.#groups.dropTopic(topic);
  }

  configure(topic: string, config: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(config)) this.#topic(topic).config.set(name, value);
  }

  grow(topic: string, partitions: number): void {
    const logs = this.#topic(topic).partitions;
    while (logs.length < partitions) logs.push(new PartitionLog());
  }

  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  logs(topic: string): readonly PartitionLog[] {
    return this.#topic(topic).partitions;
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new ModelRefusal("UNKNOWN_TOPIC_OR_PARTITION", { topic: name });
    return topic;
  }

  #find({ topic, partition }: TopicPartition): PartitionLog | undefined {
    return this.#topics.get(topic)?.partitions[partition];
  }

  #log(of: TopicPartition): PartitionLog {
    const log = this.#find(of);
    if (log === undefined) throw new ModelRefusal("UNKNOWN_TOPIC_OR_PARTITION", of);
    return log;
  }

  // ---- transactions ----

  initProducer({ transactionalId, timeoutMs }: Parameters<Cluster["initProducer"]>[0]): Producer {
    this.#may("WRITE", "TransactionalId", transactionalId);
    return this.coordinator.initProducer(transactionalId, timeoutMs);
  }

  addPartitions(of: TransactionOf, partitions: readonly TopicPartition[]): void {
    this.#may("WRITE", "TransactionalId", of.transactionalId);
    for (const { topic } of partitions) this.#may("WRITE", "Topic", topic);
    for (const partition of partitions) this.#log(partition);
    this.coordinator.addPartitions(of, partitions.map(nameOf));
  }

  addGroup(of: TransactionOf, group: string): void {
    this.#may("WRITE", "TransactionalId", of.transactionalId);
    this.#may("READ", "Group", group);
    this.coordinator.addGroup(of, group);
  }

  endTransaction(of: TransactionOf, outcome: Outcome): void {
    this.#may("WRITE", "TransactionalId", of.transactionalId);
    this.coordinator.end(of, outcome);
  }

  // ---- records ----

  /** Every batch is taken or refused by itself; the first refusal is thrown once all are through. */
  produce(
    batches: readonly ProduceBatch[],
    { transactionalId }: Parameters<Cluster["produce"]>[1],
  ): readonly (TopicPartition & { readonly offset: number })[] {
    if (transactionalId !== undefined) this.#may("WRITE", "TransactionalId", transactionalId);
    const refusals: ModelRefusal[] = [];
    const appended = batches.flatMap(({ topic, partition, bytes }) => {
      try {
        const offset = this.#append({ topic, partition, bytes }, transactionalId);
        return [{ topic, partition, offset }];
      } catch (error) {
        if (!(error instanceof ModelRefusal)) throw error;
        refusals.push(new ModelRefusal(error.error, { topic, partition }));
        return [];
      }
    });
    if (refusals[0] !== undefined) throw refusals[0];
    return appended;
  }

  #append({ topic, partition, bytes }: ProduceBatch, transactionalId: string | undefined): number {
    this.#may("WRITE", "Topic", topic);
    const batch = readProduced(bytes);
    const { producer, isTransactional } = batch;
    if (isTransactional && transactionalId === undefined) {
      throw new ModelRefusal("TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
    }
    const log = this.#log({ topic, partition });
    const settings = this.#settings(topic);
    const nowMs = this.#clock();
    const tooFarMs = nowMs + settings.aheadMsMax;
    if (bytes.length > settings.bytesMax) throw new ModelRefusal("MESSAGE_TOO_LARGE");
    if (!settings.stampsTime && batch.timeMsMax > tooFarMs)
      throw new ModelRefusal("INVALID_TIMESTAMP");
    if (settings.isCompacted && batch.records.some(({ key }) => key === undefined)) {
      throw new ModelRefusal("INVALID_RECORD");
    }
    const verify = (): void => {
      if (producer === undefined || transactionalId === undefined) return;
      const place = nameOf({ topic, partition });
      this.coordinator.verify({ transactionalId, producer }, { partition: place });
    };
    return log.append(batch, { nowMs, verify, stampsTime: settings.stampsTime });
  }

  /** What a topic's settings mean for a batch. */
  #settings(topic: string): {
    readonly bytesMax: number;
    readonly aheadMsMax: number;
    readonly stampsTime: boolean;
    readonly isCompacted: boolean;
  } {
    const { config } = this.#topic(topic);
    const valueOf = (name: string): string => config.get(name) ?? configDefaults.get(name) ?? "";
    return {
      bytesMax: Number(valueOf("max.message.bytes")),
      aheadMsMax: Number(valueOf("message.timestamp.after.max.ms")),
      stampsTime: valueOf("message.timestamp.type") === "LogAppendTime",
      isCompacted: valueOf("cleanup.policy").includes("compact"),
    };
  }

  offsets(of: TopicPartition): { readonly first: number; readonly end: number } {
    this.#may("DESCRIBE", "Topic", of.topic);
    const { first, end } = this.#log(of);
    return { first, end };
  }

  fetch(of: TopicPartition, { offset, bytesMax }: Parameters<Cluster["fetch"]>[1]): Fetched {
    this.#may("READ", "Topic", of.topic);
    return this.#log(of).fetch(offset, bytesMax);
  }

  // ---- groups ----

  commitOffset(of: TransactionOf, asked: Parameters<Cluster["commitOffset"]>[1]): void {
    const { group, topic, partition, offset, metadata } = asked;
    this.#may("WRITE", "TransactionalId", of.transactionalId);
    this.#may("READ", "Group", group);
    this.#may("READ", "Topic", topic);
    this.#log({ topic, partition });
    if (!this.#groups.hasPending(group, of.producer)) this.coordinator.verify(of, { group });
    this.#groups.stage(group, of.producer, { topic, partition, offset, metadata });
  }

  committedOffsets(
    group: string,
    partitions?: readonly TopicPartition[],
  ): readonly CommittedOffset[] {
    this.#may("DESCRIBE", "Group", group);
    for (const { topic } of partitions ?? []) this.#may("DESCRIBE", "Topic", topic);
    return this.#groups.committed(group, partitions?.map(nameOf));
  }

  #may(operation: ModelRight["operation"], resource: ModelRight["resource"], name: string): void {
    if (!this.forbid({ operation, resource, name })) return;
    throw new ModelRefusal(lacking[resource], resource === "Topic" ? { topic: name } : {});
  }
}

const lacking = {
  Topic: "TOPIC_AUTHORIZATION_FAILED",
  Group: "GROUP_AUTHORIZATION_FAILED",
  TransactionalId: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
} as const;

function isSetting([name, value]: readonly [string, string]): boolean {
  const usual = configDefaults.get(name);
  if (usual === undefined) return false;
  return !Number.isFinite(Number(usual)) || /^-?\d+(\.\d+)?$/.test(value);
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function placeOf(name: string): TopicPartition {
  const slash = name.lastIndexOf("/");
  return { topic: name.slice(0, slash), partition: Number(name.slice(slash + 1)) };
}
