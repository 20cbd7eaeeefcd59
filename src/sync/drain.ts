/**
 * drain: from the outbox to the uplinks. Each lane of each uplink has a pump of its own (pump.ts), so
 * that an uplink that is offline holds no other up, and alerts do not wait for summaries. A block
 * leaves the outbox when every uplink has it.
 *
 * Of the summaries what is fresh goes first: while an uplink is away or slow, what becomes too old is put
 * behind (fresh-first.ts), and its lane `backfill` sends that while the others have nothing ready. Readings
 * that were asked for go before it, and after all else.
 */

import type { Clock, Random } from "../core/doors.ts";
import { limits } from "../core/limits.ts";
import { byLane, isPatient, type Lane, lanes } from "../store/outbox/lane.ts";
import type { StateStore } from "../store/state/state-store.ts";
import { FreshFirst } from "./fresh-first.ts";
import type { Via, ViaStatus } from "./link/via.ts";
import { Pauses, type PauseStatus } from "./pauses.ts";
import { Pump } from "./pump.ts";
import { type PumpStatus, pumpStates } from "./pump-status.ts";
import type { Uplink } from "./uplink.ts";

export type DrainParts = {
  readonly store: StateStore;
  readonly uplinks: readonly Uplink[];
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds since 1970; undefined while the clock is not trusted. Absent: it always is. */
  readonly trustedNow?: () => number | undefined;
};

export type UplinkStatus = {
  readonly name: string;
  /** Those of the lane that is worst off. */
  readonly state: PumpStatus["state"];
  readonly trouble: string | undefined;
  readonly lanes: Readonly<Record<Lane, PumpStatus>>;
  /** Undefined: it is not. */
  readonly paused: PauseStatus | undefined;
  /** Those it may go over, in order; empty where it names none. */
  readonly links: readonly ViaStatus[];
};

/** Starts to drain. */
export function openDrain(parts: DrainParts): Drain {
  const drain = new Drain(parts);
  drain.wake();
  return drain;
}

export class Drain {
  readonly #uplinks: readonly {
    readonly name: string;
    readonly via: Via | undefined;
    readonly pumps: Record<Lane, Pump>;
    readonly freshFirst: FreshFirst;
  }[];

  readonly #pauses: Pauses;

  constructor({ uplinks, trustedNow, ...parts }: DrainParts) {
    const { store, clock } = parts;
    const pauses = new Pauses(
      uplinks.map(({ name }) => name),
      {
        clock,
        trustedNow: trustedNow ?? (() => clock.now()),
        get: (key) => store.get(key),
        store: (writes) => store.advance(writes),
      },
    );
    this.#pauses = pauses;
    store.serve(
      uplinks.map(({ name }) => name),
      (uplink, lane) => uplinks.find(({ name }) => name === uplink)?.lanes[lane].held ?? 0,
    );
    this.#uplinks = uplinks.map(({ name, lanes: ends, via, freshForMs }) => {
      const onRecovered = (): void => {
        for (const other of lanes) pumps[other].retry();
      };
      const mustYield = (lane: Lane): boolean => {
        if (pumps.alerts.isReady || pumps.summaries.isReady || !pumps.summaries.isOpen) return true;
        // What is fresh waits for backfill where it must follow it, and for nothing else.
        return lane === "backfill" && pumps.raw.isReady && !pumps.summaries.mustFollow;
      };
      const pumps: Record<Lane, Pump> = byLane(
        (lane) =>
          new Pump({
            ...parts,
            uplink: name,
            lane,
            end: ends[lane],
            via,
            pausedMs: () => pauses.leftMs(name),
            freshForMs: lane === "summaries" ? freshForMs : Infinity,
            mustYield: () => mustYield(lane),
            wasAnswered: () => lanes.some((each) => ends[each].wasAnswered ?? true),
            onRecovered,
            onRested: () => {
              if (!isPatient(lane)) pumps.raw.wake();
              if (lane !== "backfill") pumps.backfill.wake();
              else if (pumps.summaries.mustFollow) pumps.summaries.wake();
            },
          }),
      );
      const freshFirst = new FreshFirst({ store, uplink: name, freshForMs });
      return { name, via, pumps, freshFirst };
    });
  }

  /** There may be more in the outbox. A lane that waits after a failure waits on. */
  wake(): void {
    for (const { pumps, freshFirst } of this.#uplinks) {
      for (const lane of lanes) pumps[lane].wake();
      if (!pumps.summaries.keepsUp) freshFirst.wake();
    }
  }

  /** Resolves when every uplink has everything, without waiting for more, or waits after a failure. */
  async idle(): Promise<void> {
    for (const pump of this.#pumps) pump.flush();
    const all = [...this.#pumps, ...this.#uplinks.map(({ freshFirst }) => freshFirst)];
    while (all.some(({ running }) => running !== undefined)) {
      for (const { running } of all) await running;
    }
  }

  get status(): readonly UplinkStatus[] {
    return this.#uplinks.map(({ name, via, pumps }) => {
      const each = byLane((lane) => pumps[lane].status);
      const [worst] = lanes
        .map((lane) => each[lane])
        .toSorted((a, b) => pumpStates.indexOf(a.state) - pumpStates.indexOf(b.state));
      const { state, trouble } = worst ?? each.alerts;
      const paused = this.#pauses.statusOf(name);
      return { name, state, trouble, lanes: each, paused, links: via?.status ?? [] };
    });
  }

  /** See Pauses. What is under way is brought to its end. */
  async pause(uplinks: readonly string[], forMs: number | undefined): Promise<void> {
    await this.#pauses.pause(uplinks, forMs);
  }

  async resume(uplinks: readonly string[]): Promise<void> {
    await this.#pauses.resume(uplinks);
    this.wake();
  }

  /** Ends after the deliveries that are under way. */
  async close(): Promise<void> {
    for (const { freshFirst } of this.#uplinks) freshFirst.close();
    await Promise.all(this.#pumps.map((pump) => pump.close()));
    for (const { freshFirst } of this.#uplinks) await freshFirst.running;
    await this.#pauses.close();
  }

  get #pumps(): readonly Pump[] {
    return this.#uplinks.flatMap(({ pumps }) => lanes.map((lane) => pumps[lane]));
  }
}

/** Resolves when the uplinks have everything, or after limits.drainWaitMs. */
export async function drained(drain: Drain, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(limits.drainWaitMs, resolve);
  await Promise.race([drain.idle(), promise]);
  cancel();
}
