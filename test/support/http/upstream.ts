/**
 * The upstream half of an agent that posts to an endpoint, on simulated doors: state store and drain. A
 * half can be killed at any moment; what its store holds by then is what the next one starts with.
 */

import { limits } from "../../../src/core/limits.ts";
import type { Queue } from "../../../src/store/outbox/lane.ts";
import { OutboxWriter } from "../../../src/store/outbox/outbox.ts";
import { type KvImage, KvMemory } from "../../../src/store/state/kv-memory.ts";
import { openStateStore, type StateStore } from "../../../src/store/state/state-store.ts";
import { type Drain, openDrain } from "../../../src/sync/drain.ts";
import type { ConnectHttp } from "../../../src/sync/http/http-connection.ts";
import { type HttpUplinkOptions, openHttpUplink } from "../../../src/sync/http/http-uplink.ts";
import { commitRecords } from "../commit-records.ts";
import { MortalKv } from "../kafka/mortal-kv.ts";
import { sampleRecord } from "../kafka/sample-record.ts";
import { seededRandom } from "../seeded-random.ts";
import { SimulatedClock } from "../simulated-clock.ts";

export const agent = "gw1";

export type HttpHalf = {
  readonly clock: SimulatedClock;
  readonly store: StateStore;
  readonly drain: Drain;
  readonly kv: MortalKv;
  /** Commits the next records of a lane, in one commit. */
  readonly add: (lane: Queue, count: number) => Promise<void>;
  /** Ends it without a word; what the next one starts with. */
  readonly kill: () => { readonly image: KvImage; readonly clock: SimulatedClock };
  readonly close: () => Promise<void>;
};

/** Text of every record committed so far, by lane, in the order of their numbers. */
export type Committed = Record<Queue, string[]>;

export async function openHttpHalf(options: {
  readonly connect: ConnectHttp;
  readonly committed: Committed;
  readonly seed: number;
  readonly image?: KvImage;
  readonly clock?: SimulatedClock;
  readonly changes?: Partial<HttpUplinkOptions>;
}): Promise<HttpHalf> {
  const { connect, committed, seed, changes } = options;
  const clock = options.clock ?? new SimulatedClock(1_800_000_000_000);
  const memory = new KvMemory(options.image === undefined ? {} : { image: options.image });
  const kv = new MortalKv(memory);
  const random = seededRandom(seed);
  const { store } = await openStateStore(kv);
  const uplink = openHttpUplink({
    name: "http",
    endpoint: { url: "https://in.example/records", isSecure: true },
    agent,
    format: "ndjson",
    compress: "none",
    random,
    connect,
    lingerMs: 0,
    freshForMs: Infinity,
    batchBytesMax: limits.postBatchBytes,
    get: (key) => store.get(key),
    ...changes,
  });
  const drain = openDrain({ store, clock, random, uplinks: [uplink] });
  return {
    clock,
    store,
    drain,
    kv,
    add: async (lane, count) => {
      const outbox = new OutboxWriter();
      const texts: string[] = [];
      for (let i = 0; i < count; i++) {
        const number = committed[lane].length + i;
        const record = sampleRecord({ agent, lane, number, by: "http" });
        texts.push(Buffer.from(record).toString());
        outbox.add(lane, record);
      }
      await commitRecords(store, outbox);
      committed[lane].push(...texts);
      drain.wake();
    },
    kill: () => {
      kv.die();
      return { image: memory.image(), clock: clock.kill() };
    },
    close: async () => {
      const closed = drain.close();
      await clock.pass(limits.uplinkCloseWaitMs + 1);
      await closed;
    },
  };
}
