/**
 * One lane of the bridge: at least once, each record with an id that stays.
 *
 *   prepare   records [first, ...) of the outbox
 *   deliver   publish, many under way at once, in order ──▶ PUBACK ──▶ receipt through the last
 *             of the first records that are all answered
 *
 * A record counts when its PUBACK is there, and leaves the outbox when the receipt is stored. After a
 * connection that ended, what was answered is not sent again by this process; what was not is, in
 * order, from the first of it. After a crash the delivery that was under way is repeated, with the
 * same ids and bytes.
 *
 * The window is in bytes, by what the link shows: an answer that takes limits.bridgeQueueMs longer
 * than the fastest makes it smaller, so that alerts do not stand behind minutes of summaries in the
 * buffers of a slow link.
 */

import { assert } from "../../core/assert.ts";
import type { Clock, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { uplinkKey } from "../../store/state/kv-key.ts";
import type { Lane } from "../../store/outbox/lane.ts";
import type { Delivery, Incidents, LaneFacts, Receipt, UplinkLane } from "../uplink.ts";
import type { Answer } from "./bridge-link.ts";
import { type MessageMaker, packetBytesOf } from "./bridge-message.ts";
import type { BridgeSession, SlotUser } from "./bridge-session.ts";
import {
  type AtLeastOnceState,
  decodeAtLeastOnceState,
  encodeAtLeastOnceState,
  withIncident,
  without,
} from "../at-least-once-state.ts";

export type BridgeLaneOptions = {
  readonly uplink: string;
  readonly lane: Lane;
  readonly url: string;
  readonly clock: Clock;
  readonly session: BridgeSession;
  readonly make: MessageMaker;
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly answerMs: number;
  /** A name for this history of the lane, where none is stored. */
  readonly freshOutbox: () => string;
  /** Called when the lane is closed. */
  readonly onClosed: () => Promise<void>;
  /** Reads from the state store. */
  readonly get: (key: string) => Uint8Array | undefined;
};

export class BridgeLane implements UplinkLane, SlotUser {
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly #options: BridgeLaneOptions;
  readonly #key: string;
  #state: AtLeastOnceState | undefined;
  #incidents: Incidents = { count: 0, last: undefined };
  #delivery: Delivery | undefined;
  #flight: Flight | undefined;
  #windowBytes: number = limits.bridgeWindowBytesMax / 4;
  #lookedAt: number;
  /** The shortest answer of this connection: what the way takes, without what waits before us. */
  #fastestMs = Number.POSITIVE_INFINITY;

  constructor(options: BridgeLaneOptions) {
    this.#options = options;
    this.lingerMs = options.lingerMs;
    this.batchBytesMax = options.batchBytesMax;
    this.#key = uplinkKey(options.uplink, options.lane);
    this.#lookedAt = options.clock.monotonic();
    options.session.serve(options.lane, this);
  }

  get incidents(): Incidents {
    return this.#incidents;
  }

  get facts(): LaneFacts {
    const { lane, session } = this.#options;
    // The connection is one: its counts stand with one lane, so that a sum over lanes is right.
    const shared = lane === "alerts" ? session.facts : {};
    const outbox = this.#state?.outbox;
    return {
      ...shared,
      windowBytes: this.#windowBytes,
      ...(outbox === undefined ? {} : { outbox }),
    };
  }

  /** Until somebody looks whether the connection is still there. */
  get tendMs(): number {
    const { clock } = this.#options;
    return Math.max(0, this.#lookedAt + limits.bridgeLookMs - clock.monotonic());
  }

  get held(): number {
    const stored = this.#stored();
    return stored === undefined ? 0 : (stored.until ?? Number.MAX_SAFE_INTEGER);
  }

  async open(start: number): Promise<Receipt> {
    const { freshOutbox, session } = this.#options;
    await session.open();
    this.#fastestMs = Number.POSITIVE_INFINITY;
    this.#lookedAt = this.#options.clock.monotonic();
    const known = this.#state ?? this.#stored();
    const fresh = { outbox: freshOutbox(), next: start, incidents: this.#incidents };
    this.#state = known ?? fresh;
    return this.#receipt();
  }

  /**
   * Mostly nothing: a repetition does no harm, but a record that may be out there keeps its number
   * and bytes. How far that may reach is stored some way ahead, so that it is rarely stored for itself.
   */
  prepare(delivery: Delivery): readonly KvWrite[] {
    const { first, records } = delivery;
    assert(this.#state !== undefined, "a lane is opened first");
    this.#delivery = delivery;
    const next = first + records.length;
    if (next <= (this.#state.until ?? 0)) return [];
    this.#state = { ...this.#state, until: next + limits.bridgeAheadRecords };
    return [{ key: this.#key, value: encodeAtLeastOnceState(this.#state) }];
  }

  async deliver(): Promise<Receipt> {
    const { lane } = this.#options;
    const delivery = this.#delivery;
    assert(delivery !== undefined, "a delivery is prepared first");
    assert(this.#state !== undefined, "a lane is opened first");
    assert(this.#flight === undefined, "one delivery at a time");
    this.#state = without(this.#state, lane, delivery.lost);
    const flight = new Flight(delivery.records.length);
    this.#flight = flight;
    const cancel = this.#watch(flight);
    try {
      const trouble = this.#options.session.trouble;
      if (trouble !== undefined) throw trouble;
      this.roomMade();
      await flight.over;
    } catch (error) {
      // What was answered before counts: it is not sent again.
      this.#state = { ...this.#state, next: delivery.first + flight.answered };
      if (!flight.isClosing || flight.answered === 0) throw error;
    } finally {
      cancel();
      this.#flight = undefined;
    }
    const next = delivery.first + flight.answered;
    this.#state = { ...this.#state, next, until: next + limits.bridgeAheadRecords };
    return this.#receipt();
  }

  settled(): void {
    if (this.#state !== undefined) this.#incidents = this.#state.incidents;
  }

  /** A connection that is gone is a failure: it is opened again, also while nothing is to be sent. */
  tend(): Promise<undefined> {
    this.#lookedAt = this.#options.clock.monotonic();
    const { trouble } = this.#options.session;
    return trouble === undefined ? Promise.resolve(undefined) : Promise.reject(trouble);
  }

  async close(): Promise<void> {
    this.#flight?.close(new Fault("UPLINK_UNREACHABLE", "the agent ends"));
    await this.#options.onClosed();
  }

  // ---- what the session tells ----

  linkEnded(fault: Fault): void {
    this.#flight?.fail(fault);
  }

  /** Publishes as much as there is room for. */
  roomMade(): void {
    const { lane, session } = this.#options;
    const flight = this.#flight;
    const delivery = this.#delivery;
    if (flight === undefined || delivery === undefined || flight.isOver) return;
    while (flight.sent < delivery.records.length && session.hasRoom(lane)) {
      const record = delivery.records[flight.sent]!;
      if (flight.bytes > 0 && flight.bytes + record.length > this.#windowBytes) return;
      this.#publish(flight, delivery.first + flight.sent, record);
    }
  }

  // ---- one delivery ----

  #publish(flight: Flight, seq: number, record: Uint8Array): void {
    const { lane, session, make, clock, url } = this.#options;
    assert(this.#state !== undefined, "a lane is opened first");
    const index = flight.sent;
    const message = make(record, { outbox: this.#state.outbox, lane, seq });
    if (packetBytesOf(message) > session.packetBytesMax) {
      const what = `${lane} ${seq} is left out: its ${record.length} bytes and properties are more than the ${session.packetBytesMax} that ${url} takes in one packet`;
      this.#state = withIncident(this.#state, { first: seq, next: seq + 1, what });
      flight.leftOut(index);
      return;
    }
    const sentAt = clock.monotonic();
    const wasFull = flight.bytes + 2 * record.length > this.#windowBytes;
    flight.began(record.length);
    session.publish(lane, message, (answer) => {
      this.#adapt(clock.monotonic() - sentAt, record.length, wasFull);
      flight.progressAt = clock.monotonic();
      if (answer.kind === "taken") flight.answer(index, record.length);
      else flight.fail(refused(answer, message.topic, url));
    });
  }

  #adapt(tookMs: number, bytes: number, wasFull: boolean): void {
    const { bridgeQueueMs, bridgeWindowBytesMin, bridgeWindowBytesMax } = limits;
    this.#fastestMs = Math.min(this.#fastestMs, tookMs);
    if (tookMs > this.#fastestMs + bridgeQueueMs) {
      // Gently: every message of a window that is too large says so.
      this.#windowBytes = Math.max(bridgeWindowBytesMin, Math.floor(this.#windowBytes - bytes / 2));
    } else if (wasFull) {
      this.#windowBytes = Math.min(bridgeWindowBytesMax, this.#windowBytes + bytes);
    }
  }

  /** A broker that owes answers and gives none is not there any more. */
  #watch(flight: Flight): () => void {
    const { clock, answerMs, session, url } = this.#options;
    flight.progressAt = clock.monotonic();
    let cancel = (): void => undefined;
    const look = (): void => {
      // Whoever waits for room is owed nothing.
      if (flight.bytes === 0) flight.progressAt = clock.monotonic();
      const leftMs = flight.progressAt + answerMs - clock.monotonic();
      if (leftMs > 0) {
        cancel = clock.after(leftMs, look);
        return;
      }
      flight.fail(
        new Fault("UPLINK_UNREACHABLE", `${url} acknowledged nothing within ${answerMs} ms`),
      );
      session.giveUp();
    };
    cancel = clock.after(answerMs, look);
    return () => cancel();
  }

  // ---- the state ----

  #receipt(): Receipt {
    assert(this.#state !== undefined, "an open lane has a state");
    const value = encodeAtLeastOnceState(this.#state);
    return { next: this.#state.next, writes: [{ key: this.#key, value }] };
  }

  #stored(): AtLeastOnceState | undefined {
    const value = this.#options.get(this.#key);
    return value && decodeAtLeastOnceState(value, `the state store's ${this.#key}`);
  }
}

/** Which records of a delivery are out, and which answered. */
class Flight {
  readonly #answered: Uint8Array;
  readonly #done = Promise.withResolvers<void>();
  /** Records that were published, or left out. */
  sent = 0;
  /** Of those published that are not answered. */
  bytes = 0;
  /** The first records up to here are all answered. */
  answered = 0;
  progressAt = 0;
  isOver = false;
  isClosing = false;

  constructor(count: number) {
    this.#answered = new Uint8Array(count);
    // Somebody may fail it before anybody waits.
    this.#done.promise.catch(() => undefined);
  }

  /** Resolves when all are answered. */
  get over(): Promise<void> {
    return this.#done.promise;
  }

  began(bytes: number): void {
    this.sent += 1;
    this.bytes += bytes;
  }

  leftOut(index: number): void {
    this.sent += 1;
    this.answer(index, 0);
  }

  answer(index: number, bytes: number): void {
    this.bytes -= bytes;
    if (this.isOver) return;
    this.#answered[index] = 1;
    while (this.#answered[this.answered] === 1) this.answered += 1;
    if (this.answered < this.#answered.length) return;
    this.isOver = true;
    this.#done.resolve();
  }

  fail(fault: Fault): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#done.reject(fault);
  }

  /** Ends it with what is answered by now. */
  close(fault: Fault): void {
    this.isClosing = true;
    this.fail(fault);
  }
}

function refused(answer: Answer & { readonly kind: "refused" }, topic: string, url: string): Fault {
  const { code, why } = answer;
  const isRight = code === 0x87;
  return new Fault(
    isRight ? "UPLINK_RIGHT_MISSING" : "UPLINK_REFUSED",
    `${url} refuses what is published on ${topic}: ${why} (${code})${isRight ? "; let this user publish there" : ""}`,
    { facts: { topic, code } },
  );
}
