/**
 * The life of a session at an external broker: one connection after another, each a Session, and the
 * gate that lets its answers go when the disk has what they are for.
 *
 *   connecting --> greeting --> subscribing --> running
 *        ^  \___________\____________\____________/ lost, refused, silent
 *        |                                |
 *        +----- waiting (backoff) <-------+          next address in turn
 *
 * Invariants: at most one connection; what belongs to one that is gone never reaches the next; the
 * broker's session is left to it at the end, with all that it owes.
 */

import type { Clock, Net, NetSocket, Random } from "../../../../core/doors.ts";
import { Fault } from "../../../../core/faults.ts";
import { limits as defaults } from "../../../../core/limits.ts";
import type { Gate, Receiver } from "../../receiver.ts";
import type { TopicTemplate } from "../../topic-template.ts";
import { PROTOCOL_ERROR, SESSION_TAKEN_OVER } from "../packet/reason-codes.ts";
import type { BrokerAddress, BrokerConfig } from "./subscriber-config.ts";
import { Canary } from "./canary.ts";
import {
  type BrokerCounters,
  type BrokerState,
  type BrokerStatus,
  createBrokerCounters,
} from "./broker-counters.ts";
import { DroppedHint } from "./dropped-hint.ts";
import { filtersOf, sharedFilter } from "./filters.ts";
import { disconnectPacket, type Subscription } from "./packets.ts";
import { Gather } from "./gather.ts";
import { PendingAcks } from "./pending-acks.ts";
import { reasonText } from "./reasons.ts";
import { SendQuota } from "./send-quota.ts";
import { Retries, type RetryLimits, type Tried } from "./retries.ts";
import { Session } from "./session.ts";
import { endText, type SessionEnd } from "./session-end.ts";
import type { SessionHost, SessionLimits, Welcome } from "./session-host.ts";
import { SessionMemory } from "./session-memory.ts";

export type SubscriberLimits = SessionLimits &
  RetryLimits & {
    readonly outboundBytesPerConnectionMax: number;
    readonly keepAliveSweepMs: number;
    readonly closeWaitMs: number;
    readonly brokerInFlightMax: number;
    readonly brokerSettledMs: number;
  };

type SubscriberOptions = {
  readonly net: Net;
  readonly clock: Clock;
  readonly random: Random;
  readonly config: BrokerConfig;
  /** Topics of the sources that take from this broker. */
  readonly templates: readonly TopicTemplate[];
  /** Of those sources. */
  readonly receiver: Receiver;
  /** Messages came from it before this process began: the broker should know us. */
  readonly isKnown: boolean;
  /** What was received need not wait for more. */
  readonly hurry: () => void;
  /** Bounds that differ from those in core/limits. */
  readonly limits?: Partial<SubscriberLimits>;
};

/** Begins to connect; register the result as a gate in the same turn. */
export function openSubscriber(options: SubscriberOptions): Subscriber {
  const subscriber = new Subscriber(options);
  subscriber.start();
  return subscriber;
}

/** Of one broker. A gate of the loop; closed by `stopAccepting`, a last commit, `close`. */
export class Subscriber implements Gate, SessionHost {
  readonly config: BrokerConfig;
  readonly limits: SubscriberLimits;
  readonly receiver: Receiver;
  readonly counters: BrokerCounters = createBrokerCounters();
  readonly memory: SessionMemory;
  readonly #options: SubscriberOptions;
  #session: Session | undefined;
  #socket: NetSocket | undefined;
  /** Without a session: what is done about it. */
  #between: "connecting" | "waiting" | "stopped" = "connecting";
  /** Where we were connected last: another address may be another broker, with another session. */
  #connectedIndex = 0;
  readonly #retries: Retries;
  #shortLived = 0;
  /** What was acknowledged before the present connection. */
  #acknowledgedBefore = 0;
  /** By the monotonic clock: when the broker welcomed us. */
  #welcomedAt: number | undefined;
  #connectedSince: number | undefined;
  #awaySince: number | undefined;
  #sessionPresent: boolean | undefined;
  #keptMs: number | undefined;
  #trouble: { readonly message: string; readonly at: number } | undefined;
  #isStopping = false;
  #cancelRetry: (() => void) | undefined;
  #cancelSweep: (() => void) | undefined;
  #cancelHurry: (() => void) | undefined;
  #cancelGather: (() => void) | undefined;
  readonly #gather = new Gather();
  /** The session wants no more for now. */
  #isPaused = false;
  #isReading = true;
  #sweptAt = 0;
  #whenClosed: (() => void) | undefined;

  /** Use `openSubscriber`. */
  constructor(options: SubscriberOptions) {
    const { config, clock } = options;
    this.#options = options;
    this.config = config;
    this.limits = { ...defaults, ...options.limits };
    this.receiver = options.receiver;
    this.#retries = new Retries({
      addressCount: config.addresses.length,
      limits: this.limits,
      random: options.random,
    });
    this.#awaySince = clock.now();
    const { brokerInFlightMax } = this.limits;
    this.memory = new SessionMemory({
      subscriptions: subscriptionsOf(config, options.templates),
      acks: new PendingAcks({ countMax: brokerInFlightMax }),
      quota: new SendQuota({ max: config.level === 5 ? config.receiveMax : brokerInFlightMax }),
      canary:
        config.canary === undefined
          ? undefined
          : new Canary({ ...config.canary, waitMs: config.answerMs }),
      dropped: new DroppedHint(),
      hadSession: options.isKnown && config.sessionMs !== undefined,
    });
  }

  start(): void {
    void this.#connect();
  }

  get state(): BrokerState {
    const state = this.#session?.state;
    return state === undefined || state === "over" ? this.#between : state;
  }

  get status(): BrokerStatus {
    const { quota, refused, lowered, subscriptions, dropped, canary, unwantedTopic } = this.memory;
    return {
      name: this.config.name,
      state: this.state,
      url: this.#address.url,
      connectedSince: this.#connectedSince,
      awaySince: this.#awaySince,
      sessionPresent: this.#sessionPresent,
      sessionCutToMs: this.#cutToMs,
      inFlight: this.#inFlight,
      sendQuota: quota.size,
      subscriptions: this.memory.isSubscribed ? subscriptions.length - refused.size : 0,
      subscriptionsRefused: [...refused].map(([filter, code]) => `${filter}: ${reasonText(code)}`),
      subscriptionsLowered: [...lowered].map(([filter, qos]) => `${filter}: QoS ${qos}`),
      counters: { ...this.counters },
      brokerDropped: dropped.count,
      canary: canary === undefined ? undefined : { ...canary.counters, isMute: canary.isMute },
      unwantedTopic,
      trouble: this.#trouble,
      shortLived: this.#shortLived,
    };
  }

  /** The broker keeps our session for less than we asked. */
  get #cutToMs(): number | undefined {
    const asked = this.config.sessionMs ?? 0;
    return this.#keptMs !== undefined && this.#keptMs < asked ? this.#keptMs : undefined;
  }

  get #inFlight(): number {
    return this.#session === undefined ? 0 : this.memory.inFlight;
  }

  get #address(): BrokerAddress {
    const { addresses } = this.config;
    return addresses[this.#retries.addressIndex]!;
  }

  // --- connections ----------------------------------------------------------------------------------

  async #connect(): Promise<void> {
    const { net } = this.#options;
    this.#between = "connecting";
    let socket: NetSocket;
    try {
      socket = await net.connect(this.#address.connect, { waitMs: this.config.answerMs });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (this.#isStopping) return;
      this.counters.connectFailures += 1;
      this.#note(error.message);
      this.#retry({ lasted: false, wasUseful: false, isTakenOver: false });
      return;
    }
    if (this.#isStopping) return socket.destroy();
    const { addressIndex } = this.#retries;
    if (this.#connectedIndex !== addressIndex) this.memory.isSubscribed = false;
    this.#connectedIndex = addressIndex;
    const session = new Session(this);
    this.#isPaused = false;
    this.#isReading = true;
    this.#session = session;
    this.#socket = socket;
    socket.start({
      onBytes: (bytes, length) => this.#read(session, bytes, length),
      onDrain: () => {},
      onClose: (reason) => this.#closed(session, reason),
    });
    session.begin();
    this.#scheduleSweep();
  }

  /** A read of many that follow each other is followed by a pause in which more come. */
  #read(session: Session, bytes: Uint8Array, length: number): void {
    const before = this.counters.received;
    session.push(bytes, length);
    if (session !== this.#session || this.#cancelGather !== undefined) return;
    const pauseMs = this.#gather.pauseAfter(this.counters.received - before, {
      quota: this.memory.quota.size,
      now: this.monotonic(),
    });
    if (pauseMs === 0) return;
    this.#cancelGather = this.#options.clock.after(pauseMs, this.#gathered);
    this.#steer();
  }

  readonly #gathered = (): void => {
    this.#cancelGather = undefined;
    this.#steer();
  };

  #steer(): void {
    const isReading = !this.#isPaused && this.#cancelGather === undefined;
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    if (isReading) this.#socket?.resume();
    else this.#socket?.pause();
  }

  /** The socket is closed, by whomever: `reason` is empty where that was orderly. */
  #closed(session: Session, reason: string): void {
    if (session !== this.#session) return;
    if (!this.#isStopping) {
      const how = reason === "" ? "it closed the connection" : `the connection broke (${reason})`;
      const when = session.state === "greeting" ? " before it answered CONNECT" : "";
      this.#note(`${how}${when}`);
    }
    this.#drop(session);
  }

  /** The connection is over for us; the next one is seen to. */
  #drop(session: Session, { isTakenOver = false } = {}): void {
    const { acks } = this.memory;
    this.counters.acknowledgementsDropped += acks.count;
    acks.orphan();
    session.close();
    this.#session = undefined;
    this.#socket = undefined;
    this.#cancelTimers();
    const { clock } = this.#options;
    const lastedMs = this.#welcomedAt === undefined ? 0 : clock.monotonic() - this.#welcomedAt;
    const lasted = lastedMs >= this.limits.brokerSettledMs;
    if (this.#welcomedAt === undefined) this.counters.connectFailures += 1;
    else this.#shortLived = lasted ? 0 : this.#shortLived + 1;
    const wasUseful = this.counters.acknowledged > this.#acknowledgedBefore;
    this.#acknowledgedBefore = this.counters.acknowledged;
    this.#welcomedAt = this.#connectedSince = undefined;
    this.#awaySince ??= clock.now();
    this.#between = "stopped";
    if (!this.#isStopping) this.#retry({ lasted, wasUseful, isTakenOver });
    this.#whenClosed?.();
  }

  #retry(tried: Tried): void {
    this.#between = "waiting";
    this.#cancelRetry = this.#options.clock.after(this.#retries.next(tried), () => {
      this.#cancelRetry = undefined;
      void this.#connect();
    });
  }

  #note(message: string): void {
    this.#trouble = { message: `${this.#address.url}: ${message}`, at: this.#options.clock.now() };
  }

  #cancelTimers(): void {
    this.#cancelRetry?.();
    this.#cancelSweep?.();
    this.#cancelHurry?.();
    this.#cancelGather?.();
    this.#cancelRetry = this.#cancelSweep = this.#cancelHurry = this.#cancelGather = undefined;
  }

  // --- what a session wants -------------------------------------------------------------------------

  monotonic(): number {
    return this.#options.clock.monotonic();
  }

  write(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    socket.write(bytes);
    // It reads nothing any more; what it was not told it will send again.
    if (socket.queuedBytes > this.limits.outboundBytesPerConnectionMax) {
      this.ended({ kind: "unread" });
    }
  }

  pause(paused: boolean): void {
    this.#isPaused = paused;
    this.#steer();
  }

  hurry(delayMs: number): void {
    const { hurry, clock } = this.#options;
    this.#cancelHurry?.();
    this.#cancelHurry = undefined;
    if (delayMs === 0) hurry();
    else this.#cancelHurry = clock.after(delayMs, hurry);
  }

  connected({ sessionPresent, keptSeconds }: Welcome): void {
    const { clock } = this.#options;
    this.counters.connected += 1;
    if (this.counters.connected > 1) this.counters.reconnects += 1;
    this.#welcomedAt = clock.monotonic();
    this.#connectedSince = clock.now();
    this.#awaySince = undefined;
    this.#sessionPresent = sessionPresent;
    this.#keptMs = keptSeconds === undefined ? this.config.sessionMs : keptSeconds * 1_000;
  }

  ended(end: SessionEnd): void {
    const session = this.#session;
    const socket = this.#socket;
    if (session === undefined || socket === undefined) return;
    this.#count(end);
    this.#note(endText(end, this.config));
    if (end.kind === "protocol") {
      socket.write(disconnectPacket(this.config.level, PROTOCOL_ERROR));
      socket.end();
      // Whoever does not read keeps the socket open.
      this.#options.clock.after(this.limits.closeWaitMs, () => socket.destroy());
    } else {
      socket.destroy();
    }
    this.#drop(session, {
      isTakenOver: end.kind === "disconnected" && end.code === SESSION_TAKEN_OVER,
    });
  }

  #count(end: SessionEnd): void {
    const { counters } = this;
    if (end.kind === "refused") counters.refused += 1;
    if (end.kind === "half-open" || end.kind === "unread") counters.halfOpen += 1;
    if (end.kind === "protocol") counters.protocolErrors += 1;
    if (end.kind !== "disconnected") return;
    counters.disconnects += 1;
    if (end.code === SESSION_TAKEN_OVER) counters.takenOver += 1;
  }

  // --- time -----------------------------------------------------------------------------------------

  #scheduleSweep(): void {
    const { clock } = this.#options;
    this.#sweptAt = clock.monotonic();
    this.#cancelSweep = clock.after(this.limits.keepAliveSweepMs, () => {
      const session = this.#session;
      if (session === undefined) return;
      const lateMs = clock.monotonic() - this.#sweptAt - this.limits.keepAliveSweepMs;
      // We were not running: what was sent meanwhile is still unread.
      if (lateMs > this.limits.keepAliveSweepMs) session.forgive(lateMs);
      session.check();
      if (session === this.#session) this.#scheduleSweep();
    });
  }

  // --- the gate -------------------------------------------------------------------------------------

  seal(): void {
    this.#cancelHurry?.();
    this.#cancelHurry = undefined;
    this.memory.acks.seal();
    this.#session?.seal();
  }

  release(): void {
    const { acks, ids } = this.memory;
    const due = this.#inFlight;
    const answers = acks.release((id, isAnswered) => ids.settle(id, { isAnswered }));
    this.#session?.release(answers, due);
  }

  room(): void {
    this.#session?.resume();
  }

  /** Nothing that was received is durable: the broker keeps it, and sends it to whoever comes next. */
  abandon(): void {
    this.memory.acks.drop();
    this.memory.ids.abandon();
    const { session, socket } = { session: this.#session, socket: this.#socket };
    if (session === undefined) return;
    socket?.destroy();
    this.#note("the log takes no more: the connection was given up");
    this.#drop(session);
  }

  // --- end ------------------------------------------------------------------------------------------

  /** Takes no more messages; what was received can still be made durable and is then answered. */
  stopAccepting(): void {
    this.#isStopping = true;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#session?.stopReading();
    if (this.#session === undefined) this.#between = "stopped";
  }

  /** Says goodbye; the session stays at the broker. */
  async close(): Promise<void> {
    this.stopAccepting();
    const socket = this.#socket;
    const session = this.#session;
    if (socket === undefined || session === undefined) return;
    if (session.state !== "greeting") socket.write(disconnectPacket(this.config.level));
    socket.end();
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(this.limits.closeWaitMs, resolve);
      this.#whenClosed = () => {
        cancel();
        resolve();
      };
    });
    socket.destroy();
    if (this.#session === session) this.#drop(session);
  }
}

function subscriptionsOf(
  config: BrokerConfig,
  templates: readonly TopicTemplate[],
): readonly Subscription[] {
  const { qos, share, canary } = config;
  const wanted = filtersOf(templates).map((filter) => ({
    filter: sharedFilter(share, filter),
    qos,
    retained: false,
  }));
  if (canary === undefined) return wanted;
  return [...wanted, { filter: canary.topic, qos: 0, retained: false }];
}
