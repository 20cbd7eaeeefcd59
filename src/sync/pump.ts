/**
 * A pump: one lane of the outbox into one uplink.
 *
 *   wake -> open if need be -> linger -> take -> prepare, store -> deliver -> store, prune -> again
 *              ^                                                     |
 *              +--------------- wait, doubled, jittered <------------+  any failure
 *
 * What a lane has of its queue is the store's to say (store/outbox/lane-reading.ts). The fresh lane puts
 * what is too old behind before it takes anything; raw readings and backfill take nothing while a lane that
 * goes before them has something ready. A pause (pauses.ts) holds before the link is asked: what is under
 * way is brought to its end, and nothing else begins.
 *
 * Under a backlog a receipt is stored together with the next intent, so each delivery costs one
 * transaction of the state store. Nothing is ever given up: waits are bounded, tries are not, and
 * the outbox is. Only where another agent uses our identity does a pump halt.
 */

import type { Clock, Random } from "../core/doors.ts";
import { Fault, isEnvironmental } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import type { Millis } from "../core/units.ts";
import { isPatient, type Lane, queueOf } from "../store/outbox/lane.ts";
import { timeOfRecord } from "../store/outbox/record-codec.ts";
import type { Range } from "../store/outbox/split.ts";
import type { LaneOf } from "../store/outbox/standings.ts";
import type { StateStore } from "../store/state/state-store.ts";
import type { Admission, Held, Link } from "./link/link.ts";
import type { Via } from "./link/via.ts";
import type { PumpState, PumpStatus } from "./pump-status.ts";
import type { Receipt, UplinkLane } from "./uplink.ts";

export type PumpOptions = {
  readonly lane: Lane;
  /** Name of the uplink. */
  readonly uplink: string;
  readonly end: UplinkLane;
  /** What it goes over, and may have to wait for. */
  readonly via?: Via | undefined;
  /** So many ms the uplink is paused, as far as is known; 0: it is not. */
  readonly pausedMs: () => number;
  /** See Uplink.freshForMs; Infinity for all lanes but the fresh one. */
  readonly freshForMs: number;
  /** Whether others go first now; whoever does says so by `onRested`. */
  readonly mustYield: () => boolean;
  /** Whether the other side has answered any lane of the uplink. */
  readonly wasAnswered: () => boolean;
  /** It has nothing to do any more, or must wait. */
  readonly onRested: () => void;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly random: Random;
  /** It failed before and succeeds now: others that wait for the same may try at once. */
  readonly onRecovered: () => void;
};

const free: Admission = { kind: "go", bytesMax: Number.POSITIVE_INFINITY };

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
  #delivered = 0;
  /** Records that were sent and are not counted yet: [first, next). */
  #sent = { first: 0, next: 0 };
  #deliveries = 0;
  #failures = 0;
  #missing = 0;
  /** Not known to the lane yet. */
  #lost: Range[] = [];
  /** What comes next must follow what another lane has. */
  #mustFollow = false;
  /** Since when (monotonic ms) a delivery is under way. */
  #deliveringSince: number | undefined;
  /** The link that it was opened over. */
  #over: Link | undefined;
  /** What the link said when it was asked last. */
  #admission: Admission = free;
  /** Since when (monotonic ms) something waits to be sent. */
  #waitsSince: number | undefined;
  /** It has begun to send what waited. */
  #hasBegun = false;
  /** Something was delivered since it was opened. */
  #hasDelivered = false;

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
      state: this.#shownState,
      trouble: this.#trouble,
      link: this.#over?.name,
      held: this.#why,
      waitsForBackfill: this.#mustFollow && lane === "summaries",
      next: this.#next,
      delivered: this.#delivered,
      behind: Math.min(this.#behind, store.status.outbox[queueOf(lane)].records),
      oldest: this.#oldest(),
      deliveries: this.#deliveries,
      failures: this.#failures,
      missing: this.#missing,
      incidents: end.incidents,
      facts: end.facts,
    };
  }

  get #shownState(): PumpState {
    const { lane, wasAnswered } = this.#options;
    if (this.#state === "opening" && isPatient(lane) && this.#isThrough) return "idle";
    return this.#state === "running" && !wasAnswered() ? "untried" : this.#state;
  }

  /** Reads one block of the outbox, once per record that becomes the oldest. */
  #oldest(): Millis | undefined {
    if (this.#behind === 0) return undefined;
    const { store } = this.#options;
    const position = store.lanes.positionOf(this.#at, this.#next);
    if (this.#oldestKnown?.number === position) return this.#oldestKnown.time;
    const [record] = store.lanes.readLane(this.#at, { from: position, bytesMax: 1 }).records;
    const time = record === undefined ? undefined : timeOfRecord(record);
    this.#oldestKnown = { number: position, time };
    return time;
  }

  wake(): void {
    if (this.#state !== "opening" && this.#state !== "running") return;
    this.#wanted = true;
    if (this.#running !== undefined || this.#mustRest) return;
    const { tendMs } = this.#options.end;
    const tendsMs = this.#state === "running" ? tendMs : Infinity;
    const waitMs = Math.max(this.#lingerLeftMs(), tendsMs > 0 ? this.#heldMs() : 0);
    if (waitMs > 0) this.#wakeAfter(Math.min(waitMs, tendsMs));
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

  get #at(): LaneOf {
    const { uplink, lane } = this.#options;
    return { uplink, lane };
  }

  /** Records that have not been given to the uplink. */
  get #behind(): number {
    return this.#options.store.lanes.lag(this.#at, this.#next);
  }

  /** It sends something, or would if it were its turn. */
  get isReady(): boolean {
    if (this.#deliveringSince !== undefined) return true;
    if (this.#state !== "running" && this.#state !== "opening") return false;
    if (this.#behind === 0 || this.#mustFollow || this.#why !== undefined) return false;
    return this.#running !== undefined || this.#lingerLeftMs() === 0;
  }

  /** What comes next must follow what another lane has. */
  get mustFollow(): boolean {
    return this.#mustFollow;
  }

  /** It is neither away nor held nor slow, as far as it knows. */
  get keepsUp(): boolean {
    if (this.#state !== "running" || this.#why !== undefined) return false;
    const since = this.#deliveringSince ?? Infinity;
    return this.#options.clock.monotonic() - since < limits.slowDeliveryMs;
  }

  /** It is open and knows what is out there. */
  get isOpen(): boolean {
    return this.#state === "running";
  }

  /** A patient lane: without anything to send or to store, or while others go first, it does nothing. */
  get #mustRest(): boolean {
    const { lane, mustYield } = this.#options;
    if (!isPatient(lane)) return false;
    return (this.#state === "opening" && this.#isThrough) || mustYield();
  }

  /** All has been given to the uplink, and stored as given: until then it takes its room in the outbox. */
  get #isThrough(): boolean {
    return this.#behind === 0 && this.#settled === this.#next;
  }

  #lingerLeftMs(): number {
    const { end, clock } = this.#options;
    if (this.#state !== "running" || end.tendMs <= 0) return 0;
    if (this.#behind === 0 || this.#behind >= limits.lingerRecordsMax) return 0;
    this.#lingerSince ??= clock.monotonic();
    return Math.max(0, this.#lingerSince + end.lingerMs - clock.monotonic());
  }

  // ---- pauses, and the link ----

  /** Why it waits, as it was told last; a pause counts at once. */
  get #why(): Held | undefined {
    if (this.#options.pausedMs() > 0) return "paused";
    if (this.#admission.kind === "go" || this.#admission.why === "paused") return undefined;
    return this.#admission.why;
  }

  /** Whether it is paused, then asks the link; ms until it is worth asking again, 0: it may. */
  #heldMs(): number {
    this.#admission = this.#admissionNow();
    return this.#admission.kind === "held" ? this.#admission.forMs : 0;
  }

  #admissionNow(): Admission {
    const { via, lane, clock, store, pausedMs } = this.#options;
    const leftMs = pausedMs();
    if (leftMs > 0) {
      return { kind: "held", why: "paused", forMs: Math.min(leftMs, limits.linkLookMs) };
    }
    if (via === undefined) return free;
    const { records, bytes } = store.status.outbox[queueOf(lane)];
    const behind = Math.min(this.#behind, records);
    if (behind > 0) this.#waitsSince ??= clock.monotonic();
    return via.admit({
      lane,
      bytes: records === 0 ? 0 : (bytes * behind) / records,
      waitedMs: this.#waitsSince === undefined ? 0 : clock.monotonic() - this.#waitsSince,
      hasBegun: this.#hasBegun,
      hasDelivered: this.#hasDelivered,
    });
  }

  /** Another link is the one to use now. */
  get #isElsewhere(): boolean {
    const { via, lane } = this.#options;
    return via !== undefined && this.#over !== undefined && via.linkOf(lane) !== this.#over;
  }

  async #open(): Promise<void> {
    const { end, store, lane, via } = this.#options;
    this.#over = via?.linkOf(lane);
    this.#hasDelivered = false;
    // Not where its own numbers begin: while it opens, some before those may be put behind.
    const { first } = store.span(queueOf(lane));
    this.#lost = [];
    await this.#settle(await end.open(first));
    // What was sent without an answer may have got there.
    this.#count(this.#next);
    // What is out there is known: the rest of what was taken is not held any more.
    this.#held = Math.max(this.#next, Math.min(this.#held, end.held));
    store.lanes.release(this.#at, this.#held);
  }

  async #run(): Promise<void> {
    this.#cancelTimer?.();
    try {
      while (this.#wanted && !this.#closed) {
        this.#wanted = false;
        this.#lingerSince = undefined;
        await this.#pass();
      }
      const heldMs = this.#admission.kind === "held" ? this.#admission.forMs : Infinity;
      const tendMs = this.#state === "opening" ? Infinity : this.#options.end.tendMs;
      this.#wakeAfter(Math.min(tendMs, heldMs));
    } catch (error) {
      await this.#fail(error);
    }
    this.#running = undefined;
    this.#options.onRested();
  }

  async #pass(): Promise<void> {
    const { end } = this.#options;
    if (this.#state === "opening") {
      if (this.#heldMs() > 0) return;
      await this.#open();
      if (this.#state === "opening") this.#state = "running";
    }
    if (end.tendMs <= 0) await this.#settle(await end.tend());
    this.#mustFollow = false;
    while (!this.#closed && this.#behind > 0 && this.#heldMs() === 0 && !this.#mustRest) {
      if (this.#isElsewhere) {
        await this.#open();
        // It took its time: others may go first by now.
        continue;
      }
      await this.#putBehind();
      await this.#deliverBatch();
      this.#succeeded();
      if (this.#mustFollow) break;
    }
    if (this.#behind === 0) {
      this.#hasBegun = false;
      this.#waitsSince = undefined;
    }
    await this.#settle(this.#receipt);
    this.#succeeded();
  }

  #succeeded(): void {
    if (this.#failuresInARow > 0) this.#options.onRecovered();
    this.#failuresInARow = 0;
    this.#trouble = undefined;
  }

  /** What is too old to be sent before what is fresh, where that is more than one delivery. */
  async #putBehind(): Promise<void> {
    const { store, uplink, freshForMs, end } = this.#options;
    if (freshForMs === Infinity) return;
    const options = { freshForMs, slackMs: 0, fitsBytes: end.batchBytesMax };
    while (!this.#closed && (await store.lanes.putBehind(uplink, options))) continue;
  }

  async #deliverBatch(): Promise<void> {
    const { end, store } = this.#options;
    const { kind } = this.#admission;
    const allowed = kind === "go" ? this.#admission.bytesMax : Infinity;
    const options = { from: this.#next, bytesMax: Math.min(end.batchBytesMax, allowed) };
    const read = await store.lanes.take(this.#at, options);
    if (read === undefined) {
      this.#mustFollow = true;
      return;
    }
    const { position, from, first, next } = read;
    const records = firstOf(read.records, allowed);
    this.#held = Math.max(this.#held, next);
    if (from > position) {
      // Blocks that cannot be read, or are gone: the lane is told with its next delivery.
      this.#missing += from - position;
      this.#lost.push({ low: position, high: from });
    }
    if (records.length === 0) {
      await this.#settle(this.#receipt);
      this.#next = next;
      if (from > position) await this.#store([], next);
      return;
    }
    const intent = end.prepare({ lost: this.#lost, first, records, bytesMax: allowed });
    if (intent.length > 0) await this.#settle(this.#receipt, intent);
    this.#hasBegun = true;
    this.#sent = { first, next: first + records.length };
    this.#receipt = await this.#deliver();
    this.#count(this.#receipt.next);
    this.#hasDelivered = true;
    this.#lost = [];
    if (this.#over !== undefined) this.#options.via?.succeeded(this.#over);
    this.#next = this.#receipt.next;
    this.#held = this.#next;
    this.#deliveries += 1;
    if (intent.length === 0) await this.#settle(this.#receipt);
  }

  /** Of what was sent, what is before `next` got there. */
  #count(next: number): void {
    const { first, next: end } = this.#sent;
    this.#delivered += Math.max(0, Math.min(next, end) - first);
    this.#sent = { first: end, next: end };
  }

  async #deliver(): Promise<Receipt> {
    this.#deliveringSince = this.#options.clock.monotonic();
    try {
      return await this.#options.end.deliver();
    } finally {
      this.#deliveringSince = undefined;
    }
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
    await this.#options.store.advance(writes, { ...this.#at, next, held: this.#held });
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
    if (this.#over !== undefined && networkCodes.has(error.code)) {
      this.#options.via?.failed(this.#over);
      // The wait was for the link that failed.
      if (this.#isElsewhere) this.#failuresInARow = 0;
    }
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
    this.#wakeAfter(Math.max(longest * (0.5 + jitter / 2), askedWaitMs(error)));
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

/** Failures that may be those of the network under us, a portal in it among them. */
const networkCodes: ReadonlySet<string> = new Set([
  "UPLINK_UNREACHABLE",
  "UPLINK_LOGIN_REFUSED",
  "CONNECT_FAILED",
]);

/** So long the other side asked to be left alone. */
function askedWaitMs(error: Error): number {
  const asked = error instanceof Fault ? error.facts["retryAfterMs"] : undefined;
  return typeof asked === "number" ? asked : 0;
}

/** As many as have `bytesMax` bytes, at least one. */
function firstOf(records: readonly Uint8Array[], bytesMax: number): readonly Uint8Array[] {
  let bytes = 0;
  const end = records.findIndex((record, index) => {
    bytes += record.length;
    return index > 0 && bytes > bytesMax;
  });
  return end < 0 ? records : records.slice(0, end);
}
