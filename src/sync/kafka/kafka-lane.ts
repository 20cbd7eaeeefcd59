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
import { Closing } from "./closing.ts";
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
import { reconcile, resumeUpsert } from "./reconcile.ts";
import {
  type BatchRecord,
  type Compression,
  encodeRecordBatch,
  noCompression,
  recordBytesMax,
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
  /** Less than the option after the topic refused a batch. */
  #batchBytesMax: number;
  /** Number of a record that the topic refused although it was sent alone. */
  #refused: number | undefined;
  #start = 0;
  #checkedAt = 0;
  readonly #closing: Closing;
  #traffic = { sent: 0, received: 0 };

  // of the session
  #cluster: Cluster | undefined;
  #encoding: Encoding | undefined;
  #partitions: { readonly data: number; readonly cursor: number } = { data: 0, cursor: 0 };
  /** Of the cursor topic. */
  #cursorPartition = 0;
  #producer: Producer | undefined;
  #found: Cursor | undefined;
  /** Next sequence number of the producer by partition: "topic/partition". */
  readonly #sequences: Map<string, number> = new Map();
  #transaction: Transaction | undefined;

  constructor(options: KafkaLaneOptions) {
    this.#options = options;
    this.#closing = new Closing(options.clock);
    this.lingerMs = options.lingerMs;
    this.#batchBytesMax = options.batchBytesMax;
    this.batchBytesMax = options.batchBytesMax;
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
    if (this.#session.state !== "closed") this.#on({ kind: "failed", error: undefined });
    await this.#discard();
    const stored = this.#options.get(this.#key);
    this.#state = stored && decodeLaneState(stored, `the state store's ${this.#key}`);
    this.settled();
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
      messageBytesMax: recordBytesMax,
      refused: this.#refused,
    });
    return [{ key: this.#key, value: encodeLaneState(this.#transaction.state) }];
  }

  async deliver(): Promise<Receipt> {
    const transaction = this.#transaction;
    assert(transaction !== undefined, "a delivery is prepared first");
    if (transaction.count > 0) await this.#run({ kind: "deliver" });
    this.#transaction = undefined;
    const { intent, ...state } = transaction.state;
    const { mark, number } = intent;
    const there = this.#options.delivery === "upsert" ? state.there : mark;
    const place = this.#state?.place;
    this.#state = { ...state, place, there, intent: undefined, mark, number };
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
    this.#closing.close();
    await this.#cluster?.close();
  }

  // ---- the session ----

  /** Until the session rests. Rejects with what closed it. */
  async #run(event: SessionEvent): Promise<void> {
    this.#on(event);
    while (!isResting(this.#session.state)) {
      try {
        await this.#closing.before(this.#step());
        if (!isResting(this.#session.state)) this.#on({ kind: "done" });
      } catch (error) {
        if (!isEnvironmental(error)) throw error;
        this.#on({ kind: "failed", error: this.#closing.isClosed ? undefined : errorOf(error) });
        if (this.#session.state === "closed") {
          this.#learnFrom(error);
          await this.#discard();
          throw error;
        }
        // Whoever is closed meanwhile finds out at the next step.
        await this.#closing.wait(waitMsOf(this.#session)).catch(() => undefined);
      }
    }
    if (this.#session.state !== "halted") return;
    await this.#discard();
    throw this.#halted();
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
        return await this.#read();
      case "reconciling":
        return this.#reconcile();
      case "adding":
        return await this.#add();
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
    const connecting = connect().then(async (cluster) => {
      // Whoever gave up meanwhile wants no connection.
      if (this.#closing.isClosed) await cluster.close();
      else this.#cluster = cluster;
    });
    await this.#closing.before(connecting);
    this.#checkedAt = clock.monotonic();
    this.#encoding = await encoding();
    this.#partitions = await openTopics(this.#open, {
      data: topic,
      cursor: delivery === "transactional" ? cursorTopic : undefined,
      options: topics,
      wait: (ms) => this.#closing.wait(ms),
      waitMsMax: limits.kafkaTopicWaitMs,
    });
  }

  async #read(): Promise<void> {
    const { agent, lane, cursorTopic } = this.#options;
    const cluster = this.#open;
    const isSame = this.#state?.agent === agent && this.#state.cluster === cluster.id;
    const { cursor, partition } = await readCursor(cluster, {
      group: this.#name,
      topic: cursorTopic,
      partitions: this.#partitions.cursor,
      key: cursorKey(agent, lane),
      hint: isSame ? this.#state?.place : undefined,
    });
    this.#found = cursor;
    this.#cursorPartition = partition;
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
    const { lane, read, recordBytesMax: bytesMax } = this.#options;
    const state = this.#state;
    assert(state !== undefined && this.#encoding !== undefined, "there is a state to compare");
    let { mark, number } = state;
    while (mark.seq < seq) {
      const part = read(lane, { from: number, bytesMax: limits.uplinkBatchBytesMax });
      if (part.records.length === 0 || part.first !== number) return undefined;
      for (const record of part.records) {
        if (mark.seq === seq) break;
        const { outbox, digest } = mark;
        const message = this.#encoding.encode(record, { outbox, lane, seq: mark.seq });
        number += 1;
        // It was left out then as well.
        if (recordBytesMax(message) > bytesMax) continue;
        mark = { outbox, seq: mark.seq + 1, digest: digestAfter(digest, message.value) };
      }
    }
    return { mark, number };
  }

  // ---- one transaction ----

  async #add(): Promise<void> {
    const { topic } = this.#options;
    const partitions = [...this.#underWay.messages.keys()];
    const touched = [...partitions.map((partition) => ({ topic, partition })), this.#cursorAt];
    await this.#open.addPartitions(this.#transactionOf, touched);
    await this.#open.addGroup(this.#transactionOf, this.#name);
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
    const at = this.#cursorAt;
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

  get #cursorAt(): TopicPartition {
    return { topic: this.#options.cursorTopic, partition: this.#cursorPartition };
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
    await cluster?.close();
  }

  /**
   * What the topic does not take is made smaller, until a record is too large alone: that one is left
   * out, and the others had nothing to do with it.
   */
  #learnFrom(error: unknown): void {
    const { topic, batchBytesMax } = this.#options;
    const name = errorOf(error);
    if (name !== "MESSAGE_TOO_LARGE" && name !== "RECORD_LIST_TOO_LARGE") return;
    const isOurs = error instanceof Fault && error.facts["topic"] === topic;
    if (!isOurs || this.#transaction === undefined) return;
    const { count, bytes, state } = this.#transaction;
    if (count > 1) this.#batchBytesMax = Math.floor(bytes / 2);
    else {
      this.#refused = state.number;
      this.#batchBytesMax = batchBytesMax;
    }
  }

  #halted(): Fault {
    return new Fault("IDENTITY_IN_USE", this.#finding);
  }
}
