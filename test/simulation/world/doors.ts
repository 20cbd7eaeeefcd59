/**
 * The doors of one life on the simulated world. Every call first asks the life whether the process is
 * still there; what takes time in reality takes virtual time here.
 */

import assert from "node:assert/strict";
import type { Doors } from "../../../src/agent/agent-doors.ts";
import type { Clock, Kv, KvWrite, Random, Wire } from "../../../src/core/doors.ts";
import { Fault } from "../../../src/core/faults.ts";
import { millis } from "../../../src/core/units.ts";
import { type KvImage, KvMemory } from "../../../src/store/state/kv-memory.ts";
import type { Cluster } from "../../../src/sync/kafka/cluster.ts";
import { wiredCluster } from "../../support/kafka/wired-cluster.ts";
import { timedCluster } from "../../support/kafka/timed-cluster.ts";
import { below } from "../../support/seeded-random.ts";
import { type Life, never } from "./life.ts";
import type { Timeline } from "./timeline.ts";

export function clockOf(life: Life, timeline: Timeline): Clock {
  return {
    now: () => millis(Math.floor(life.wallClock())),
    monotonic: () => timeline.now - life.bornAt,
    after: (delayMs, run) => {
      assert(delayMs >= 0, "nobody waits for a moment that is over");
      return life.after(delayMs, run);
    },
    soon: (run) => void life.after(0, run),
  };
}

/** What the state store does at a commit. */
export type CommitFate = "well" | "full" | "broken";

/**
 * The state store of one life: a commit takes time, and reads the buffers it was given only then. A
 * process that dies meanwhile leaves all of the commit or nothing.
 */
export class StoreOfLife implements Kv {
  readonly #life: Life;
  readonly #kv: KvMemory;
  readonly #random: Random;
  readonly #ask: () => { readonly fate: CommitFate; readonly commitMs: number };
  #underWay: readonly KvWrite[] | undefined;
  isBroken = false;

  constructor(options: {
    readonly life: Life;
    readonly image: KvImage;
    readonly random: Random;
    readonly ask: () => { readonly fate: CommitFate; readonly commitMs: number };
  }) {
    this.#life = options.life;
    this.#random = options.random;
    this.#ask = options.ask;
    this.#kv = new KvMemory({ image: options.image, turn: () => Promise.resolve() });
  }

  /** What the next life finds. */
  remains(): KvImage {
    const image = new Map(this.#kv.image());
    if (this.#underWay === undefined || below(this.#random, 2) === 0) return image;
    for (const { key, value } of this.#underWay) {
      if (value === undefined) image.delete(key);
      else image.set(key, value.slice());
    }
    return image;
  }

  get(key: string): Uint8Array | undefined {
    return this.#kv.get(key);
  }

  range(options: Parameters<Kv["range"]>[0]): ReturnType<Kv["range"]> {
    return this.#kv.range(options);
  }

  async commit(writes: readonly KvWrite[]): Promise<void> {
    if (!this.#life.call("store commit")) return await never();
    const { fate, commitMs } = this.#ask();
    if (fate === "broken" && !this.isBroken) {
      this.isBroken = true;
      // A sync that failed may have reached the medium all the same.
      if (below(this.#random, 2) === 0) await this.#kv.commit(writes);
    }
    if (this.isBroken) throw new Fault("STORE_FAILED", "the simulated store is broken");
    if (fate === "full") throw new Fault("DISK_FULL", "the simulated disk is full");
    this.#underWay = writes;
    await this.#life.pause(commitMs);
    if (!this.#life.call("store committed")) return await never();
    await this.#kv.commit(writes);
    this.#underWay = undefined;
  }

  async close(): Promise<void> {
    await this.#kv.close();
  }
}

/** Something went over a link: from which address, for which lane. */
export type Passing = {
  readonly address: string;
  readonly lane: string;
  readonly sent: number;
  readonly received: number;
  readonly isRecords: boolean;
};

/** Sessions with a cluster across a link; `dial` rejects where there is none. */
export function kafkaOf(
  life: Life,
  clock: Clock,
  {
    dial,
    onPassing,
  }: {
    readonly dial: (lane: string) => Promise<Cluster>;
    readonly onPassing: (passing: Passing) => void;
  },
): NonNullable<Doors["kafka"]> {
  const over = (cluster: Cluster, wire: Wire | undefined, lane: string): Cluster => {
    if (wire === undefined) return cluster;
    const from = { address: wire.localAddress ?? "", lane };
    return wiredCluster(cluster, wire, {
      onSent: (sent, isRecords) => {
        if (!life.isOver) onPassing({ ...from, sent, received: 0, isRecords });
      },
      onReceived: (received) => {
        if (!life.isOver) onPassing({ ...from, sent: 0, received, isRecords: false });
      },
    });
  };
  return {
    connect: async ({ requestTimeoutMs, wire, clientId }) => {
      if (!life.call("kafka connect")) return await never();
      const lane = clientId.slice(clientId.lastIndexOf("-") + 1);
      const cluster = await dial(lane);
      if (life.isOver) return await never();
      return timedCluster(over(cluster, wire, lane), { clock, timeoutMs: requestTimeoutMs });
    },
    credentials: () => ({
      read: () => Promise.resolve({}),
      isOutdated: () => Promise.resolve(false),
    }),
    registerSchema: () => Promise.reject(new Fault("UPLINK_REFUSED", "no registry is simulated")),
  };
}
