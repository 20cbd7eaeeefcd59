/**
 * What the Kafka uplink needs of a cluster, request by request, in our own terms: the seam between
 * the protocol (kafka-lane.ts, pure parts beside it) and whoever talks (client.ts on real sockets, a
 * model in the tests). One `Cluster` is one session: its connections, its view of who leads what. It
 * retries nothing: every failure is the caller's, who closes the session and begins another.
 *
 * Every method rejects with a Fault:
 *
 *   UPLINK_UNREACHABLE   no connection, no answer in time, connection lost
 *   UPLINK_LOGIN_REFUSED SASL or TLS refused
 *   UPLINK_RIGHT_MISSING an ACL is missing; the message names operation and resource
 *   UPLINK_REFUSED       the cluster answered with another error: facts.error is its name in the
 *                        Kafka protocol, such as PRODUCER_FENCED (see errorOf)
 *
 * After a rejection nothing is known about whether the request took effect.
 */

import { Fault } from "../../core/faults.ts";

/** What InitProducerId gives: this incarnation of a transactional id. */
export type Producer = { readonly id: bigint; readonly epoch: number };

export type TopicPartition = { readonly topic: string; readonly partition: number };

/** A transaction of a producer; requests of one producer are made one after another. */
export type TransactionOf = { readonly transactionalId: string; readonly producer: Producer };

/** One record batch (record-batch.ts), for one partition. */
export type ProduceBatch = TopicPartition & { readonly bytes: Uint8Array };

export type TopicToCreate = {
  readonly topic: string;
  /** -1 leaves it to the cluster's default. */
  readonly partitions: number;
  readonly replication: number;
  readonly config: Readonly<Record<string, string>>;
};

/** What a group says about one partition. */
export type CommittedOffset = TopicPartition & {
  readonly offset: number;
  readonly metadata: string;
};

/** Of a record; the name is text in UTF-8. */
export type Header = { readonly name: Uint8Array; readonly value: Uint8Array };

export type FetchedRecord = {
  readonly offset: number;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array | undefined;
  readonly headers: readonly Header[];
};

/** A batch as it lies in the log, aborted and undecided ones among them. */
export type FetchedBatch = {
  readonly producerId: bigint;
  readonly isTransactional: boolean;
  /** A control batch says how the open transaction of its producer on this partition ended. */
  readonly control: "commit" | "abort" | undefined;
  readonly records: readonly FetchedRecord[];
};

export type Fetched = {
  readonly batches: readonly FetchedBatch[];
  /** Offset after the last batch; where to read on. Equal to the offset asked for if nothing came. */
  readonly next: number;
};

export type FetchOptions = {
  readonly offset: number;
  readonly bytesMax: number;
  readonly waitMs?: number;
};

export interface Cluster {
  /** The cluster's id. */
  readonly id: string;
  /** A connection of the session was closed by the other side: the next request may fail. */
  readonly isLost: boolean;
  /** Bytes written to and read from its sockets so far. */
  readonly traffic: { readonly sent: number; readonly received: number };

  /** Partition counts of those of the topics that exist; never creates one. */
  partitionsOf(topics: readonly string[]): Promise<ReadonlyMap<string, number>>;
  createTopic(topic: TopicToCreate): Promise<void>;
  /** The topic's settings of these names; a name the cluster does not know is absent. */
  topicConfig(topic: string, names: readonly string[]): Promise<ReadonlyMap<string, string>>;

  /** InitProducerId without a producer: a new incarnation, older ones are fenced. */
  initProducer(options: {
    readonly transactionalId: string;
    readonly timeoutMs: number;
  }): Promise<Producer>;
  /** Adds partitions to the open transaction, beginning it where there is none. */
  addPartitions(of: TransactionOf, partitions: readonly TopicPartition[]): Promise<void>;
  /** Adds a consumer group's offsets to the transaction. */
  addGroup(of: TransactionOf, group: string): Promise<void>;
  /** acks=all; at most one batch per partition. Resolves to the first offset of each batch. */
  produce(
    batches: readonly ProduceBatch[],
    options: { readonly transactionalId: string | undefined },
  ): Promise<readonly (TopicPartition & { readonly offset: number })[]>;
  /** Puts a group's offset and its metadata into the transaction (addGroup first). */
  commitOffset(
    of: TransactionOf,
    options: CommittedOffset & { readonly group: string },
  ): Promise<void>;
  endTransaction(of: TransactionOf, outcome: "commit" | "abort"): Promise<void>;

  /**
   * Offsets of the group; only what is decided (UNSTABLE_OFFSET_COMMIT otherwise). Without
   * `partitions` all that it has, where a first commit that is undecided passes for none: name the
   * partitions where that matters. One without a commit is absent.
   */
  committedOffsets(
    group: string,
    partitions?: readonly TopicPartition[],
  ): Promise<readonly CommittedOffset[]>;
  /** Offset of the oldest record kept, and the high watermark. */
  offsets(of: TopicPartition): Promise<{ readonly first: number; readonly end: number }>;
  /**
   * Reads uncommitted. `offset` outside of what is kept: OFFSET_OUT_OF_RANGE. At the end the cluster may
   * wait for more, `waitMs` at most (0 where absent; shorter than the request's timeout); other requests
   * of the session to the same broker wait behind it.
   */
  fetch(of: TopicPartition, options: FetchOptions): Promise<Fetched>;

  /** Closes the connections; what is under way rejects. */
  close(): Promise<void>;
}

/** What it takes to read topics. */
export type TopicSource = Pick<Cluster, "partitionsOf" | "offsets" | "fetch">;

/** The name of the protocol error that made the cluster refuse; undefined for anything else. */
export function errorOf(error: unknown): string | undefined {
  if (!(error instanceof Fault) || error.code !== "UPLINK_REFUSED") return undefined;
  const name = error.facts["error"];
  return typeof name === "string" ? name : undefined;
}
