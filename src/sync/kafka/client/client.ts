/**
 * A cluster on real sockets: `Cluster`, request by request, to the broker that each belongs to.
 *
 *   any broker        topics and their settings
 *   controller        new topics
 *   coordinator       of a transactional id, of a group: asked for once, kept
 *   partition leader  produce, fetch, offsets: from the topic's metadata, kept
 *
 * Nothing is retried or looked up anew: the first error ends what was asked, and the caller ends the
 * session. Versions: requests.ts; sentences: faults.ts.
 */

import { Fault } from "../../../core/faults.ts";
import type { Broker } from "./broker.ts";
import { BrokerPool } from "./broker-pool.ts";
import type {
  Cluster,
  CommittedOffset,
  Fetched,
  FetchOptions,
  ProduceBatch,
  Producer,
  TopicPartition,
  TopicToCreate,
  TransactionOf,
} from "../cluster.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import { addPartitionsExchange, fetchExchange, produceExchange } from "./exchanges.ts";
import { decisive, noBrokerFault } from "./client-faults.ts";
import { readBatches } from "./fetched-batches.ts";
import { loadProtocol, type MetadataResponse, type Protocol } from "./protocol.ts";
import type { Asked } from "./requests.ts";

export type { ClusterOptions } from "./cluster-options.ts";

/**
 * A session with the cluster, which the caller closes. The brokers of the bootstrap list are tried in
 * order; when none can be used, the fault names each and why.
 */
export async function connectCluster(options: ClusterOptions): Promise<Cluster> {
  const protocol = await loadProtocol();
  const pool = new BrokerPool(protocol, options);
  const faults: Fault[] = [];
  for (const address of options.bootstrap) {
    try {
      const broker = await pool.at(address);
      const metadata = await metadataOf(broker, [], protocol);
      return new KafkaCluster({ options, protocol, pool, broker, metadata });
    } catch (error) {
      pool.drop(address);
      if (!(error instanceof Fault)) throw error;
      faults.push(error);
    }
  }
  throw noBrokerFault(faults);
}

/** The addresses that the cluster gives its brokers, whatever the way to them. */
export async function brokersOf(options: ClusterOptions): Promise<readonly string[]> {
  const protocol = await loadProtocol();
  const pool = new BrokerPool(protocol, options);
  const faults: Fault[] = [];
  try {
    for (const address of options.bootstrap) {
      try {
        const { brokers } = await metadataOf(await pool.at(address), [], protocol);
        return brokers.map(addressOf);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        faults.push(error);
      }
    }
    throw noBrokerFault(faults);
  } finally {
    pool.close();
  }
}

const coordinatorKinds = { group: 0, transaction: 1 } as const;
const topicResource = 2 as const;
/** Stand for an offset in ListOffsets. */
const earliest = -2n;
const latest = -1n;

type Parts = {
  readonly options: ClusterOptions;
  readonly protocol: Protocol;
  readonly pool: BrokerPool;
  /** The one that the session began with. */
  readonly broker: Broker;
  readonly metadata: MetadataResponse;
};

class KafkaCluster implements Cluster {
  readonly id: string;
  readonly #options: ClusterOptions;
  readonly #protocol: Protocol;
  readonly #pool: BrokerPool;
  readonly #broker: Broker;
  readonly #controllerId: number;
  /** Addresses of brokers by their id. */
  readonly #addresses = new Map<number, string>();
  /** Ids of the leaders by topic and partition. */
  readonly #leaders = new Map<string, ReadonlyMap<number, number>>();
  readonly #coordinators = new Map<string, Broker>();

  constructor({ options, protocol, pool, broker, metadata }: Parts) {
    this.id = metadata.clusterId ?? "";
    this.#options = options;
    this.#protocol = protocol;
    this.#pool = pool;
    this.#broker = broker;
    this.#controllerId = metadata.controllerId;
    this.#learn(metadata);
  }

  get isLost(): boolean {
    return this.#pool.isLost;
  }

  get traffic(): { readonly sent: number; readonly received: number } {
    return this.#pool.traffic;
  }

  async close(): Promise<void> {
    this.#pool.close();
  }

  // ---- topics ----

  async partitionsOf(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const metadata = await metadataOf(this.#broker, topics, this.#protocol);
    this.#learn(metadata);
    return new Map(metadata.topics.map(({ name, partitions }) => [name, partitions.length]));
  }

  async createTopic({ topic, partitions, replication, config }: TopicToCreate): Promise<void> {
    const controller = await this.#node(this.#controllerId);
    const toCreate = {
      name: topic,
      numPartitions: partitions,
      replicationFactor: replication,
      assignments: [],
      configs: Object.entries(config).map(([name, value]) => ({ name, value })),
    };
    const { api } = this.#protocol.createTopicsV5;
    await controller.ask({ request: "CreateTopics", topic }, (connection) =>
      api.async(connection, [toCreate], this.#options.requestTimeoutMs, false),
    );
  }

  async topicConfig(topic: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const { api } = this.#protocol.describeConfigsV2;
    const resource = {
      resourceType: topicResource,
      resourceName: topic,
      configurationKeys: [...names],
    };
    const { results } = await this.#broker.ask(
      { request: "DescribeConfigs", topic },
      (connection) => api.async(connection, [resource]),
    );
    const configs = results.flatMap((result) => result.configs);
    const known = configs.map(({ name, value }) => [name, value ?? undefined] as const);
    return new Map(known.filter((entry): entry is [string, string] => entry[1] !== undefined));
  }

  // ---- transactions ----

  async initProducer(options: {
    readonly transactionalId: string;
    readonly timeoutMs: number;
  }): Promise<Producer> {
    const { transactionalId, timeoutMs } = options;
    const coordinator = await this.#coordinator("transaction", transactionalId);
    const { api } = this.#protocol.initProducerIdV3;
    const answer = await coordinator.ask(
      { request: "InitProducerId", transactionalId },
      (connection) => api.async(connection, transactionalId, timeoutMs, -1n, -1),
    );
    return { id: answer.producerId, epoch: answer.producerEpoch };
  }

  async addPartitions(of: TransactionOf, partitions: readonly TopicPartition[]): Promise<void> {
    const { transactionalId } = of;
    const coordinator = await this.#coordinator("transaction", transactionalId);
    const asked: Asked = { request: "AddPartitionsToTxn", transactionalId };
    const parts = await coordinator.exchange(asked, addPartitionsExchange(of, partitions));
    expectAll(parts, partitions.length, { asked, broker: coordinator });
  }

  async addGroup({ transactionalId, producer }: TransactionOf, group: string): Promise<void> {
    const coordinator = await this.#coordinator("transaction", transactionalId);
    const { api } = this.#protocol.addOffsetsToTxnV1;
    await coordinator.ask({ request: "AddOffsetsToTxn", transactionalId, group }, (connection) =>
      api.async(connection, transactionalId, producer.id, producer.epoch, group),
    );
  }

  async produce(
    batches: readonly ProduceBatch[],
    { transactionalId }: { readonly transactionalId: string | undefined },
  ): Promise<readonly (TopicPartition & { readonly offset: number })[]> {
    const led: { readonly leader: Broker; readonly batch: ProduceBatch }[] = [];
    for (const batch of batches) led.push({ leader: await this.#leader(batch, "Produce"), batch });
    const answers = [...Map.groupBy(led, ({ leader }) => leader)].map(async ([leader, parts]) =>
      this.#produceTo(leader, { batches: parts.map(({ batch }) => batch), transactionalId }),
    );
    return (await Promise.all(answers)).flat();
  }

  async commitOffset(
    { transactionalId, producer }: TransactionOf,
    options: CommittedOffset & { readonly group: string },
  ): Promise<void> {
    const { group, topic, partition, offset, metadata } = options;
    const coordinator = await this.#coordinator("group", group);
    const committed = {
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: -1,
      committedMetadata: metadata,
    };
    const topics = [{ name: topic, partitions: [committed] }];
    const asked: Asked = { request: "TxnOffsetCommit", transactionalId, group, topic, partition };
    const { api } = this.#protocol.txnOffsetCommitV3;
    // The group has no members: generation -1, no member id.
    await coordinator.ask(asked, (connection) =>
      api.async(
        connection,
        transactionalId,
        group,
        producer.id,
        producer.epoch,
        -1,
        "",
        null,
        topics,
      ),
    );
  }

  async endTransaction(
    { transactionalId, producer }: TransactionOf,
    outcome: "commit" | "abort",
  ): Promise<void> {
    const coordinator = await this.#coordinator("transaction", transactionalId);
    const { api } = this.#protocol.endTxnV1;
    await coordinator.ask({ request: "EndTxn", transactionalId }, (connection) =>
      api.async(connection, transactionalId, producer.id, producer.epoch, outcome === "commit"),
    );
  }

  // ---- reading ----

  async committedOffsets(
    group: string,
    partitions?: readonly TopicPartition[],
  ): Promise<readonly CommittedOffset[]> {
    const coordinator = await this.#coordinator("group", group);
    const { api } = this.#protocol.offsetFetchV7;
    const wanted = [
      { groupId: group, topics: partitions === undefined ? null : indexes(partitions) },
    ];
    const { topics } = await coordinator.ask({ request: "OffsetFetch", group }, (connection) =>
      api.async(connection, wanted, true),
    );
    return topics.flatMap(({ name, partitions }) =>
      partitions
        .filter(({ committedOffset }) => committedOffset >= 0n)
        .map(({ partitionIndex, committedOffset, metadata }) => ({
          topic: name,
          partition: partitionIndex,
          offset: Number(committedOffset),
          metadata: metadata ?? "",
        })),
    );
  }

  async offsets(of: TopicPartition): Promise<{ readonly first: number; readonly end: number }> {
    const [first, end] = await Promise.all([
      this.#listOffset(of, earliest),
      this.#listOffset(of, latest),
    ]);
    return { first, end };
  }

  async fetch({ topic, partition }: TopicPartition, options: FetchOptions): Promise<Fetched> {
    const asked: Asked = { request: "Fetch", topic, partition };
    const broker = await this.#leader({ topic, partition }, "Fetch");
    const { code, parts } = await broker.exchange(
      asked,
      fetchExchange({ topic, partition }, options),
    );
    if (code !== 0) throw broker.refusal(broker.errorName(code), asked);
    const [part] = expectAll(parts, 1, { asked, broker });
    const { offset } = options;
    if (part === undefined) return { batches: [], next: offset };
    return readBatches(part.records, { topic, partition, offset, protocol: this.#protocol });
  }

  // ---- which broker ----

  async #produceTo(
    broker: Broker,
    options: {
      readonly batches: readonly ProduceBatch[];
      readonly transactionalId: string | undefined;
    },
  ): Promise<readonly (TopicPartition & { readonly offset: number })[]> {
    const { batches, transactionalId } = options;
    const asked: Asked = {
      request: "Produce",
      ...(transactionalId === undefined ? {} : { transactionalId }),
    };
    const timeoutMs = this.#options.requestTimeoutMs;
    const exchange = produceExchange(batches, { transactionalId, timeoutMs });
    const parts = await broker.exchange(asked, exchange);
    return expectAll(parts, batches.length, { asked, broker }).map(
      ({ topic, partition, offset }) => ({ topic, partition, offset }),
    );
  }

  async #listOffset({ topic, partition }: TopicPartition, timestamp: bigint): Promise<number> {
    const broker = await this.#leader({ topic, partition }, "ListOffsets");
    const asked: Asked = { request: "ListOffsets", topic, partition };
    const wanted = { partitionIndex: partition, currentLeaderEpoch: -1, timestamp };
    const { api } = this.#protocol.listOffsetsV5;
    const { topics } = await broker.ask(asked, (connection) =>
      api.async(connection, -1, 0, [{ name: topic, partitions: [wanted] }]),
    );
    const found = topics[0]?.partitions[0];
    if (found === undefined) throw leftOut(asked, broker);
    return Number(found.offset);
  }

  async #leader(
    { topic, partition }: TopicPartition,
    request: "Produce" | "Fetch" | "ListOffsets",
  ): Promise<Broker> {
    if (!this.#leaders.has(topic)) await this.partitionsOf([topic]);
    const id = this.#leaders.get(topic)?.get(partition);
    const asked: Asked = { request, topic, partition };
    if (id === undefined) throw this.#broker.refusal("UNKNOWN_TOPIC_OR_PARTITION", asked);
    if (id < 0) throw this.#broker.refusal("LEADER_NOT_AVAILABLE", asked);
    return await this.#node(id);
  }

  async #coordinator(kind: keyof typeof coordinatorKinds, key: string): Promise<Broker> {
    const known = this.#coordinators.get(`${kind} ${key}`);
    if (known !== undefined) return known;
    const asked: Asked = {
      request: "FindCoordinator",
      ...(kind === "group" ? { group: key } : { transactionalId: key }),
    };
    const { api } = this.#protocol.findCoordinatorV3;
    const { coordinators } = await this.#broker.ask(asked, (connection) =>
      api.async(connection, coordinatorKinds[kind], [key]),
    );
    const [found] = coordinators;
    if (found === undefined) throw leftOut(asked, this.#broker);
    const coordinator = await this.#pool.at(addressOf(found));
    this.#coordinators.set(`${kind} ${key}`, coordinator);
    return coordinator;
  }

  async #node(id: number): Promise<Broker> {
    const address = this.#addresses.get(id);
    if (address !== undefined) return await this.#pool.at(address);
    throw this.#broker.refusal("BROKER_NOT_AVAILABLE", { request: "Metadata" });
  }

  #learn({ brokers, topics }: MetadataResponse): void {
    for (const broker of brokers) this.#addresses.set(broker.nodeId, addressOf(broker));
    for (const { name, partitions } of topics) {
      const leaders = partitions.map((part) => [part.partitionIndex, part.leaderId] as const);
      this.#leaders.set(name, new Map(leaders));
    }
  }
}

/** The brokers, and those of the topics that exist; an error of another kind rejects. */
async function metadataOf(
  broker: Broker,
  topics: readonly string[],
  { metadataV9, ResponseError }: Protocol,
): Promise<MetadataResponse> {
  const metadata = await broker.ask({ request: "Metadata" }, async (connection) => {
    try {
      return await metadataV9.api.async(connection, [...topics], false);
    } catch (error) {
      // A topic that is missing, or a replica that is down, makes the client reject all of it.
      if (error instanceof ResponseError) return error["response"] as MetadataResponse;
      throw error;
    }
  });
  const found = metadata.topics.filter(({ name, errorCode }) => {
    const error = broker.errorName(errorCode);
    if (error === "NONE" || error === "UNKNOWN_TOPIC_OR_PARTITION") return error === "NONE";
    throw broker.refusal(error, { request: "Metadata", topic: name });
  });
  return { ...metadata, topics: found };
}

type Part = TopicPartition & { readonly code: number; readonly detail?: string | undefined };

/** The parts of an answer, all that were asked for and none with an error. */
function expectAll<P extends Part>(
  parts: readonly P[],
  count: number,
  { asked, broker }: { readonly asked: Asked; readonly broker: Broker },
): readonly P[] {
  const refused = parts
    .filter(({ code }) => code !== 0)
    .map((part) => ({ ...part, error: broker.errorName(part.code) }));
  const first = decisive(refused);
  if (first !== undefined) {
    const { topic, partition, error, detail } = first;
    throw broker.refusal(error, { ...asked, topic, partition }, detail);
  }
  if (parts.length !== count) throw leftOut(asked, broker);
  return parts;
}

function indexes(
  partitions: readonly TopicPartition[],
): { readonly name: string; readonly partitionIndexes: number[] }[] {
  return [...Map.groupBy(partitions, ({ topic }) => topic)].map(([name, of]) => ({
    name,
    partitionIndexes: of.map(({ partition }) => partition),
  }));
}

function leftOut(asked: Asked, broker: Broker): Fault {
  return broker.refusal("UNKNOWN_SERVER_ERROR", asked, "its answer leaves out what was asked for");
}

function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
