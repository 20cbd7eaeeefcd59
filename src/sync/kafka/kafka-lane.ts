/**
 * One lane in Kafka: does what the session machine (session.ts) says, one request after another. All
 * decisions are in the pure parts beside it (reconcile.ts, transaction.ts, session.ts).
 *
 * On any failure the incarnation (incarnation.ts: connections, producer id, epoch) is thrown away;
 * the pump opens the lane again, which fences what may still be under way and reads the cursor before
 * anything is sent again. What is stored in the state store moves only with receipts and intents.
 */

import { assert, unreachable } from "../../core/assert.ts";
import type { KvWrite } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { uplinkKey } from "../../store/state/kv-key.ts";
import type { LaneRead } from "../../store/outbox/lane-reading.ts";
import type { LaneOf } from "../../store/outbox/standings.ts";
import type { Delivery, Incidents, LaneFacts, Receipt, UplinkLane } from "../uplink.ts";
import { Closing } from "./closing.ts";
import { type Cluster, errorOf } from "./cluster.ts";
import type { Cursor } from "./cursor.ts";
import { Incarnation, type IncarnationOptions } from "./incarnation.ts";
import { decodeLaneState, encodeLaneState, type LaneState, lifeHere } from "./lane-state.ts";
import type { MessageEncoder } from "./message/message.ts";
import { type OwnRecords, ownMarkAt } from "./own-mark.ts";
import { reconcile, resumeUpsert, type Verdict } from "./reconcile.ts";
import type { Compression } from "./message/record-batch.ts";
import {
  afterEvent,
  closedSession,
  groupWaitsMax,
  isResting,
  type Session,
  type SessionEvent,
  type SessionState,
  waitMsOf,
} from "./session.ts";
import { createTransaction, type Refused, type Transaction } from "./transaction.ts";

/** What a lane sends with, found out when it first connects. */
export type Encoding = { readonly encode: MessageEncoder; readonly compression: Compression };

export type KafkaLaneOptions = IncarnationOptions & {
  /** Name of the uplink, for the keys in the state store. */
  readonly uplink: string;
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly recordBytesMax: number;
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
    at: LaneOf,
    options: { readonly from: number; readonly bytesMax: number },
  ) => LaneRead;
};

/**
 * How much larger the next batch may be than one that was taken, after one that was not: slowly, since
 * topic or link may stay as they are, and what is tried in vain is sent in vain.
 */
const batchGrowth = 1.05;

/** What a topic answers to records that it will never take. */
const refusals: ReadonlySet<string> = new Set([
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "INVALID_RECORD",
]);

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
  /** What the cursor meant when it was read last. */
  #verdict: Verdict | undefined;
  /** Why it halted. */
  #why = "";
  /** Nothing was sent since the session began. */
  #isFresh = false;
  /** Less than batchBytesMax after a batch was refused or took too long; grows with each success. */
  #batchBytesNow: number;
  #refused: Refused | undefined;
  /** Everything below was under way without a transaction, and may be out there. */
  #doubted = 0;
  /** Where the session was when it failed. */
  #failedIn: SessionState = "closed";
  #start = 0;
  #checkedAt = 0;
  readonly #closing: Closing;
  #traffic = { sent: 0, received: 0 };

  #incarnation: Incarnation | undefined;
  #encoding: Encoding | undefined;
  /** As the cluster has it, when it was read last. */
  #found: Cursor | undefined;
  /** How often the group's offset was not decided, in this session. */
  #undecided = 0;
  #transaction: Transaction | undefined;

  constructor(options: KafkaLaneOptions) {
    this.#options = options;
    this.#closing = new Closing(options.clock);
    this.lingerMs = options.lingerMs;
    this.#batchBytesNow = options.batchBytesMax;
    this.batchBytesMax = options.batchBytesMax;
    this.#key = uplinkKey(options.uplink, options.lane);
    this.#session = closedSession(options.delivery);
  }

  get incidents(): Incidents {
    return this.#incidents;
  }

  get facts(): LaneFacts {
    const { topic } = this.#options;
    const { cluster, producer } = this.#incarnation ?? {};
    const { sent = 0, received = 0 } = cluster?.traffic ?? {};
    const { mark, cluster: clusterId } = this.#state ?? {};
    return {
      topic,
      session: cluster?.isLost === true ? "lost" : this.#session.state,
      ...(mark === undefined ? {} : { outbox: mark.outbox, cursor: mark.seq }),
      ...(clusterId === undefined ? {} : { cluster: clusterId }),
      ...(producer === undefined ? {} : { producer: String(producer.id), epoch: producer.epoch }),
      ...(this.#verdict === undefined ? {} : { found: this.#verdict }),
      sentBytes: this.#traffic.sent + sent,
      receivedBytes: this.#traffic.received + received,
    };
  }

  get tendMs(): number {
    if (this.#session.state !== "ready") return Infinity;
    if (this.#options.isOutdated === undefined) return Infinity;
    const dueAt = this.#checkedAt + limits.kafkaCredentialsMs;
    return Math.max(0, dueAt - this.#options.clock.monotonic());
  }

  /** An intent is stored before anything of it leaves. */
  get held(): number {
    const stored = this.#options.get(this.#key);
    if (stored === undefined) return 0;
    const { number, intent } = decodeLaneState(stored, `the state store's ${this.#key}`);
    return Math.max(intent?.number ?? number, this.#doubted);
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
      partitions: this.#life.dataPartitions,
      bytesMax: Math.min(this.#batchBytesNow, delivery.bytesMax),
      messageBytesMax: recordBytesMax,
      refused: this.#refused,
      delivery: this.#options.delivery,
    });
    return [{ key: this.#key, value: encodeLaneState(this.#transaction.state) }];
  }

  async deliver(): Promise<Receipt> {
    const transaction = this.#transaction;
    assert(transaction !== undefined, "a delivery is prepared first");
    if (transaction.count > 0) {
      const isSent = await this.#deliverNow(transaction);
      if (!isSent) return await this.open(this.#start);
    }
    this.#transaction = undefined;
    const { intent, ...state } = transaction.state;
    const { mark, number } = intent;
    const isTold = this.#options.delivery === "transactional" && transaction.count > 0;
    const there = isTold ? mark : state.there;
    const place = this.#state?.place;
    this.#state = { ...state, place, there, intent: undefined, mark, number };
    return this.#receipt();
  }

  /** False where the lane is to be opened again and the same records sent in another way. */
  async #deliverNow(transaction: Transaction): Promise<boolean> {
    // A broker hangs up on who is idle. If that is how the session began, it is tried as it is.
    if (this.#life.cluster.isLost && !this.#isFresh) return false;
    this.#isFresh = false;
    try {
      await this.#run({ kind: "deliver" });
    } catch (error) {
      if (this.#learnFrom(error, transaction)) return false;
      throw error;
    }
    this.#batchBytesNow = Math.min(
      Math.ceil(batchGrowth * this.#batchBytesNow),
      this.batchBytesMax,
    );
    return true;
  }

  settled(): void {
    if (this.#state !== undefined) this.#incidents = this.#state.incidents;
  }

  /** Connects again where certificates were replaced. */
  async tend(): Promise<Receipt | undefined> {
    this.#checkedAt = this.#options.clock.monotonic();
    const isOutdated = (await this.#options.isOutdated?.()) ?? false;
    return isOutdated ? await this.open(this.#start) : undefined;
  }

  async close(): Promise<void> {
    this.#closing.close();
    await this.#incarnation?.cluster.close();
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
        this.#failedIn = this.#session.state;
        if (errorOf(error) === "UNSTABLE_OFFSET_COMMIT") this.#undecided += 1;
        this.#on({ kind: "failed", error: this.#closing.isClosed ? undefined : errorOf(error) });
        if (this.#session.state === "closed") {
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
        return await this.#life.initialise();
      case "reading":
        this.#found = await this.#life.readCursor(this.#cursorHint(), {
          asksGroup: this.#undecided < groupWaitsMax,
        });
        return;
      case "reconciling":
        return this.#reconcile();
      case "adding":
        return await this.#life.add(this.#underWay);
      case "sending":
        return await this.#send();
      case "committing":
        return await this.#life.commit();
      case "closed":
      case "ready":
      case "halted":
        throw new Error(`nothing is to be done in ${state}`);
      default:
        return unreachable(state);
    }
  }

  async #connect(): Promise<void> {
    const { connect, encoding, clock } = this.#options;
    const connecting = connect().then(async (cluster) => {
      // Whoever gave up meanwhile wants no connection.
      if (this.#closing.isClosed) await cluster.close();
      else this.#incarnation = new Incarnation(cluster, this.#options);
    });
    await this.#closing.before(connecting);
    this.#checkedAt = clock.monotonic();
    this.#encoding = await encoding();
    await this.#life.openTopics((ms) => this.#closing.wait(ms));
  }

  /** Where our last cursor was written, if that was in this cluster and under this name. */
  #cursorHint(): LaneState["place"] {
    const { agent, cluster, place } = this.#state ?? {};
    const isSame = agent === this.#options.agent && cluster === this.#life.cluster.id;
    return isSame ? place : undefined;
  }

  async #send(): Promise<void> {
    assert(this.#encoding !== undefined && this.#state !== undefined, "the lane is open");
    const place = await this.#life.send(this.#underWay, this.#encoding.compression);
    if (place !== undefined) this.#state = { ...this.#state, place };
  }

  #reconcile(): void {
    const { agent, uplink, get, randomHex, delivery } = this.#options;
    const here = {
      state: this.#state,
      agent,
      life: lifeHere(get, { uplink, agent }),
      cluster: this.#life.cluster.id,
      isHeld: this.#isHeld,
      start: this.#start,
      freshOutbox: randomHex(16),
      markAt: (seq: number) => this.#ownMarkAt(seq),
    };
    const reconciled =
      delivery === "transactional" ? reconcile(here, this.#found) : resumeUpsert(here);
    if (reconciled.kind === "halt") {
      this.#why = reconciled.why;
      this.#on({ kind: "foreign" });
      return;
    }
    const { intent } = this.#state ?? {};
    if (intent?.delivery === "upsert") this.#doubted = Math.max(this.#doubted, intent.number);
    this.#isHeld = true;
    this.#isFresh = true;
    this.#verdict = reconciled.verdict;
    this.#state = reconciled.state;
  }

  #ownMarkAt(seq: number): ReturnType<typeof ownMarkAt> {
    const { lane, uplink, recordBytesMax: messageBytesMax } = this.#options;
    const read: OwnRecords["read"] = (options) => this.#options.read({ uplink, lane }, options);
    assert(
      this.#state !== undefined && this.#encoding !== undefined,
      "there is a state to compare",
    );
    const { encode } = this.#encoding;
    return ownMarkAt(seq, { lane, state: this.#state, read, encode, messageBytesMax });
  }

  get #life(): Incarnation {
    assert(this.#incarnation !== undefined, "the session is connected");
    return this.#incarnation;
  }

  get #underWay(): Transaction {
    assert(this.#transaction !== undefined, "a transaction is prepared");
    return this.#transaction;
  }

  // ---- endings ----

  #receipt(): Receipt {
    assert(this.#state !== undefined, "an open lane has a state");
    const value = encodeLaneState(this.#state);
    return { next: this.#state.number, writes: [{ key: this.#key, value }] };
  }

  async #discard(): Promise<void> {
    const cluster = this.#incarnation?.cluster;
    this.#incarnation = undefined;
    this.#found = undefined;
    this.#undecided = 0;
    this.#transaction = undefined;
    if (cluster === undefined) return;
    this.#traffic.sent += cluster.traffic.sent;
    this.#traffic.received += cluster.traffic.received;
    await cluster.close();
  }

  /**
   * What the topic does not take is made smaller, until a record is refused alone: that one is left
   * out, and the others had nothing to do with it. A batch whose answer did not come may have been too
   * large for the link. True where the next try is another one, and need not wait.
   */
  #learnFrom(error: unknown, { count, bytes, state }: Transaction): boolean {
    if (this.#failedIn !== "sending" || !(error instanceof Fault)) return false;
    const name = errorOf(error);
    const isRefused = name !== undefined && refusals.has(name);
    const isOurs = isRefused && error.facts["topic"] === this.#options.topic;
    if (count > 1 && (isOurs || error.code === "UPLINK_UNREACHABLE")) {
      this.#batchBytesNow = Math.max(1, Math.floor(bytes / 2));
    } else if (isOurs) {
      this.#refused = { number: state.number, error: name };
    }
    return isOurs;
  }

  #halted(): Fault {
    return new Fault("IDENTITY_IN_USE", this.#why);
  }
}
