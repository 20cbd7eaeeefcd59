/**
 * The upstream half of an agent on simulated doors: state store, drain and Kafka uplink, and a model
 * of the cluster. A half can be crashed at any call of its store or the cluster, before or after the
 * call took effect; from then on nothing of it takes effect any more, and its image can be started
 * again, once or several times.
 *
 *   UpstreamWorld   one clock, one cluster, the halves that live there
 *   UpstreamHalf    one life of one agent
 */

import type { Clock, Kv, KvWrite, Random } from "../../../src/core/doors.ts";
import { limits } from "../../../src/core/limits.ts";
import { type KvImage, KvMemory } from "../../../src/store/state/kv-memory.ts";
import {
  byOutputQueue,
  byQueue,
  type Lane,
  lanes,
  type OutputQueue,
  type Queue,
  queueOf,
  outputQueues,
} from "../../../src/store/outbox/lane.ts";
import { OutboxWriter } from "../../../src/store/outbox/outbox.ts";
import {
  openOutboxRollup,
  type OutboxRollup,
  type OutboxRollupOptions,
} from "../../../src/store/outbox/outbox-rollup.ts";
import { openStateStore, type StateStore } from "../../../src/store/state/state-store.ts";
import { type Drain, openDrain } from "../../../src/sync/drain.ts";
import type { Cluster } from "../../../src/sync/kafka/cluster.ts";
import { type KafkaUplinkOptions, openKafkaUplink } from "../../../src/sync/kafka/kafka-uplink.ts";
import type { PumpStatus } from "../../../src/sync/pump-status.ts";
import type { Incident } from "../../../src/sync/uplink.ts";
import { commitRecords } from "../commit-records.ts";
import { ClusterModel, type ModelCall, type ModelFate } from "./cluster-model.ts";
import { below, seededRandom } from "../seeded-random.ts";
import { sampleRecord } from "./sample-record.ts";
import { SteppedClock } from "./stepped-clock.ts";
import { timedCluster } from "./timed-cluster.ts";

export const topics: Readonly<Record<Queue, string>> = byQueue((queue) => queue);
export const cursorTopic = "cursors";
export const requestMs = 30_000;

export type Fate = ModelFate | Promise<ModelFate>;

export class UpstreamWorld {
  readonly clock: SteppedClock = new SteppedClock(1_800_000_000_000);
  readonly random: Random;
  cluster: ClusterModel;
  /** What the cluster's clock is ahead of the gateways'. */
  aheadMs = 0;
  /** What becomes of the requests of halves that live. */
  fate: (call: ModelCall, half: UpstreamHalf) => Fate = () => "answer";
  /** Calls of stores and cluster so far: while it stands still, nothing goes on. */
  activity = 0;
  /** Commits of stores that take their own time. */
  committing = 0;
  /** Lives so far: each draws from a seed of its own. */
  lives = 0;
  /** What the queues of all lives had to tell, each incident once. */
  readonly incidents: Readonly<Record<Queue, Map<string, Incident>>> = byQueue(() => new Map());
  #sessions = new Map<ClusterModel, UpstreamHalf[]>();
  readonly #followed: Set<UpstreamHalf> = new Set();

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.cluster = this.newCluster("cluster-1");
  }

  newCluster(id: string): ClusterModel {
    const model = new ClusterModel({ clock: () => this.clock.now() + this.aheadMs, id });
    const sessions: UpstreamHalf[] = [];
    this.#sessions.set(model, sessions);
    model.fate = (call) => {
      this.activity += 1;
      const half = sessions[call.session];
      return half === undefined ? "answer" : half.fateOf(call, () => this.fate(call, half));
    };
    return model;
  }

  connect(half: UpstreamHalf): Cluster {
    this.#sessions.get(this.cluster)?.push(half);
    return this.cluster.connect();
  }

  /** From now on its incidents are heard. */
  follow(half: UpstreamHalf): void {
    this.#followed.add(half);
  }

  /** Until nothing goes on but waiting. */
  async quiet(): Promise<void> {
    for (let still = 0; still < 4; ) {
      const before = this.activity;
      await new Promise((resolve) => setImmediate(resolve));
      this.#hear();
      still = this.activity === before && this.committing === 0 ? still + 1 : 0;
    }
  }

  async pass(ms: number): Promise<void> {
    const end = this.clock.monotonic() + ms;
    do await this.quiet();
    while (this.clock.step(end));
    await this.quiet();
  }

  /** Lets time pass until the condition holds; gives up when nothing will change it. */
  async until(holds: () => boolean): Promise<boolean> {
    for (let step = 0; step < 5_000; step++) {
      await this.quiet();
      if (holds()) return true;
      if (!this.clock.step(Infinity)) return false;
    }
    return false;
  }

  /** A status has the last incident only. The dead are heard once more, and then nothing new is. */
  #hear(): void {
    for (const half of this.#followed) {
      const status = half.drain.status[0]?.lanes;
      for (const lane of lanes) {
        const last = status?.[lane].incidents.last;
        if (last !== undefined) this.incidents[queueOf(lane)].set(JSON.stringify(last), last);
      }
      if (half.isDead) this.#followed.delete(half);
    }
  }
}

export type HalfOptions = {
  readonly agent?: string;
  /** What tells its records from those of other halves with the same numbers. */
  readonly origin?: string;
  readonly image?: KvImage;
  /** In the place of a store in memory: it is not crashed, and has no image. */
  readonly kv?: Kv;
  /** Records of the queues that the image knows, by number. */
  readonly emitted?: Readonly<Record<OutputQueue, readonly string[]>>;
  /** Call of store or cluster at which it crashes, counted from 1. */
  readonly crashAt?: number;
  readonly uplink?: Partial<KafkaUplinkOptions>;
  /** A bound of its own for the outbox, in which summaries are merged where it fills up. */
  readonly rollup?: Pick<OutboxRollupOptions, "tiers" | "windows" | "mayDrop"> & {
    readonly bytesMax: number;
  };
};

export class UpstreamHalf {
  readonly world: UpstreamWorld;
  /** By lane, the records that are in its outbox or left it, by number. */
  readonly emitted: Record<OutputQueue, string[]>;
  readonly crashed: Promise<"crashed">;
  /** Timers that wait. */
  timers = 0;
  calls = 0;
  isDead = false;
  readonly #options: HalfOptions;
  readonly #kv: KvMemory;
  #signal: (how: "crashed") => void = () => undefined;
  #store: StateStore | undefined;
  #drain: Drain | undefined;
  #rollup: OutboxRollup | undefined;

  /** Use startHalf. */
  constructor(world: UpstreamWorld, options: HalfOptions) {
    this.world = world;
    this.#options = options;
    this.#kv = new KvMemory(options.image === undefined ? {} : { image: options.image });
    this.emitted = byOutputQueue((lane) => [...(options.emitted?.[lane] ?? [])]);
    this.crashed = new Promise((resolve) => {
      this.#signal = resolve;
    });
  }

  get image(): KvImage {
    return this.#kv.image();
  }

  /** What another life goes on from. */
  get remains(): Pick<HalfOptions, "image" | "emitted"> {
    return { image: this.image, emitted: byOutputQueue((lane) => [...this.emitted[lane]]) };
  }

  get store(): StateStore {
    if (this.#store === undefined) throw new Error("the half is not started");
    return this.#store;
  }

  get drain(): Drain {
    if (this.#drain === undefined) throw new Error("the half is not started");
    return this.#drain;
  }

  get rollup(): OutboxRollup {
    if (this.#rollup === undefined) throw new Error("the half merges nothing");
    return this.#rollup;
  }

  status(lane: Lane = "summaries"): PumpStatus {
    const status = this.drain.status[0]?.lanes[lane];
    if (status === undefined) throw new Error("the half has one uplink");
    return status;
  }

  get incidents(): number {
    return lanes.reduce((sum, lane) => sum + this.status(lane).incidents.count, 0);
  }

  get isDone(): boolean {
    return outputQueues.every((lane) => this.isLaneDone(lane));
  }

  get isHalted(): boolean {
    return lanes.some((lane) => this.status(lane).state === "halted");
  }

  isLaneDone(lane: OutputQueue): boolean {
    const ofQueue = lanes.filter((each) => queueOf(each) === lane).map((each) => this.status(each));
    return (
      ofQueue.every(
        ({ state, behind }) => (state === "running" || state === "idle") && behind === 0,
      ) && this.store.span(lane).first === this.store.span(lane).next
    );
  }

  async start(): Promise<this> {
    const { agent = "gw1", uplink, rollup } = this.#options;
    const { store } = await openStateStore(
      this.#kvDoor(),
      rollup && { outboxBytesMax: rollup.bytesMax },
    );
    this.#store = store;
    // A life before this one may have died while a commit took effect.
    for (const lane of outputQueues) {
      for (let n = this.emitted[lane].length; n < store.span(lane).next; n++) {
        this.emitted[lane].push(this.#text(lane, n));
      }
    }
    const clock = this.#clockDoor();
    const random = seededRandom(below(this.world.random, 2 ** 31) + this.world.lives++);
    const kafka = openKafkaUplink({
      name: "kafka",
      agent,
      version: "0.1.0",
      delivery: "transactional",
      lanes: topics,
      cursorTopic,
      topics: { create: true, partitions: 2, replication: 1, cursorPartitions: 2 },
      headers: "minimal",
      compression: "none",
      lingerMs: 0,
      batchBytesMax: limits.kafkaBatchBytesMax,
      recordBytesMax: limits.kafkaRecordBytesMax,
      transactionMs: limits.kafkaTransactionMs,
      clock,
      random,
      connect: async () => timedCluster(this.world.connect(this), { clock, timeoutMs: requestMs }),
      avro: undefined,
      isOutdated: undefined,
      get: (key) => store.get(key),
      read: (at, options) => store.lanes.readLane(at, options),
      ...uplink,
    });
    this.#drain = openDrain({ store, uplinks: [kafka], clock, random });
    if (rollup !== undefined) this.#rollup = openOutboxRollup({ store, clock, ...rollup });
    this.world.follow(this);
    return this;
  }

  /** Puts new records into the outbox, in one commit, and wakes the drain. */
  async emit(
    counts: Partial<Record<OutputQueue, number>>,
    { bytes = 0 }: { readonly bytes?: number } = {},
  ): Promise<void> {
    const outbox = new OutboxWriter();
    const texts = byOutputQueue((lane) =>
      Array.from({ length: counts[lane] ?? 0 }, (_, n) =>
        this.#text(lane, this.emitted[lane].length + n, bytes),
      ),
    );
    for (const lane of outputQueues) {
      for (const text of texts[lane]) outbox.add(lane, new TextEncoder().encode(text));
    }
    await commitRecords(this.store, outbox);
    for (const lane of outputQueues) this.emitted[lane].push(...texts[lane]);
    this.drain.wake();
  }

  /** Puts records of the caller's into the outbox, in one commit, and wakes the drain. */
  async commit(outbox: OutboxWriter): Promise<void> {
    await commitRecords(this.store, outbox);
    this.drain.wake();
  }

  /** The process is gone: nothing of it takes effect any more. */
  crash(): Pick<HalfOptions, "image" | "emitted"> {
    this.isDead = true;
    this.#signal("crashed");
    return this.remains;
  }

  fateOf(_call: ModelCall, otherwise: () => Fate): Fate {
    if (this.isDead) return "hang-request";
    this.calls += 1;
    if (this.calls !== this.#options.crashAt) return otherwise();
    this.crash();
    return below(this.world.random, 2) === 0 ? "hang-request" : "hang-answer";
  }

  #text(lane: OutputQueue, number: number, bytes = 0): string {
    const { agent = "gw1", origin = "a" } = this.#options;
    const by = origin + "x".repeat(bytes);
    return new TextDecoder().decode(sampleRecord({ agent, lane, number, by }));
  }

  #kvDoor(): Kv {
    const kv = this.#options.kv === undefined ? this.#kv : this.#awaited(this.#options.kv);
    return {
      get: (key) => kv.get(key),
      range: (options) => kv.range(options),
      commit: async (writes: readonly KvWrite[]) => {
        this.world.activity += 1;
        if (this.isDead) return await never();
        this.calls += 1;
        if (this.calls !== this.#options.crashAt) return await kv.commit(writes);
        if (below(this.world.random, 2) === 0) await kv.commit(writes);
        this.crash();
        return await never();
      },
      close: async () => await kv.close(),
    };
  }

  /** The world is not quiet while it commits. */
  #awaited(kv: Kv): Kv {
    const { world } = this;
    return {
      get: (key) => kv.get(key),
      range: (options) => kv.range(options),
      commit: async (writes) => {
        world.committing += 1;
        try {
          await kv.commit(writes);
        } finally {
          world.committing -= 1;
        }
      },
      close: () => kv.close(),
    };
  }

  #clockDoor(): Clock {
    const { clock } = this.world;
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      soon: (run) => clock.soon(run),
      after: (delayMs, run) => {
        let isWaiting = true;
        this.timers += 1;
        const over = (): boolean => {
          const was = isWaiting;
          if (was) this.timers -= 1;
          isWaiting = false;
          return was;
        };
        const cancel = clock.after(delayMs, () => {
          if (over() && !this.isDead) run();
        });
        return () => {
          if (over()) cancel();
        };
      },
    };
  }
}

export async function startHalf(
  world: UpstreamWorld,
  options: HalfOptions = {},
): Promise<UpstreamHalf> {
  return await new UpstreamHalf(world, options).start();
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
