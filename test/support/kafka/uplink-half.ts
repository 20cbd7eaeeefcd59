/**
 * The upstream half of an agent in this process, against a real cluster: state store, drain and Kafka
 * uplink on the real clock. It can be made to die as a process does: at once, leaving what its store
 * had committed, its connections cut and nothing of it ever acting again.
 *
 * ```ts
 * const half = await startHalf({ agent: "gw1", bootstrap });
 * await half.emit({ summaries: 3 });
 * const again = await startHalf({ agent: "gw1", bootstrap, remains: half.crash() });
 * await again.sent();
 * ```
 */

import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../../src/agent/doors/clock.ts";
import { systemRandom } from "../../../src/agent/doors/random.ts";
import type { Clock } from "../../../src/core/doors.ts";
import { Fault } from "../../../src/core/faults.ts";
import { type KvImage, KvMemory } from "../../../src/store/state/kv-memory.ts";
import { byOutputQueue, type OutputQueue, outputQueues } from "../../../src/store/outbox/lane.ts";
import { OutboxWriter } from "../../../src/store/outbox/outbox.ts";
import { openStateStore, type StateStore } from "../../../src/store/state/state-store.ts";
import { type Drain, openDrain } from "../../../src/sync/drain.ts";
import { connectCluster } from "../../../src/sync/kafka/client/client.ts";
import type { Cluster } from "../../../src/sync/kafka/cluster.ts";
import type { ClusterOptions } from "../../../src/sync/kafka/client/cluster-options.ts";
import { openKafkaUplink } from "../../../src/sync/kafka/kafka-uplink.ts";
import type { PumpStatus } from "../../../src/sync/pump-status.ts";
import { commitRecords } from "../commit-records.ts";
import { MortalKv } from "./mortal-kv.ts";
import { sampleRecord } from "./sample-record.ts";

/** The texts of the records that were emitted, by lane: at [n] the record with the number n. */
export type Emitted = Readonly<Record<OutputQueue, readonly string[]>>;

/** What is left of a half: its store, and what the test knows to be in it. */
export type Remains = { readonly image: KvImage; readonly emitted: Emitted };

export type HalfOptions = {
  readonly agent: string;
  readonly bootstrap: string;
  /** Of an earlier half, or of a copy of it; a fresh store by default. */
  readonly remains?: Remains;
  readonly topics?: Partial<TopicNames>;
  readonly createTopics?: boolean;
  readonly requestTimeoutMs?: number;
  readonly transactionMs?: number;
  readonly sasl?: ClusterOptions["sasl"];
};

export type TopicNames = {
  readonly alerts: string;
  readonly summaries: string;
  readonly cursors: string;
};

export const topicNames: TopicNames = {
  alerts: "alerts",
  summaries: "summaries",
  cursors: "cursors",
};

export const partitions = 3;
const sentWaitMsMax = 30_000;

/** Opens the store and begins to send. */
export async function startHalf(options: HalfOptions): Promise<UplinkHalf> {
  const memory = new KvMemory(options.remains ?? {});
  const kv = new MortalKv(memory);
  const { store } = await openStateStore(kv);
  return new UplinkHalf(options, { memory, kv, store });
}

type Parts = { readonly memory: KvMemory; readonly kv: MortalKv; readonly store: StateStore };

export class UplinkHalf {
  readonly agent: string;
  readonly #parts: Parts;
  readonly #drain: Drain;
  readonly #emitted: Record<OutputQueue, string[]>;
  readonly #clusters: Cluster[] = [];
  #remains: Remains | undefined;

  /** Use startHalf. */
  constructor(options: HalfOptions, parts: Parts) {
    const { agent, remains } = options;
    const { store } = parts;
    this.agent = agent;
    this.#parts = parts;
    this.#emitted = byOutputQueue((lane) => [...(remains?.emitted[lane] ?? [])]);
    const clock = this.#mortalClock(systemClock());
    const random = systemRandom();
    const uplink = openKafkaUplink({
      ...uplinkOptions(options),
      clock,
      random,
      connect: (clientId) => this.#connect(clientId, options),
      get: (key) => store.get(key),
      read: (at, of) => store.lanes.readLane(at, of),
    });
    this.#drain = openDrain({ store, uplinks: [uplink], clock, random });
  }

  get emitted(): Emitted {
    return this.#emitted;
  }

  get isDead(): boolean {
    return this.#remains !== undefined;
  }

  status(lane: OutputQueue): PumpStatus {
    const [uplink] = this.#drain.status;
    if (uplink === undefined) throw new Error("the drain serves one uplink");
    return uplink.lanes[lane];
  }

  /** What the lane found when it was opened last: a word of reconcile.ts. */
  found(lane: OutputQueue): string {
    return String(this.status(lane).facts["found"] ?? "nothing yet");
  }

  /** What the lane has to tell a person; empty if nothing. */
  told(lane: OutputQueue): string {
    return this.status(lane).incidents.last?.what ?? "";
  }

  /** Texts of the lane's records that are not known to be upstream. */
  kept(lane: OutputQueue): readonly string[] {
    return this.#emitted[lane].slice(this.status(lane).next);
  }

  /** Commits so many new records of each lane, which tell agent, `by` and number; they may be sent. */
  async emit(counts: Partial<Record<OutputQueue, number>>, by = "original"): Promise<void> {
    const outbox = new OutboxWriter();
    const { agent } = this;
    for (const lane of outputQueues) {
      const first = this.#emitted[lane].length;
      for (let number = first; number < first + (counts[lane] ?? 0); number++) {
        const record = sampleRecord({ agent, lane, number, by });
        this.#emitted[lane].push(Buffer.from(record).toString("utf8"));
        outbox.add(lane, record);
      }
    }
    await commitRecords(this.#parts.store, outbox);
    this.#drain.wake();
  }

  /** As emit, records of the test's own. */
  async emitRecords(lane: OutputQueue, records: readonly Uint8Array[]): Promise<void> {
    const outbox = new OutboxWriter();
    for (const record of records) {
      this.#emitted[lane].push(Buffer.from(record).toString("utf8"));
      outbox.add(lane, record);
    }
    await commitRecords(this.#parts.store, outbox);
    this.#drain.wake();
  }

  /** Resolves when all that was emitted is upstream, and that is stored. */
  async sent(): Promise<void> {
    await this.until("everything is sent", () => outputQueues.every((lane) => this.#isSent(lane)));
  }

  /** Resolves when `isSo`; rejects after half a minute with what the queues say. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const deadline = performance.now() + sentWaitMsMax;
    while (!isSo()) {
      if (performance.now() > deadline) {
        throw new Error(`${this.agent}: not yet: ${what}; ${JSON.stringify(this.#drain.status)}`);
      }
      await sleep(5);
    }
  }

  /** Dies at the next commit about the uplink, or the `count`th: before it took effect, or after. */
  dieAtCommit(moment: "before" | "after", count = 1): Promise<Remains> {
    const { promise, resolve } = Promise.withResolvers<Remains>();
    let left = count;
    this.#parts.kv.onCommit = (writes, at) => {
      if (at !== moment || !writes.some(({ key }) => key.startsWith("uplink/"))) return;
      left -= 1;
      if (left === 0) resolve(this.crash());
    };
    return promise;
  }

  /** A copy of its store, as a backup has it. */
  backup(): Remains {
    const { memory } = this.#parts;
    return { image: memory.image(), emitted: byOutputQueue((lane) => [...this.#emitted[lane]]) };
  }

  /** kill -9. Synchronous: what is not committed now will never be. */
  crash(): Remains {
    this.#remains ??= this.backup();
    this.#parts.kv.die();
    for (const cluster of this.#clusters) void cluster.close();
    return this.#remains;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isDead) await this.#drain.close();
  }

  #isSent(lane: OutputQueue): boolean {
    const { next } = this.status(lane);
    return next === this.#emitted[lane].length && this.#parts.store.span(lane).first === next;
  }

  async #connect(clientId: string, options: HalfOptions): Promise<Cluster> {
    const { bootstrap, requestTimeoutMs = 5_000, sasl } = options;
    const cluster = await connectCluster({
      bootstrap: [bootstrap],
      clientId,
      requestTimeoutMs,
      connectTimeoutMs: 5_000,
      ...(sasl === undefined ? {} : { sasl }),
    });
    this.#clusters.push(cluster);
    if (!this.isDead) return cluster;
    await cluster.close();
    throw new Fault("UPLINK_UNREACHABLE", "the process is dead");
  }

  /** The timers of the dead do not ring. */
  #mortalClock(clock: Clock): Clock {
    return {
      ...clock,
      after: (delayMs, run) => clock.after(delayMs, () => (this.isDead ? undefined : run())),
    };
  }
}

function uplinkOptions({
  agent,
  topics,
  createTopics = true,
  transactionMs = 30_000,
}: HalfOptions) {
  const { alerts, summaries, cursors } = { ...topicNames, ...topics };
  return {
    name: "kafka",
    agent,
    version: "0.0.0-test",
    delivery: "transactional",
    lanes: { alerts, summaries, raw: "raw" },
    cursorTopic: cursors,
    topics: { create: createTopics, partitions, replication: 1, cursorPartitions: 2 },
    headers: "cloudevents",
    compression: "none",
    lingerMs: 0,
    batchBytesMax: 65_536,
    recordBytesMax: 65_536,
    transactionMs,
    avro: undefined,
    isOutdated: undefined,
  } as const;
}
