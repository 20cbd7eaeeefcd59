/**
 * Sessions of MQTT 5 clients: what of them the broker has no word for. The broker keeps a session
 * or it does not; here is for how long, what its subscriptions ask for, and its will's delay.
 *
 *   open --connection gone--> away --expiry over--> ended, at the broker too
 *     ^                         |  \--will delay over--> will
 *     +--same id, Clean Start 0-+
 *
 * While a will is delayed its connection to the broker stays open: letting go of it is what makes
 * the broker publish the will. A session that comes back in time takes its will back; one whose end
 * comes first, or that is begun anew, sends it.
 *
 * Bounds: sessions that are to outlive their connection; over it a new one ends with its
 * connection, which its client is told. Delayed wills; over it they are not delayed.
 *
 * Source: MQTT 5 (OASIS), 3.1.2.4 Clean Start, 3.1.2.11.2 Session Expiry, 3.1.3.2.2 Will Delay, 4.1.
 */

import type { Clock } from "../../../../core/doors.ts";
import type { Broker } from "../broker/broker.ts";
import { NEVER } from "../packet/connect-5.ts";
import type { SubscribedFilter } from "../packet/subscribe-5.ts";

export type Subscription5 = SubscribedFilter & {
  /** 0: none. */
  readonly subscriptionId: number;
};

export type SessionLimits5 = {
  readonly sessionsKeptMax: number;
  readonly sessionExpirySecondsMax: number;
  readonly willsDelayedMax: number;
  readonly sessionSweepMs: number;
};

/** The connection that has a session, or had it last. */
export interface SessionHolder {
  /** Messages of it that the broker still asks about. */
  readonly inFlight: number;
  /** Lets go of the broker: it publishes the will if one is due. */
  release(): void;
  /** No will is due any more. */
  cancelWill(): void;
}

const nobody: SessionHolder = {
  inFlight: 0,
  release: () => undefined,
  cancelWill: () => undefined,
};

export class Session5 {
  readonly clientId: string;
  /** Of this session alone, whoever has the client id later. */
  readonly name: string;
  readonly #subscriptions = new Map<string, Subscription5>();
  expirySeconds: number;
  willDelaySeconds = 0;
  isOver = false;
  #optionCount = 0;
  #noLocalCount = 0;
  /** Changes with the subscriptions. */
  version = 0;
  /** Packet ids of QoS 2 messages without a PUBREL: they count against the receive maximum we named. */
  readonly openIds: Set<number> = new Set();

  constructor(options: { clientId: string; name: string; expirySeconds: number }) {
    this.clientId = options.clientId;
    this.name = options.name;
    this.expirySeconds = options.expirySeconds;
  }

  get subscriptions(): ReadonlyMap<string, Subscription5> {
    return this.#subscriptions;
  }

  /** Whether a subscription asks for more than to be given messages. */
  get hasOptions(): boolean {
    return this.#optionCount > 0;
  }

  /** Whether a message it publishes may not be for itself. */
  get hasNoLocal(): boolean {
    return this.#noLocalCount > 0;
  }

  subscribe(subscription: Subscription5): void {
    this.unsubscribe(subscription.filter);
    this.#subscriptions.set(subscription.filter, subscription);
    this.#count(subscription, 1);
  }

  /** Whether it was there. */
  unsubscribe(filter: string): boolean {
    this.version += 1;
    const known = this.#subscriptions.get(filter);
    if (known === undefined) return false;
    this.#count(known, -1);
    return this.#subscriptions.delete(filter);
  }

  #count({ noLocal, retainAsPublished, subscriptionId }: Subscription5, change: number): void {
    if (noLocal) this.#noLocalCount += change;
    if (noLocal || retainAsPublished || subscriptionId > 0) this.#optionCount += change;
  }
}

type Entry = {
  readonly session: Session5;
  holder: SessionHolder;
  /** While away: when it ends, and when its will is due. Undefined while it is here. */
  awayUntil: number | undefined;
  willAt: number | undefined;
};

export class Sessions5 {
  readonly #clock: Clock;
  readonly #broker: Broker;
  readonly #limits: SessionLimits5;
  readonly #entries = new Map<string, Entry>();
  #count = 0;
  #willsDelayed = 0;
  #cancelSweep: (() => void) | undefined;

  constructor(parts: {
    readonly clock: Clock;
    readonly broker: Broker;
    readonly limits: SessionLimits5;
  }) {
    this.#clock = parts.clock;
    this.#broker = parts.broker;
    this.#limits = parts.limits;
  }

  /** Sessions here or away. */
  get count(): number {
    return this.#entries.size;
  }

  /**
   * The session of a client that logged in; `isPresent` where it was there before. The broker has
   * been made to agree when this resolves.
   */
  async open(options: {
    readonly clientId: string;
    readonly cleanStart: boolean;
    readonly expirySeconds: number;
    readonly willDelaySeconds: number;
    readonly holder: SessionHolder;
  }): Promise<{ readonly session: Session5; readonly isPresent: boolean }> {
    const { clientId, cleanStart, holder } = options;
    const known = this.#entries.get(clientId);
    const now = this.#clock.monotonic();
    const resumes = known !== undefined && !cleanStart && (known.awayUntil ?? now + 1) > now;
    if (known !== undefined) this.#settleOlder(known, resumes);
    const expirySeconds = this.#expiryOf(options.expirySeconds, resumes);
    if (known !== undefined && resumes) {
      known.holder = holder;
      known.awayUntil = undefined;
      known.session.expirySeconds = expirySeconds;
      known.session.willDelaySeconds = options.willDelaySeconds;
      return { session: known.session, isPresent: true };
    }
    if (known !== undefined) known.session.isOver = true;
    const session = new Session5({ clientId, name: `five ${this.#count++}`, expirySeconds });
    session.willDelaySeconds = options.willDelaySeconds;
    this.#entries.set(clientId, { session, holder, awayUntil: undefined, willAt: undefined });
    // Without Clean Start the broker may have one of a client that spoke 3.1.1.
    if (known !== undefined || cleanStart) await this.#broker.endSession(clientId);
    return { session, isPresent: false };
  }

  /** A client of 3.1.1 has this id now, and whatever session the broker gives it. */
  yield(clientId: string): void {
    const known = this.#entries.get(clientId);
    if (known === undefined) return;
    this.#settleOlder(known, true);
    this.#entries.delete(clientId);
  }

  /** The connection of a session is gone; `hasWill` unless it was taken back. */
  leave(session: Session5, holder: SessionHolder, hasWill: boolean): void {
    const entry = this.#entries.get(session.clientId);
    if (entry?.session !== session || entry.holder !== holder) return holder.release();
    const now = this.#clock.monotonic();
    const { expirySeconds, willDelaySeconds } = session;
    entry.awayUntil =
      expirySeconds === NEVER ? Number.POSITIVE_INFINITY : now + 1_000 * expirySeconds;
    const delaySeconds = Math.min(willDelaySeconds, expirySeconds);
    if (hasWill && delaySeconds > 0 && this.#willsDelayed < this.#limits.willsDelayedMax) {
      entry.willAt = now + 1_000 * delaySeconds;
      this.#willsDelayed += 1;
    } else {
      holder.release();
      this.#forgetHolder(entry);
    }
    this.#scheduleSweep();
  }

  /** No session ends by itself any more, and no will is due. */
  close(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#entries.clear();
  }

  /** Its will, and its link to the broker, before another connection has the session or its id. */
  #settleOlder(entry: Entry, resumes: boolean): void {
    if (resumes && entry.session.willDelaySeconds > 0) entry.holder.cancelWill();
    if (entry.willAt === undefined) return;
    this.#releaseWill(entry);
  }

  /** A connection that is over and has nothing on its way is not kept for its session's sake. */
  #forgetHolder(entry: Entry): void {
    if (entry.willAt === undefined && entry.holder.inFlight === 0) entry.holder = nobody;
  }

  #releaseWill(entry: Entry): void {
    entry.willAt = undefined;
    this.#willsDelayed -= 1;
    entry.holder.release();
  }

  #expiryOf(asked: number, isCounted: boolean): number {
    const { sessionExpirySecondsMax, sessionsKeptMax } = this.#limits;
    if (!isCounted && this.#entries.size >= sessionsKeptMax) return 0;
    return Math.min(asked, sessionExpirySecondsMax);
  }

  #scheduleSweep(): void {
    if (this.#cancelSweep !== undefined) return;
    this.#cancelSweep = this.#clock.after(this.#limits.sessionSweepMs, () => {
      this.#cancelSweep = undefined;
      if (this.#sweep()) this.#scheduleSweep();
    });
  }

  /** Whether any session is still away. */
  #sweep(): boolean {
    const now = this.#clock.monotonic();
    let isAnyAway = false;
    for (const [clientId, entry] of this.#entries) {
      if (entry.awayUntil === undefined) continue;
      const isOver = entry.awayUntil <= now;
      if (entry.willAt !== undefined && (isOver || entry.willAt <= now)) this.#releaseWill(entry);
      this.#forgetHolder(entry);
      // A message that is on its way to the disk may still need the session.
      if (!isOver || entry.holder.inFlight > 0) {
        isAnyAway = true;
        continue;
      }
      entry.session.isOver = true;
      this.#entries.delete(clientId);
      void this.#broker.endSession(clientId);
    }
    return isAnyAway;
  }
}
