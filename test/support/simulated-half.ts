/**
 * The upstream half of an agent on simulated doors: state store, drain and one uplink. A half can be
 * killed at any moment; what its store holds by then is what the next one starts with.
 */

import type { Random } from "../../src/core/doors.ts";
import { limits } from "../../src/core/limits.ts";
import { OutboxWriter } from "../../src/store/outbox/outbox.ts";
import type { OutputQueue } from "../../src/store/outbox/lane.ts";
import { type KvImage, KvMemory } from "../../src/store/state/kv-memory.ts";
import { openStateStore, type StateStore } from "../../src/store/state/state-store.ts";
import { type Drain, openDrain } from "../../src/sync/drain.ts";
import type { Uplink } from "../../src/sync/uplink.ts";
import { commitRecords } from "./commit-records.ts";
import { MortalKv } from "./kafka/mortal-kv.ts";
import { sampleRecord } from "./kafka/sample-record.ts";
import { seededRandom } from "./seeded-random.ts";
import { SimulatedClock } from "./simulated-clock.ts";

export const agent = "gw1";

export type SimulatedHalf = {
  readonly clock: SimulatedClock;
  readonly store: StateStore;
  readonly drain: Drain;
  readonly kv: MortalKv;
  /** Commits the next records of a lane, in one commit. */
  readonly add: (lane: OutputQueue, count: number) => Promise<void>;
  /** Ends it without a word; what the next one starts with. */
  readonly kill: () => { readonly image: KvImage; readonly clock: SimulatedClock };
  readonly close: () => Promise<void>;
};

/** Text of every record committed so far, by lane, in the order of their numbers. */
export type Committed = Record<OutputQueue, string[]>;

/** Where a half goes on, and what it is told of the outside. */
export type HalfOptions<Connect, Changes> = {
  readonly connect: Connect;
  readonly committed: Committed;
  readonly seed: number;
  readonly image?: KvImage;
  readonly clock?: SimulatedClock;
  readonly changes?: Partial<Changes>;
};

/** What an uplink is given. */
export type UplinkDoors = {
  readonly clock: SimulatedClock;
  readonly random: Random;
  readonly get: (key: string) => Uint8Array | undefined;
};

export async function openSimulatedHalf(
  options: Omit<HalfOptions<unknown, unknown>, "connect" | "changes">,
  uplinkOf: (doors: UplinkDoors) => Uplink,
): Promise<SimulatedHalf> {
  const { committed, seed } = options;
  const clock = options.clock ?? new SimulatedClock(1_800_000_000_000);
  const memory = new KvMemory(options.image === undefined ? {} : { image: options.image });
  const kv = new MortalKv(memory);
  const random = seededRandom(seed);
  const { store } = await openStateStore(kv);
  const uplink = uplinkOf({ clock, random, get: (key) => store.get(key) });
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
        const record = sampleRecord({ agent, lane, number, by: uplink.name });
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
      await clock.pass(limits.uplinkCloseWaitMs + limits.bridgeCloseWaitMs + 1);
      await closed;
    },
  };
}
