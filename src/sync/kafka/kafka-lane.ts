/**
 * One lane in Kafka: does what the session machine (session.ts) says, one request after another. All
 * decisions are in the pure parts beside it (reconcile.ts, transaction.ts, session.ts).
 *
 *   each transaction:  AddPartitions, AddOffsets │ Produce data + cursor, TxnOffsetCommit │ EndTxn
 *
 * On any failure the connections, the producer id and its epoch are thrown away; the pump opens the
 * lane again, which fences what may still be under way and reads the cursor before anything is sent
 * again. What is stored in the state store moves only with receipts and intents.
 */

import { assert, unreachable } from "../../core/assert.ts";
import type { Clock, KvWrite } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { uplinkKey } from "../../store/kv-key.ts";
import type { Lane, OutboxRead } from "../../store/outbox.ts";
import type { Delivery, Incidents, LaneFacts, Receipt, UplinkLane } from "../uplink.ts";
import { type Cluster, errorOf, type Producer, type TopicPartition } from "./cluster.ts";
import { type Cursor, cursorKey, digestAfter, encodeCursor, type Mark } from "./cursor.ts";
import { readCursor } from "./cursor-reading.ts";
import {
  decodeLaneState,
  encodeLaneState,
  type Intent,
  laneName,
  type LaneState,
} from "./lane-state.ts";
import type { MessageEncoder } from "./message.ts";
import { partitionOf } from "./murmur2.ts";
import { reconcile, resumeUpsert } from "./reconcile.ts";
import {
  type BatchRecord,
  type Compression,
  encodeRecordBatch,
  noCompression,
} from "./record-batch.ts";
import {
  afterEvent,
  closedSession,
  type Delivery as DeliveryMode,
  isResting,
  type Session,
  type SessionEvent,
  waitMsOf,
} from "./session.ts";
import { openTopics, type TopicOptions } from "./topics.ts";
import { createTransaction, type Transaction } from "./transaction.ts";

/** What a lane sends with, found out when it first connects. */
export type Encoding = { readonly encode: MessageEncoder; readonly compression: Compression };

export type KafkaLaneOptions = {
  readonly lane: Lane;
  /** Name of the uplink, for the keys in the state store. */
  readonly uplink: string;
  readonly agent: string;
  /** Version of weir. */
  readonly version: string;
  readonly delivery: DeliveryMode;
  /** Topic of the lane's records. */
  readonly topic: string;
  readonly cursorTopic: string;
  readonly topics: TopicOptions;
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly recordBytesMax: number;
  readonly transactionMs: number;
  readonly clock: Clock;
  /** A random hex text of so many bytes. */
  readonly randomHex: (bytes: number) => string;
  /** Id of this process. */
  readonly boot: string;
  readonly connect: () => Promise<Cluster>;
  readonly encoding: () => Promise<Encoding>;
  /** Whether certificates or tokens on disk are others than those in use. */
  readonly isOutdated: (() => Promise<boolean>) | undefined;
  /** Reads from the state store: StateStore.get and read. */
  readonly get: (key: string) => Uint8Array | undefined;
  readonly read: (
    lane: Lane,
    options: { readonly from: number; readonly bytesMax: number },
  ) => OutboxRead;
};

export class KafkaLane implements UplinkLane {
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly #options: KafkaLaneOptions;
  readonly #key: string;
  #session: Session;
  #state: LaneState | undefined;
  /** As settled. */
  #incidents: Incidents = { count: 0, last: undefined };
  /** This process has had the lane. */
  #isHeld = false;
  #finding = "";
  #batchBytesMax: number;
  #start = 0;
  #checkedAt = 0;
  /** Each ends a wait that is under way. */
  readonly #aborts: Set<(fault: Fault) => void> = new Set();
  #isClosed = false;
  #traffic = { sent: 0, received: 0 };

  // of the session
  #cluster: Cluster | undefined;
  #encoding: Encoding | undefined;
  #partitions: { readonly data: number; readonly cursor: number } = { data: 0, cursor: 0 };
  #producer: Producer | undefined;
  #found: Cursor | undefined;
  /** Next sequence number of the producer by partition: "topic/partition". */
  readonly #sequences: Map<string, number> = new Map();
  #transaction: Transaction | undefined;

  constructor(options: KafkaLaneOptions) {
    this.#options = options;
    this.lingerMs = options.lingerMs;
    this.#batchBytesMax = options.batchBytesMax;
    // Headers and key are about as many bytes again.
    this.batchBytesMax = Math.ceil(options.batchBytesMax / 2);
    this.#key = uplinkKey(options.uplink, options.lane);
    this.#session = closedSession(options.delivery);
  }

  get incidents(): Incidents {
    return this.#incidents;
  }

  get facts(): LaneFacts {
    const { topic } = this.#options;
    const traffic = this.#cluster?.traffic ?? { sent: 0, received: 0 };
    const { mark, cluster } = this.#state ?? {};
    return {
      topic,
      session: this.#session.state,
      ...(mark === undefined ? {} : { outbox: mark.outbox, cursor: mark.seq }),
      ...(cluster === undefined ? {} : { cluster }),
      ...(this.#producer === undefined
        ? {}
        : { producer: String(this.#producer.id), epoch: this.#producer.epoch }),
      ...(this.#finding === "" ? {} : { found: this.#finding }),
      sentBytes: this.#traffic.sent + traffic.sent,
      receivedBytes: this.#traffic.received + traffic.received,
    };
  }

  get tendMs(): number {
    if (this.#session.state !== "ready") return Infinity;
    if (this.#open.isLost) return 0;
    if (this.#options.isOutdated === undefined) return Infinity;
    const dueAt = this.#checkedAt + limits.kafkaCredentialsMs;
    return Math.max(0, dueAt - this.#options.clock.monotonic());
  }

  /** Fences whoever had the lane, reads the cursor, and brings our state in line with it. */
  async open(start: number): Promise<Receipt> {
    if (this.#session.state === "halted") throw this.#halted();
    await this.#discard();
    const stored = this.#options.get(this.#key);
    this.#state = stored && decodeLaneState(stored, `the state store's ${this.#key}`);
    this.#start = start;
    await this.#run({ kind: "open" });
    return this.#receipt();
  }

  prepare(delivery: Delivery): readonly KvWrite[] {
    const { lane, boot, recordBytesMax } = this.#options;
    assert(this.#state !== undefined && this.#encoding !== undefined, "a lane is opened first");
    this.#transaction = createTransaction(delivery, {
      lane,
      boot,
      state: this.#state,
      encode: this.#encoding.encode,
      partitions: this.#partitions.data,
      bytesMax: this.#batchBytesMax,
      messageBytesMax: Math.min(recordBytesMax, this.#batchBytesMax),
    });
    return [{ key: this.#key, value: encodeLaneState(this.#transaction.state) }];
  }

  async deliver(): Promise<Receipt> {
    const transaction = this.#transaction;
    assert(transaction !== undefined, "a delivery is prepared first");
    if (transaction.count > 0) await this.#run({ kind: "deliver" });
    this.#transaction = undefined;
    const { intent, ...state } = transaction.state;
    const place = this.#state?.place;
    this.#state = { ...state, place, intent: undefined, mark: intent.mark, number: intent.number };
    return this.#receipt();
  }

  settled(): void {
    if (this.#state !== undefined) this.#incidents = this.#state.incidents;
  }

  /** Connects again where the broker hung up, as it does when idle, or certificates were replaced. */
  async tend(): Promise<Receipt | undefined> {
    this.#checkedAt = this.#options.clock.monotonic();
    const isStale = this.#open.isLost || ((await this.#options.isOutdated?.()) ?? false);
    return isStale ? await this.open(this.#start) : undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const abort of this.#aborts) abort(closedFault());
    await this.#cluster?.close();
  }

  // ---- the session ----

  /** Until the session rests. Rejects with what closed it. */
  async #run(event: SessionEvent): Promise<void> {
    this.#on(event);
    while (!isResting(this.#session.state)) {
      try {
        await this.#abortable(this.#step());
        if (!isResting(this.#session.state)) this.#on({ kind: "done" });
      } catch (error) {
        if (!isEnvironmental(error)) throw error;
        this.#on({ kind: "failed", error: errorOf(error) });
        if (this.#session.state === "closed" || this.#isClosed) {
          this.#learnFrom(errorOf(error));
          await this.#discard();
          throw error;
        }
        await this.#wait(waitMsOf(this.#session));
      }
    }
    if (this.#session.state === "halted") throw this.#halted();
  }

  #on(event: SessionEvent): void {
    const next = afterEvent(this.#session, event);
    assert(next !== undefined, `a session that is ${this.#session.state} takes no ${event.kind}`);
    this.#session = next;
  }

  async #step(): Promise<void> {
    const { state } = this.#session;
    switch (state) {
      case "connecting":
        return await this.#connect();
      case "initialising":
        this.#producer = await this.#open.initProducer({
          transactionalId: this.#name,
          timeoutMs: this.#options.transactionMs,
        });
        return;
      case "reading":
        this.#found = await readCursor(this.#open, {
          group: this.#name,
          at: this.#cursorPartition,
          key: cursorKey(this.#options.agent, this.#options.lane),
          hint: this.#state?.place,
        });
        return;
      case "reconciling":
        return this.#reconcile();
      case "adding":
        await this.#open.addPartitions(this.#transactionOf, this.#touched());
        return await this.#open.addGroup(this.#transactionOf, this.#name);
      case "sending":
        return await this.#send();
      case "committing":
        return await this.#open.endTransaction(this.#transactionOf, "commit");
      case "closed":
      case "ready":
      case "halted":
        throw new Error(`nothing is to be done in ${state}`);
      default:
        return unreachable(state);
    }
  }

  async #connect(): Promise<void> {
    const { topic, cursorTopic, topics, connect, delivery, encoding, clock } = this.#options;
    const connecting = connect();
    // Whoever gave up meanwhile wants no connection.
    void connecting.then(
      (cluster) => (this.#isClosed ? cluster.close() : undefined),
      () => undefined,
    );
    this.#cluster = await this.#abortable(connecting);
    this.#checkedAt = clock.monotonic();
    this.#encoding = await encoding();
    this.#partitions = await openTopics(this.#cluster, {
      data: topic,
      cursor: delivery === "transactional" ? cursorTopic : undefined,
      options: topics,
      wait: (ms) => this.#wait(ms),
      waitMsMax: limits.kafkaTopicWaitMs,
    });
  }

  #reconcile(): void {
    const { agent, randomHex, delivery } = this.#options;
    const here = {
      state: this.#state,
      agent,
      cluster: this.#open.id,
      isHeld: this.#isHeld,
      start: this.#start,
      freshOutbox: randomHex(16),
      markAt: (seq: number) => this.#markAt(seq),
    };
    const reconciled =
      delivery === "transactional" ? reconcile(here, this.#found) : resumeUpsert(here);
    if (reconciled.kind === "halt") {
      this.#finding = reconciled.why;
      this.#on({ kind: "foreign" });
      return;
    }
    this.#isHeld = true;
    this.#finding = reconciled.finding;
    this.#state = reconciled.state;
  }

  /** Where our own records would be at `seq`, from what the outbox still holds. */
  #markAt(seq: number): { readonly mark: Mark; readonly number: number } | undefined {
    const { lane, read } = this.#options;
    const state = this.#state;
    assert(state !== undefined && this.#encoding !== undefined, "there is a state to compare");
    let { mark, number } = state;
    while (mark.seq < seq) {
      const part = read(lane, { from: number, bytesMax: limits.uplinkBatchBytesMax });
      if (part.records.length === 0 || part.first !== number) return undefined;
      for (const record of part.records.slice(0, seq - mark.seq)) {
        const place = { outbox: mark.outbox, lane, seq: mark.seq };
        const { value } = this.#encoding.encode(record, place);
        mark = { ...mark, seq: mark.seq + 1, digest: digestAfter(mark.digest, value) };
        number += 1;
      }
    }
    return { mark, number };
  }

  // ---- one transaction ----

  #touched(): readonly TopicPartition[] {
    const { topic } = this.#options;
    const partitions = [...this.#underWay.messages.keys()];
    return [...partitions.map((partition) => ({ topic, partition })), this.#cursorPartition];
  }

  async #send(): Promise<void> {
    const { topic, delivery } = this.#options;
    const { compression } = this.#encoding ?? { compression: noCompression };
    const batches = [...this.#underWay.messages].map(([partition, messages]) =>
      this.#batch({ topic, partition }, messages, compression),
    );
    if (delivery === "upsert") {
      await this.#open.produce(batches, { transactionalId: undefined });
      return;
    }
    const at = this.#cursorPartition;
    const cursor = encodeCursor(this.#cursorOf(this.#underWay.state));
    const key = cursorKey(this.#options.agent, this.#options.lane);
    batches.push(this.#batch(at, [{ key, value: cursor, headers: [] }], noCompression));
    const group = this.#name;
    const metadata = new TextDecoder().decode(cursor);
    const offset = this.#underWay.state.intent.mark.seq;
    const [produced] = await Promise.all([
      this.#open.produce(batches, { transactionalId: this.#name }),
      this.#open.commitOffset(this.#transactionOf, { ...at, group, offset, metadata }),
    ]);
    const written = produced.find(
      (part) => part.topic === at.topic && part.partition === at.partition,
    );
    if (this.#state === undefined || written === undefined) return;
    this.#state = {
      ...this.#state,
      place: { partition: at.partition, offset: written.offset },
    };
  }

  #batch(
    at: TopicPartition,
    records: readonly BatchRecord[],
    compression: Compression,
  ): TopicPartition & { readonly bytes: Uint8Array } {
    const name = `${at.topic}/${at.partition}`;
    const sequence = this.#sequences.get(name) ?? 0;
    this.#sequences.set(name, sequence + records.length);
    const bytes = encodeRecordBatch(records, {
      producer: this.#producer,
      sequence,
      isTransactional: this.#options.delivery === "transactional",
      timeMs: this.#options.clock.now(),
      compression,
    });
    return { ...at, bytes };
  }

  #cursorOf({ intent, boots, before }: LaneState & { readonly intent: Intent }): Cursor {
    const { agent, lane, version } = this.#options;
    return { agent, lane, mark: intent.mark, boots, before, version };
  }

  // ---- what there is ----

  get #open(): Cluster {
    assert(this.#cluster !== undefined, "the session is connected");
    return this.#cluster;
  }

  get #underWay(): Transaction {
    assert(this.#transaction !== undefined, "a transaction is prepared");
    return this.#transaction;
  }

  /** Transactional id and group. */
  get #name(): string {
    return laneName(this.#options.agent, this.#options.lane);
  }

  get #transactionOf(): { readonly transactionalId: string; readonly producer: Producer } {
    assert(this.#producer !== undefined, "a producer is initialised");
    return { transactionalId: this.#name, producer: this.#producer };
  }

  /** Where the cursor is, as long as the topic has that partition. */
  get #cursorPartition(): TopicPartition {
    const { agent, lane, cursorTopic } = this.#options;
    const known = this.#state?.place?.partition;
    const count = this.#partitions.cursor;
    const isKept = known !== undefined && known < count;
    const partition = isKept ? known : partitionOf(cursorKey(agent, lane), count);
    return { topic: cursorTopic, partition };
  }

  // ---- endings ----

  #receipt(): Receipt {
    assert(this.#state !== undefined, "an open lane has a state");
    const value = encodeLaneState(this.#state);
    return { next: this.#state.number, writes: [{ key: this.#key, value }] };
  }

  async #discard(): Promise<void> {
    const cluster = this.#cluster;
    if (cluster !== undefined) {
      this.#traffic.sent += cluster.traffic.sent;
      this.#traffic.received += cluster.traffic.received;
    }
    this.#cluster = undefined;
    this.#producer = undefined;
    this.#found = undefined;
    this.#transaction = undefined;
    this.#sequences.clear();
    this.#session = closedSession(this.#options.delivery);
    await cluster?.close();
  }

  /** A batch that the topic does not take is made smaller; what is too large alone is left out. */
  #learnFrom(error: string | undefined): void {
    if (error !== "MESSAGE_TOO_LARGE" && error !== "RECORD_LIST_TOO_LARGE") return;
    this.#batchBytesMax = Math.max(1_024, Math.floor(this.#batchBytesMax / 2));
  }

  #halted(): Fault {
    return new Fault("IDENTITY_IN_USE", this.#finding);
  }

  /** `work`, unless the lane is closed meanwhile. */
  async #abortable<Value>(work: Promise<Value>): Promise<Value> {
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    this.#aborts.add(reject);
    work.then(resolve, reject);
    if (this.#isClosed) reject(closedFault());
    try {
      return await promise;
    } finally {
      this.#aborts.delete(reject);
    }
  }

  async #wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(ms, resolve);
    try {
      await this.#abortable(promise);
    } finally {
      cancel();
    }
  }
}

function closedFault(): Fault {
  return new Fault("UPLINK_UNREACHABLE", "the uplink was closed");
}
