/**
 * A small model of a Kafka cluster, in memory, behind the `Cluster` interface: the oracle of tests
 * about exactly once that need no network. A `ClusterModel` is what a cluster keeps; `connect` gives
 * sessions on it, as many as there are agents and lives of agents. Every request first asks `fate`,
 * so that a test can lose it or its answer, hold it back, refuse it, or crash the agent there.
 *
 *   cluster-model.ts              sessions, faults, what readers see
 *   cluster-model-broker.ts       topics, rights, limits; each request as a plain function
 *   cluster-model-coordinator.ts  transactions by transactional id
 *   cluster-model-log.ts          a partition: batches, producers, markers, compaction
 *   cluster-model-groups.ts       offsets of groups
 *
 * What it believes of Kafka. Unless said otherwise each was asked of real brokers, 3.9.1 and 4.1.0,
 * and both said the same; cluster-contract.ts asks much of it again. Requests drawn by chance for two
 * transactional ids, older incarnations among them, got the same answers and logs here and there.
 *
 *   initProducer
 *     the next epoch of the same producer id; epoch 0 of a new id when there is none, when the id
 *     expired, and when 32,766 was the last one
 *     on an open transaction: CONCURRENT_TRANSACTIONS until it is aborted, and two epochs are gone,
 *       since the abort itself takes one; on a decided one: CONCURRENT_TRANSACTIONS until complete.
 *       So once it succeeds, every older transaction of the id is over
 *     a timeout of 0 or above 15 minutes: INVALID_TRANSACTION_TIMEOUT
 *   fenced by a newer incarnation, or by the coordinator because the transaction timed out
 *     addPartitions, addGroup, endTransaction: PRODUCER_FENCED, and INVALID_PRODUCER_EPOCH in
 *       versions of these requests below 2; produce, commitOffset: INVALID_PRODUCER_EPOCH
 *     unknown, expired or other producer id: INVALID_PRODUCER_ID_MAPPING everywhere
 *   endTransaction
 *     again with the same outcome: succeeds once complete; with the other, or on nothing:
 *       INVALID_TXN_STATE. Succeeds when the topic is gone meanwhile
 *     until the markers are written, addPartitions, addGroup and endTransaction may answer
 *       CONCURRENT_TRANSACTIONS
 *   produce
 *     one whole batch, CRC, counts: INVALID_RECORD, CORRUPT_MESSAGE; a compacted topic wants keys
 *     longer than max.message.bytes: MESSAGE_TOO_LARGE
 *     more than an hour ahead of the broker's clock: INVALID_TIMESTAMP on 4.1 unless the topic has
 *       LogAppendTime; 3.9.1 takes it. The model does as 4.1
 *     transactional, to a partition that was not added: INVALID_TXN_STATE, a batch that is sent
 *       again included; NOT_ENOUGH_REPLICAS while the transaction is completing
 *     but while the producer's transaction is open on the partition nobody asks the coordinator: a
 *       late batch of a decided or fenced transaction still joins it, before its marker
 *     sent again, one of the last five of its producer there: the old offset, nothing stored, also
 *       when that one was aborted; any other that is not the next: OUT_OF_ORDER_SEQUENCE_NUMBER
 *     a new epoch begins at sequence 0; a marker alone makes a partition know its producer
 *     a partition that does not know the producer takes any sequence, but none above one that it
 *       refused before because the partition was not added
 *     an older epoch: INVALID_PRODUCER_EPOCH; without transaction while one is open:
 *       INVALID_TXN_STATE; transactional without an id: TRANSACTIONAL_ID_AUTHORIZATION_FAILED
 *   fetch
 *     whole batches, from the one that holds the offset, the first even if it is too large (our
 *     client leaves out its records before the offset); at the end nothing; before the first or past
 *     the end: OFFSET_OUT_OF_RANGE
 *   groups
 *     commitOffset without addGroup: INVALID_TXN_STATE; more than 4096 characters of metadata:
 *       OFFSET_METADATA_TOO_LARGE
 *     a pending offset makes its partition UNSTABLE_OFFSET_COMMIT. But whoever asks for all offsets
 *       of a group is not told of the first one ever of a partition, even for a moment after its
 *       commit has been answered: it is just not there
 *     a deleted topic takes its offsets along, pending ones too
 *   time, measured with settings of seconds
 *     an open transaction past its timeout is aborted and its producer fenced
 *     a transactional id unused for 7 days is forgotten, an open transaction keeps it; a partition
 *     forgets a producer that wrote nothing for 1 day, unless its transaction is open there; a group
 *     without members loses offsets committed 7 days ago
 *
 * Not asked of a broker: what compaction keeps, which rights a request needs, and the answer to ending
 * a transaction with the other outcome before it is complete. There the model does what we know of
 * Kafka's source.
 *
 * Simpler than Kafka: there is one broker that never fails, and nothing is lost in it. The markers of
 * a transaction appear on all partitions at once. Expiry and timeouts are seen at the next request,
 * not by a check every few seconds. A group's offsets are verified by group, not by the partition of
 * __consumer_offsets that two groups may share. Requests of one session may overtake each other when
 * `fate` holds them back.
 */

import type { Random } from "../../../src/core/doors.ts";
import { Fault } from "../../../src/core/faults.ts";
import type { Cluster, TopicPartition } from "../../../src/sync/kafka/cluster.ts";
import { type Peer, refusalFault } from "../../../src/sync/kafka/client/client-faults.ts";
import type { Asked } from "../../../src/sync/kafka/client/requests.ts";
import { ModelBroker, type ModelLimits, type ModelRight } from "./cluster-model-broker.ts";
import type { TransactionState } from "./cluster-model-coordinator.ts";
import type { Outcome, StoredRecord } from "./cluster-model-log.ts";
import { ModelRefusal } from "./cluster-model-refusal.ts";

/** A request on its way; `request` is its name in the Kafka protocol. */
export type ModelCall = Asked & {
  /** Which session of the cluster, from 0. */
  readonly session: number;
  /** Counts the requests of all sessions, from 0. */
  readonly index: number;
};

/**
 * What becomes of a request. "lose…" is UPLINK_UNREACHABLE at once, "hang…" when the session is
 * closed; either before the cluster got the request or after it took effect. "refuse NAME" answers
 * with that error and does nothing.
 */
export type ModelFate =
  | "answer"
  | "lose-request"
  | "lose-answer"
  | "hang-request"
  | "hang-answer"
  | `refuse ${string}`;

/** A record as a consumer sees it, in the same form as what kcat reads from a real broker. */
type ModelRecord = {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | undefined;
  readonly value: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
};

/** A record in the log. */
type LoggedRecord = ModelRecord & {
  readonly valueBytes: Uint8Array | undefined;
  /** Undefined while its transaction is open. */
  readonly outcome: Outcome | undefined;
};

type ClusterModelOptions = {
  /** The cluster's clock, milliseconds since the epoch. */
  readonly clock: () => number;
  /** Draws how long a transaction takes to complete; without it, always `completionRequests`. */
  readonly random?: Random;
  readonly id?: string;
};

export class ClusterModel {
  /**
   * Asked once for every request, in order; set by the test. A promise keeps the request on the
   * wire until it resolves, and it may then arrive although its session is closed.
   */
  fate: (call: ModelCall) => ModelFate | Promise<ModelFate> = () => "answer";
  /** An agent has closed the session of this number. */
  onClosed: (session: number) => void = () => undefined;
  readonly id: string;
  readonly #broker: ModelBroker;
  #sessions = 0;
  #calls = 0;

  constructor({ clock, random, id = "cluster-model" }: ClusterModelOptions) {
    this.id = id;
    this.#broker = new ModelBroker({ clock, random });
  }

  /** A session of an agent. It cannot fail by itself; `fate` lets its requests fail. */
  connect(): Cluster {
    const session = this.#sessions++;
    const enter = (asked: Asked): ModelFate | Promise<ModelFate> =>
      this.fate({ ...asked, session, index: this.#calls++ });
    const closed = (): void => this.onClosed(session);
    return new ModelSession(this.id, { broker: this.#broker, enter, closed });
  }

  /** Requests so far. */
  get calls(): number {
    return this.#calls;
  }

  get limits(): ModelLimits {
    return this.#broker.limits;
  }

  /** Rights that clients lack from now on. */
  forbid(isForbidden: (right: ModelRight) => boolean): void {
    this.#broker.forbid = isForbidden;
  }

  transactionState(transactionalId: string): TransactionState | undefined {
    return this.#broker.coordinator.stateOf(transactionalId);
  }

  /**
   * What the cluster does by itself when it is left alone at this time: decided transactions become
   * complete, what the clock says expires. Otherwise both wait for the next requests.
   */
  settle(): void {
    this.#broker.settle();
  }

  // ---- what an operator does ----

  createTopic(
    topic: string,
    { partitions = 1, config = {} }: { partitions?: number; config?: Record<string, string> } = {},
  ): void {
    this.#broker.createTopic({ topic, partitions, replication: 1, config });
  }

  /** Records, offsets of groups and what partitions know of producers are gone. */
  deleteTopic(topic: string): void {
    this.#broker.deleteTopic(topic);
  }

  configure(topic: string, config: Readonly<Record<string, string>>): void {
    this.#broker.configure(topic, config);
  }

  /** Adds partitions until there are so many. */
  growTopic(topic: string, partitions: number): void {
    this.#broker.grow(topic, partitions);
  }

  /** Keeps the last committed record of every key, as far as transactions are decided. */
  compact(topic: string): void {
    for (const log of this.#broker.logs(topic)) log.compact();
  }

  /** Removes the records before `offset`, as retention does. */
  truncateFront({ topic, partition }: TopicPartition, offset: number): void {
    this.#broker.logs(topic)[partition]?.truncateFront(offset);
  }

  // ---- what readers see ----

  hasTopic(topic: string): boolean {
    return this.#broker.has(topic);
  }

  /** What a read_committed consumer gets now, partition by partition, up to the last stable offset. */
  readCommitted(topic: string): readonly ModelRecord[] {
    return this.#broker.logs(topic).flatMap((log, partition) =>
      log
        .records()
        .filter(({ offset, outcome }) => offset < log.stable && outcome === "commit")
        .map((record) => asRead(record, partition)),
    );
  }

  /** Everything in the log, aborted and undecided records too. */
  readAll(topic: string): readonly LoggedRecord[] {
    return this.#broker.logs(topic).flatMap((log, partition) =>
      log.records().map((record) => ({
        ...asRead(record, partition),
        valueBytes: record.value,
        outcome: record.outcome,
      })),
    );
  }
}

function asRead(
  { offset, key, value, headers, timeMs }: StoredRecord,
  partition: number,
): ModelRecord {
  return {
    partition,
    offset,
    key: textOf(key),
    value: textOf(value),
    headers: Object.fromEntries(headers),
    timestamp: timeMs,
  };
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

// ---- sessions ----

type Way = {
  readonly broker: ModelBroker;
  /** A request sets out. */
  readonly enter: (asked: Asked) => ModelFate | Promise<ModelFate>;
  readonly closed: () => void;
};

/** What a request takes on the wire besides what it carries; about right, and never zero. */
const frameBytes = 64;

class ModelSession implements Cluster {
  readonly id: string;
  readonly #way: Way;
  readonly #closed = Promise.withResolvers<never>();
  /** Requests on their way. Each would leave a reaction with `#closed` if it raced with it. */
  readonly #asking = new Set<(fault: unknown) => void>();
  #isClosed = false;
  #sent = 0;
  #received = 0;

  constructor(id: string, way: Way) {
    this.id = id;
    this.#way = way;
    this.#closed.promise.catch((fault: unknown) => {
      for (const lose of this.#asking) lose(fault);
    });
  }

  /** Connections of the model never close by themselves. */
  get isLost(): boolean {
    return this.#isClosed;
  }

  get traffic(): { readonly sent: number; readonly received: number } {
    return { sent: this.#sent, received: this.#received };
  }

  async close(): Promise<void> {
    if (!this.#isClosed) this.#way.closed();
    this.#isClosed = true;
    this.#closed.reject(lost("the session is closed"));
  }

  partitionsOf: Cluster["partitionsOf"] = (topics) =>
    this.#ask({ request: "Metadata" }, (broker) => broker.partitionsOf(topics));

  createTopic: Cluster["createTopic"] = (topic) =>
    this.#ask({ request: "CreateTopics", topic: topic.topic }, (broker) =>
      broker.createTopic(topic),
    );

  topicConfig: Cluster["topicConfig"] = (topic, names) =>
    this.#ask({ request: "DescribeConfigs", topic }, (broker) => broker.topicConfig(topic, names));

  initProducer: Cluster["initProducer"] = (options) => {
    const { transactionalId } = options;
    const asked = { request: "InitProducerId", transactionalId } as const;
    return this.#ask(asked, (broker) => broker.initProducer(options));
  };

  addPartitions: Cluster["addPartitions"] = (of, partitions) => {
    const { transactionalId } = of;
    const asked = { request: "AddPartitionsToTxn", transactionalId } as const;
    return this.#ask(asked, (broker) => broker.addPartitions(of, partitions));
  };

  addGroup: Cluster["addGroup"] = (of, group) => {
    const { transactionalId } = of;
    const asked = { request: "AddOffsetsToTxn", transactionalId, group } as const;
    return this.#ask(asked, (broker) => broker.addGroup(of, group));
  };

  produce: Cluster["produce"] = (batches, options) => {
    const { transactionalId } = options;
    const whose = transactionalId === undefined ? {} : { transactionalId };
    for (const { bytes } of batches) this.#sent += bytes.length;
    const sent = batches.map((batch) => ({ ...batch, bytes: batch.bytes.slice() }));
    return this.#ask({ request: "Produce", ...whose }, (broker) => broker.produce(sent, options));
  };

  commitOffset: Cluster["commitOffset"] = (of, options) => {
    const { transactionalId } = of;
    const { group, topic, partition } = options;
    const asked = { request: "TxnOffsetCommit", transactionalId, group, topic, partition } as const;
    return this.#ask(asked, (broker) => broker.commitOffset(of, options));
  };

  endTransaction: Cluster["endTransaction"] = (of, outcome) => {
    const { transactionalId } = of;
    const asked = { request: "EndTxn", transactionalId } as const;
    return this.#ask(asked, (broker) => broker.endTransaction(of, outcome));
  };

  committedOffsets: Cluster["committedOffsets"] = (group, partitions) =>
    this.#ask({ request: "OffsetFetch", group }, (broker) =>
      broker.committedOffsets(group, partitions),
    );

  offsets: Cluster["offsets"] = ({ topic, partition }) =>
    this.#ask({ request: "ListOffsets", topic, partition }, (broker) =>
      broker.offsets({ topic, partition }),
    );

  fetch: Cluster["fetch"] = async ({ topic, partition }, options) => {
    const fetched = await this.#ask({ request: "Fetch", topic, partition }, (broker) =>
      broker.fetch({ topic, partition }, options),
    );
    for (const { records } of fetched.batches) {
      for (const { key, value } of records) {
        this.#received += (key?.length ?? 0) + (value?.length ?? 0);
      }
    }
    return fetched;
  };

  async #ask<Answer>(asked: Asked, answer: (broker: ModelBroker) => Answer): Promise<Answer> {
    if (this.#isClosed) throw lost("the session is closed");
    this.#sent += frameBytes;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#asking.add(reject);
    this.#travel(asked, answer).then(resolve, reject);
    try {
      const value = await promise;
      this.#received += frameBytes;
      return value;
    } finally {
      this.#asking.delete(reject);
    }
  }

  async #travel<Answer>(asked: Asked, answer: (broker: ModelBroker) => Answer): Promise<Answer> {
    const fate = await this.#way.enter(asked);
    if (fate === "lose-request") throw lost(`${asked.request} was lost`);
    if (fate === "hang-request") return await this.#closed.promise;
    const { broker } = this.#way;
    broker.tick();
    if (isRefusal(fate)) throw faultOf(new ModelRefusal(fate.slice("refuse ".length)), asked);
    const given = attempt(() => answer(broker));
    if (fate === "lose-answer") throw lost(`the answer to ${asked.request} was lost`);
    if (fate === "hang-answer") return await this.#closed.promise;
    if ("refusal" in given) throw faultOf(given.refusal, asked);
    return given.value;
  }
}

function isRefusal(fate: ModelFate): fate is `refuse ${string}` {
  return fate.startsWith("refuse ");
}

function attempt<Value>(
  run: () => Value,
): { readonly value: Value } | { readonly refusal: ModelRefusal } {
  try {
    return { value: run() };
  } catch (error) {
    if (error instanceof ModelRefusal) return { refusal: error };
    throw error;
  }
}

const peer: Peer = {
  address: "model",
  principal: undefined,
  mechanism: undefined,
  tls: false,
  certificate: false,
};

function faultOf({ error, about }: ModelRefusal, asked: Asked): Fault {
  return refusalFault({ error, detail: undefined }, { ...asked, ...about }, peer);
}

function lost(why: string): Fault {
  return new Fault("UPLINK_UNREACHABLE", `broker model: ${why}`, { facts: { broker: "model" } });
}
