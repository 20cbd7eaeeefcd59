/**
 * drain: from the outbox to the uplinks. Each uplink has a pump of its own, so that one that is
 * offline holds nobody else up; a pump serves the lanes in their order, alerts first.
 *
 *   wake -> open if need be -> read a batch -> deliver -> store its receipt and prune -> again
 *              ^                                  |
 *              +---- wait, doubled, jittered <----+  any failure
 *
 * A block leaves the outbox when every uplink has it. Nothing is ever given up: waits are bounded,
 * tries are not, and the outbox is.
 */

import type { Clock, Random } from "../core/doors.ts";
import { isEnvironmental } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import { byLane, type Lane, lanes } from "../store/outbox.ts";
import type { StateStore } from "../store/state-store.ts";
import type { Incidents, Receipt, Uplink } from "./uplink.ts";

export type DrainParts = {
  readonly store: StateStore;
  readonly uplinks: readonly Uplink[];
  readonly clock: Clock;
  readonly random: Random;
};

export type UplinkStatus = {
  readonly name: string;
  /** `waiting`: the last try failed, the next one comes by itself. */
  readonly state: "opening" | "running" | "waiting" | "closed";
  /** The last failure as a sentence; undefined while it runs. */
  readonly trouble: string | undefined;
  /** Number of the next record of each lane: all before it are out there. */
  readonly delivered: Readonly<Record<Lane, number>>;
  /** Records that could not be read back from the outbox, since this process began. */
  readonly missing: number;
  readonly incidents: Incidents;
};

/** Starts to drain. */
export function openDrain(parts: DrainParts): Drain {
  const drain = new Drain(parts);
  drain.wake();
  return drain;
}

export class Drain {
  readonly #pumps: readonly Pump[];

  constructor(parts: DrainParts) {
    const floor = (lane: Lane): number =>
      this.#pumps.reduce((least, pump) => Math.min(least, pump.next(lane)), Infinity);
    this.#pumps = parts.uplinks.map((uplink) => new Pump(uplink, parts, floor));
  }

  /** There may be more in the outbox. An uplink that waits after a failure waits on. */
  wake(): void {
    for (const pump of this.#pumps) pump.wake();
  }

  /** Resolves when every uplink has everything or waits after a failure. */
  async idle(): Promise<void> {
    while (this.#pumps.some(({ running }) => running !== undefined)) {
      for (const { running } of this.#pumps) await running;
    }
  }

  get status(): readonly UplinkStatus[] {
    return this.#pumps.map((pump) => pump.status);
  }

  /** Ends after the deliveries that are under way. */
  async close(): Promise<void> {
    await Promise.all(this.#pumps.map((pump) => pump.close()));
  }
}

/** One uplink's part of the drain. */
class Pump {
  readonly #uplink: Uplink;
  readonly #parts: DrainParts;
  readonly #floor: (lane: Lane) => number;
  readonly #next: Record<Lane, number> = { alerts: 0, summaries: 0 };
  #state: UplinkStatus["state"] = "opening";
  #running: Promise<void> | undefined;
  #wanted = false;
  #cancelTimer: (() => void) | undefined;
  #failures = 0;
  #trouble: string | undefined;
  #missing = 0;

  constructor(uplink: Uplink, parts: DrainParts, floor: (lane: Lane) => number) {
    this.#uplink = uplink;
    this.#parts = parts;
    this.#floor = floor;
  }

  get running(): Promise<void> | undefined {
    return this.#running;
  }

  /** All records of the lane below it are out there; 0 until the uplink has said so. */
  next(lane: Lane): number {
    return this.#next[lane];
  }

  get status(): UplinkStatus {
    return {
      name: this.#uplink.name,
      state: this.#state,
      trouble: this.#trouble,
      delivered: { ...this.#next },
      missing: this.#missing,
      incidents: this.#uplink.incidents,
    };
  }

  wake(): void {
    if (this.#state === "closed" || this.#state === "waiting") return;
    this.#wanted = true;
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#state = "closed";
    this.#cancelTimer?.();
    await this.#running;
    await this.#uplink.close();
  }

  get #closed(): boolean {
    return this.#state === "closed";
  }

  async #run(): Promise<void> {
    this.#cancelTimer?.();
    try {
      while (this.#wanted && !this.#closed) {
        this.#wanted = false;
        await this.#pass();
      }
      this.#wakeAfter(this.#uplink.tendMs);
    } catch (error) {
      this.#fail(error);
    }
    this.#running = undefined;
  }

  async #pass(): Promise<void> {
    if (this.#state === "opening") await this.#open();
    while (!this.#closed && (await this.#deliverBatch())) this.#succeeded();
    if (this.#uplink.tendMs <= 0) await this.#store(await this.#uplink.tend());
    this.#succeeded();
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#trouble = undefined;
  }

  async #open(): Promise<void> {
    const { store } = this.#parts;
    const start = byLane((lane) => store.span(lane).first);
    await this.#store(await this.#uplink.open(start));
    if (this.#state === "opening") this.#state = "running";
  }

  /** Delivers the next batch of the first lane that has one; false when all lanes are done. */
  async #deliverBatch(): Promise<boolean> {
    const { store } = this.#parts;
    const lane = lanes.find((name) => store.span(name).next > this.#next[name]);
    if (lane === undefined) return false;
    const options = { from: this.#next[lane], bytesMax: limits.uplinkBatchBytesMax };
    const { records, first, next, damaged } = store.read(lane, options);
    if (records.length === 0) {
      // Blocks that cannot be read, or are gone: the uplink sees the gap at its next delivery.
      const reached = damaged > 0 ? next : store.span(lane).next;
      this.#missing += reached - this.#next[lane];
      await this.#store([{ lane, next: reached, writes: [] }], { settle: false });
      return true;
    }
    this.#missing += first - this.#next[lane];
    await this.#store([await this.#uplink.deliver({ lane, first, records })]);
    return true;
  }

  /** Makes receipts durable, with the removal of what every uplink has by then. */
  async #store(receipts: readonly Receipt[], { settle = true } = {}): Promise<void> {
    if (receipts.length === 0) return;
    const before = { ...this.#next };
    for (const { lane, next } of receipts) this.#next[lane] = next;
    const below = byLane(this.#floor);
    try {
      await this.#parts.store.advance(
        receipts.flatMap(({ writes }) => writes),
        below,
      );
    } catch (error) {
      Object.assign(this.#next, before);
      throw error;
    }
    if (settle) for (const receipt of receipts) this.#uplink.settled(receipt);
  }

  /** An environment failure is tried again later, from `open`; anything else is a bug. */
  #fail(error: unknown): void {
    if (!isEnvironmental(error)) throw error;
    if (this.#closed) return;
    const longest = Math.min(
      limits.uplinkRetryMsMin * 2 ** Math.min(this.#failures, 30),
      limits.uplinkRetryMsMax,
    );
    const jitter = this.#parts.random.uint32() / 2 ** 32;
    this.#failures += 1;
    this.#trouble = error.message;
    this.#state = "waiting";
    this.#wakeAfter(longest * (0.5 + jitter / 2));
  }

  #wakeAfter(delayMs: number): void {
    if (delayMs === Infinity || this.#closed) return;
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => {
      if (this.#state === "waiting") this.#state = "opening";
      this.wake();
    });
  }
}
