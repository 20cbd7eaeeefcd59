/**
 * The senders of the uplink benchmark, each a process of its own:
 *
 *   weir      the upstream half of the agent: real state store with a full outbox, drain, Kafka
 *             uplink with its defaults, until every record is out there and pruned
 *   producer  the client's own Producer: transactions, zstd, the same messages made beforehand
 *
 *   node uplink-drain.js weir '{"bootstrap":"127.0.0.1:9092","directory":"/tmp/x",...}'
 *
 * Prints {"event":"done", ...} with what it took. Connecting once before loads the client, which
 * an agent does once in its life; the session that sends is opened within what is measured.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Kv } from "../src/core/doors.ts";
import { openKvLmdb } from "../src/store/state/kv-lmdb.ts";
import { openStateStore, type StateStore } from "../src/store/state/state-store.ts";
import { systemClock } from "../src/agent/doors/clock.ts";
import { systemRandom } from "../src/agent/doors/random.ts";
import { kafkaUplinkDefaults } from "../src/agent/config/kafka-config.ts";
import { version } from "../src/agent/version.ts";
import { type Drain, openDrain } from "../src/sync/drain.ts";
import { connectCluster } from "../src/sync/kafka/client/client.ts";
import type { Cluster } from "../src/sync/kafka/cluster.ts";
import { openKafkaUplink } from "../src/sync/kafka/kafka-uplink.ts";
import type { PumpStatus } from "../src/sync/pump-status.ts";
import { createMessageEncoder, type Message } from "../src/sync/kafka/message/message.ts";
import { loadProtocol } from "../src/sync/kafka/client/protocol.ts";
import { storeBytesMax, storePath } from "./uplink-outbox.ts";

export type DrainOptions = {
  readonly bootstrap: string;
  /** Has the state store. */
  readonly directory: string;
  /** Names this round's transactional ids. */
  readonly agent: string;
  /** They exist. */
  readonly topics: { readonly data: string; readonly alerts: string; readonly cursor: string };
  /** For the producer: records of one transaction, and of all. */
  readonly batchRecords: number;
  readonly records: number;
};

export type DrainCost = {
  readonly records: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssPeakBytes: number;
  readonly transactions: number;
  /** On the wire, by weir. */
  readonly sentBytes: number;
  readonly storeCommits: number;
};

/** Transactions whose messages the producer sends again and again: all of them would fill the heap. */
const batchesMade = 16;

const triesMax = 50;

const [kind, json] = process.argv.slice(2);
const options = JSON.parse(json ?? "{}") as DrainOptions;
const cost = kind === "weir" ? await drainOutbox(options) : await sendByProducer(options);
process.stdout.write(`${JSON.stringify({ event: "done", ...cost })}\n`, () => process.exit(0));

// ---- weir ----

async function drainOutbox(options: DrainOptions): Promise<DrainCost> {
  const kv = counted(openKvLmdb({ path: storePath(options.directory), bytesMax: storeBytesMax }));
  const { store } = await openStateStore(kv);
  const { next: records } = store.span("summaries");
  await (await connect(options, "warm-up")).close();
  const drain = openDrain({
    store,
    uplinks: [uplinkOf(options, store)],
    clock: systemClock(),
    random: systemRandom(),
  });
  const { taken, status } = await measured(drain);
  if (status?.delivered !== records || store.span("summaries").first !== records) {
    throw new Error(`not everything was delivered: ${JSON.stringify(status)}`);
  }
  await drain.close();
  return {
    records,
    ...taken,
    transactions: status.deliveries,
    sentBytes: Number(status.facts["sentBytes"]),
    storeCommits: kv.commits,
  };
}

/** Of the first try that sent something: topics that were just made may have no leader yet. */
async function measured(drain: Drain): Promise<{
  readonly taken: ReturnType<ReturnType<typeof startMeter>>;
  readonly status: PumpStatus | undefined;
}> {
  for (let tries = 1; ; tries++) {
    const meter = startMeter();
    await drain.idle();
    const taken = meter();
    const status = drain.status[0]?.lanes.summaries;
    if (status?.delivered !== 0 || tries === triesMax) return { taken, status };
    await sleep(200);
  }
}

function uplinkOf(options: DrainOptions, store: StateStore): ReturnType<typeof openKafkaUplink> {
  const { agent, topics } = options;
  return openKafkaUplink({
    ...kafkaUplinkDefaults,
    name: "kafka",
    agent,
    version,
    clock: systemClock(),
    random: systemRandom(),
    lanes: { alerts: topics.alerts, summaries: topics.data, raw: `${topics.data}.raw` },
    cursorTopic: topics.cursor,
    connect: (clientId) => connect(options, clientId),
    avro: undefined,
    isOutdated: undefined,
    // One lane sends all of it: what is measured is how fast.
    freshForMs: Infinity,
    get: (key) => store.get(key),
    read: (at, of) => store.lanes.readLane(at, of),
  });
}

function connect({ bootstrap }: DrainOptions, clientId: string): Promise<Cluster> {
  const { requestMs: requestTimeoutMs, connectMs: connectTimeoutMs } = kafkaUplinkDefaults;
  return connectCluster({ bootstrap: [bootstrap], clientId, requestTimeoutMs, connectTimeoutMs });
}

function counted(kv: Kv): Kv & { readonly commits: number } {
  let commits = 0;
  return {
    get: (key) => kv.get(key),
    range: (of) => kv.range(of),
    commit: (writes) => {
      commits += 1;
      return kv.commit(writes);
    },
    close: () => kv.close(),
    get commits() {
      return commits;
    },
  };
}

// ---- the client's producer ----

async function sendByProducer(options: DrainOptions): Promise<DrainCost> {
  const { bootstrap, agent, records, topics } = options;
  const { Producer } = await loadProtocol();
  const batches = await messagesOf(options);
  const producer = new Producer({
    clientId: agent,
    bootstrapBrokers: [bootstrap],
    transactionalId: agent,
    idempotent: true,
    compression: "zstd",
    timeout: 60_000,
    // Its default is a second, spent whenever the broker has not ended the transaction before.
    retryDelay: 2,
  });
  await producer.metadata({ topics: [topics.data] });
  const meter = startMeter();
  let sent = 0;
  let transactions = 0;
  while (sent < records) {
    const messages = batches[transactions % batches.length]!;
    const transaction = await producer.beginTransaction();
    await transaction.send({ messages, acks: -1 });
    await transaction.commit();
    sent += messages.length;
    transactions += 1;
  }
  const taken = meter();
  await producer.close();
  return { records: sent, ...taken, transactions, sentBytes: 0, storeCommits: 0 };
}

type ClientMessage = {
  readonly topic: string;
  readonly key: Buffer;
  readonly value: Buffer;
  readonly headers: Map<Buffer, Buffer>;
};

async function messagesOf(options: DrainOptions): Promise<ClientMessage[][]> {
  const { directory, agent, topics, batchRecords } = options;
  const kv = openKvLmdb({ path: storePath(directory), bytesMax: storeBytesMax });
  const { store } = await openStateStore(kv);
  const encode = createMessageEncoder({ agent, headers: "cloudevents", format: "json" });
  const outbox = "0".repeat(32);
  const messages: ClientMessage[] = [];
  while (messages.length < batchesMade * batchRecords) {
    const { records } = store.read("summaries", { from: messages.length, bytesMax: 1_048_576 });
    if (records.length === 0) break;
    for (const record of records) {
      const place = { outbox, lane: "summaries", seq: messages.length } as const;
      messages.push(clientMessage(topics.data, encode(record, place)));
    }
  }
  await kv.close();
  const count = Math.max(1, Math.min(batchesMade, Math.floor(messages.length / batchRecords)));
  return Array.from({ length: count }, (_, n) =>
    messages.slice(n * batchRecords, (n + 1) * batchRecords),
  );
}

function clientMessage(topic: string, { key, value, headers }: Message): ClientMessage {
  const pairs = headers.map((header) => [bufferOf(header.name), bufferOf(header.value)] as const);
  return { topic, key: bufferOf(key), value: bufferOf(value), headers: new Map(pairs) };
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes);
}

// ---- what it took ----

function startMeter(): () => Pick<DrainCost, "seconds" | "cpuSeconds" | "rssPeakBytes"> {
  const startedAt = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return {
      seconds: (performance.now() - startedAt) / 1000,
      cpuSeconds: (user + system) / 1e6,
      rssPeakBytes: process.resourceUsage().maxRSS * 1024,
    };
  };
}
