/**
 * A pump: one lane of the outbox into one uplink.
 *
 *   wake -> open if need be -> linger -> take -> prepare, store -> deliver -> store, prune -> again
 *              ^                                                     |
 *              +--------------- wait, doubled, jittered <------------+  any failure
 *
 * Under a backlog a receipt is stored together with the next intent, so each delivery costs one
 * transaction of the state store. Nothing is ever given up: waits are bounded, tries are not, and
 * the outbox is. Only where another agent uses our identity does a pump halt.
 */

import type { Clock, Random } from "../core/doors.ts";
import { isEnvironmental } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import type { Millis } from "../core/units.ts";
import type { Lane } from "../store/outbox/outbox.ts";
import { timeOfRecord } from "../store/outbox/record-codec.ts";
import type { StateStore } from "../store/state/state-store.ts";
import type { Incidents, LaneFacts, Receipt, UplinkLane } from "./uplink.ts";

export type PumpOptions = {
  readonly lane: Lane;
  /** Name of the uplink. */
  readonly uplink: string;
  readonly end: UplinkLane;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly random: Random;
  /** It failed before and succeeds now: others that wait for the same may try at once. */
  readonly onRecovered: () => void;
};

/** The worst first. */
export const pumpStates = ["halted", "waiting", "opening", "closed", "running"] as const;

export type PumpState = (typeof pumpStates)[number];

export type PumpStatus = {
  /**
   * `waiting`: the last try failed, the next one comes by itself. `halted`: another agent uses our
   * identity; records stay in the outbox until a person has looked.
   */
  readonly state: PumpState;
  /** The last failure as a sentence; undefined while it runs. */
  readonly trouble: string | undefined;
  /** Number of the next record: all before it are out there, but for those in `missing` and `incidents`. */
  readonly delivered: number;
  /** Records that are not out there yet. */
  readonly behind: number;
  /** Event time of the oldest of them: end of its window, or time of the alert. */
  readonly oldest: Millis | undefined;
  /** Deliveries that succeeded and tries that failed, since this process began. */
  readonly deliveries: number;
  readonly failures: number;
  /** Records that could not be read back from the outbox, since this process began. */
  readonly missing: number;
  readonly incidents: Incidents;
  readonly facts: LaneFacts;
};

export class Pump {
  readonly #options: PumpOptions;
  #state: PumpState = "opening";
  #next = 0;
  /** As #next, as far as it is stored. */
  #settled = 0;
  /** All before it may be out there: what was taken to be sent, until a receipt says how far it came. */
  #held = 0;
  /** Given by the lane, not stored yet. */
  #receipt: Receipt | undefined;
  #running: Promise<void> | undefined;
  #wanted = false;
  /** Since when (monotonic ms) records wait for others to share a delivery with. */
  #lingerSince: number | undefined;
  #cancelTimer: (() => void) | undefined;
  #oldestKnown: { readonly number: number; readonly time: Millis | undefined } | undefined;
  #failuresInARow = 0;
  #trouble: string | undefined;
  #deliveries = 0;
  #failures = 0;
  #missing = 0;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#held = options.end.held;
  }

  get running(): Promise<void> | undefined {
    return this.#running;
  }

  get status(): PumpStatus {
    const { end, store, lane } = this.#options;
    return {
      state: this.#state,
      trouble: this.#trouble,
      delivered: this.#next,
      behind: Math.min(
        store.span(lane).next - Math.max(this.#next, store.span(lane).first),
        store.status.outbox[lane].records,
      ),
      oldest: this.#oldest(),
      deliveries: this.#deliveries,
      failures: this.#failures,
      missing: this.#missing,
      incidents: end.incidents,
      facts: end.facts,
    };
  }

  /** Reads one block of the outbox, once per record that becomes the oldest. */
  #oldest(): Millis | undefined {
    const { store, lane } = this.#options;
    if (this.#oldestKnown?.number === this.#next) return this.#oldestKnown.time;
    if (store.span(lane).next <= this.#next) return undefined;
    const [record] = store.read(lane, { from: this.#next, bytesMax: 1 }).records;
    const time = record === undefined ? undefined : timeOfRecord(record);
    this.#oldestKnown = { number: this.#next, time };
    return time;
  }

  wake(): void {
    if (this.#state !== "opening" && this.#state !== "running") return;
    this.#wanted = true;
    if (this.#running !== undefined) return;
    const lingerMs = this.#lingerLeftMs();
    if (lingerMs > 0) this.#wakeAfter(Math.min(lingerMs, this.#options.end.tendMs));
    else this.#running = this.#run();
  }

  /** Does not wait any longer after a failure. */
  retry(): void {
    if (this.#state !== "waiting") return;
    this.#state = "opening";
    this.wake();
  }

  /** As wake, without waiting for more records. */
  flush(): void {
    if (this.#behind === 0) return;
    this.#lingerSince = -Infinity;
    this.wake();
  }

  /** Ends after the delivery that is under way, or after a while without it. */
  async close(): Promise<void> {
    this.#state = "closed";
    this.#cancelTimer?.();
    const { clock, end } = this.#options;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(limits.uplinkCloseWaitMs, resolve);
    await Promise.race([this.#running, late]);
    cancel();
    await end.close();
    await this.#running;
  }

  get #closed(): boolean {
    return this.#state === "closed";
  }

  /** Records that have not been given to the uplink. */
  get #behind(): number {
    return this.#options.store.span(this.#options.lane).next - this.#next;
  }

  #lingerLeftMs(): number {
    const { end, clock } = this.#options;
    if (this.#state !== "running" || end.tendMs <= 0) return 0;
    if (this.#behind === 0 || this.#behind >= limits.lingerRecordsMax) return 0;
    this.#lingerSince ??= clock.monotonic();
    return Math.max(0, this.#lingerSince + end.lingerMs - clock.monotonic());
  }

  async #run(): Promise<void> {
    this.#cancelTimer?.();
    try {
      while (this.#wanted && !this.#closed) {
        this.#wanted = false;
        this.#lingerSince = undefined;
        await this.#pass();
      }
      this.#wakeAfter(this.#options.end.tendMs);
    } catch (error) {
      await this.#fail(error);
    }
    this.#running = undefined;
  }

  async #pass(): Promise<void> {
    const { end, store, lane } = this.#options;
    if (this.#state === "opening") {
      await this.#settle(await end.open(store.span(lane).first));
      if (this.#state === "opening") this.#state = "running";
    }
    if (end.tendMs <= 0) await this.#settle(await end.tend());
    while (!this.#closed && this.#behind > 0) {
      await this.#deliverBatch();
      this.#succeeded();
    }
    await this.#settle(this.#receipt);
    this.#succeeded();
  }

  #succeeded(): void {
    if (this.#failuresInARow > 0) this.#options.onRecovered();
    this.#failuresInARow = 0;
    this.#trouble = undefined;
  }

  async #deliverBatch(): Promise<void> {
    const { end, store, lane } = this.#options;
    const { uplink } = this.#options;
    const options = { from: this.#next, bytesMax: end.batchBytesMax };
    const read = await store.take({ uplink, lane }, options);
    const { records, from, first, next, damaged } = read;
    this.#held = Math.max(this.#held, next);
    if (records.length === 0) {
      // Blocks that cannot be read, or are gone: the lane sees the gap at its next delivery.
      const reached = damaged > 0 ? next : store.span(lane).next;
      this.#missing += reached - this.#next;
      await this.#settle(this.#receipt);
      this.#next = reached;
      await this.#store([], reached);
      return;
    }
    this.#missing += from - this.#next;
    const intent = end.prepare({ from, first, records });
    if (intent.length > 0) await this.#settle(this.#receipt, intent);
    this.#receipt = await end.deliver();
    this.#next = this.#receipt.next;
    this.#held = this.#next;
    this.#deliveries += 1;
    if (intent.length === 0) await this.#settle(this.#receipt);
  }

  /** Makes a receipt durable, with `more` and the removal of what every uplink has by then. */
  async #settle(receipt: Receipt | undefined, more: Receipt["writes"] = []): Promise<void> {
    if (receipt === undefined && more.length === 0) return;
    const next = receipt?.next ?? this.#settled;
    await this.#store([...(receipt?.writes ?? []), ...more], next);
    this.#receipt = undefined;
    this.#next = next;
    if (receipt !== undefined) this.#options.end.settled();
  }

  async #store(writes: Receipt["writes"], next: number): Promise<void> {
    const { store, uplink, lane } = this.#options;
    await store.advance(writes, { uplink, lane, next, held: this.#held });
    this.#settled = next;
  }

  /** An environment failure is tried again later, from `open`; anything else is a bug. */
  async #fail(error: unknown): Promise<void> {
    if (!isEnvironmental(error)) throw error;
    // What was not stored does not count: `open` says where the lane stands.
    this.#receipt = undefined;
    if (this.#closed) return;
    this.#failures += 1;
    this.#trouble = error.message;
    if (error.code === "IDENTITY_IN_USE") {
      this.#state = "halted";
      return;
    }
    const longest = Math.min(
      limits.uplinkRetryMsMin * 2 ** Math.min(this.#failuresInARow, 30),
      limits.uplinkRetryMsMax,
    );
    const jitter = this.#options.random.uint32() / 2 ** 32;
    this.#failuresInARow += 1;
    this.#state = "waiting";
    this.#wakeAfter(longest * (0.5 + jitter / 2));
  }

  #wakeAfter(delayMs: number): void {
    this.#cancelTimer?.();
    if (delayMs === Infinity || this.#closed) return;
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      if (this.#state === "waiting") this.#state = "opening";
      this.wake();
    });
  }
}
