/**
 * What a person may want to know of who tried what: failed logins, refused publishes and
 * subscriptions. The newest are kept in memory, bounded; alike ones within a while are one event with
 * a count. Passwords are never in it; names and topics come from clients, so they are cut and made
 * printable.
 */

import type { Clock } from "../../../../core/doors.ts";

/** Of the embedded broker. */
export type AccessEventKind =
  | "login_failed"
  /** Refused without looking at the password: too many had failed. */
  | "login_limited"
  /** Too many passwords waited to be hashed. */
  | "login_busy"
  | "publish_denied"
  | "subscribe_denied"
  | "will_denied"
  /** A connection was closed because its user was removed or has another password. */
  | "user_revoked";

export type SecurityEventKind =
  | AccessEventKind
  /** HTTP: a wrong or expired token. */
  | "token_failed"
  /** HTTP: a token whose role does not reach. */
  | "token_denied";

export type SecurityEvent = {
  /** Rising by one, so that a reader knows what is new. */
  readonly number: number;
  readonly kind: SecurityEventKind;
  readonly address: string;
  /** Of the user, as the client said it; empty where it said none. */
  readonly user: string;
  /** A topic or filter, where there is one. */
  readonly topic: string;
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
};

export type FailedLoginsOf = { readonly address: string; readonly count: number };

const TEXT_CHARACTERS_MAX = 64;

type Kept = { -readonly [Key in keyof SecurityEvent]: SecurityEvent[Key] } & { firstMs: number };

export class SecurityEvents {
  readonly #clock: Clock;
  readonly #limits: {
    readonly securityEventsMax: number;
    readonly securityEventGatherMs: number;
    readonly securityEventNoticeMs: number;
  };
  #events: Kept[] = [];
  #next = 1;

  constructor(options: {
    readonly clock: Clock;
    readonly limits: {
      readonly securityEventsMax: number;
      readonly securityEventGatherMs: number;
      readonly securityEventNoticeMs: number;
    };
  }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
  }

  note(event: {
    readonly kind: SecurityEventKind;
    readonly address: string;
    readonly user?: string | undefined;
    readonly topic?: string | undefined;
  }): void {
    const { kind, address } = event;
    const user = printable(event.user ?? "");
    const topic = printable(event.topic ?? "");
    const nowMs = this.#clock.monotonic();
    const like = this.#events.findLast(
      (known) =>
        known.kind === kind &&
        known.address === address &&
        known.user === user &&
        known.topic === topic &&
        nowMs - known.firstMs < this.#limits.securityEventGatherMs,
    );
    const now = this.#clock.now();
    if (like !== undefined) {
      like.count += 1;
      like.lastAt = now;
      return;
    }
    const number = this.#next++;
    const times = { count: 1, firstAt: now, lastAt: now, firstMs: nowMs };
    this.#events.push({ number, kind, address, user, topic, ...times });
    if (this.#events.length > this.#limits.securityEventsMax) this.#events.shift();
  }

  /** Events after the one of this number, oldest first; counts may still grow. */
  after(number: number): readonly SecurityEvent[] {
    return this.#events
      .filter((event) => event.number > number)
      .map(({ firstMs: _, ...event }) => event);
  }

  /** So many at most, oldest first. */
  newest(count: number): readonly SecurityEvent[] {
    return this.after(this.#next - 1 - count);
  }

  /** The address with the most failed logins of late, as far as they are kept. */
  worstAddress(): FailedLoginsOf | undefined {
    const sinceMs = this.#clock.monotonic() - this.#limits.securityEventNoticeMs;
    const counts = new Map<string, number>();
    for (const { kind, address, count, firstMs } of this.#events) {
      if (firstMs < sinceMs || (kind !== "login_failed" && kind !== "login_limited")) continue;
      counts.set(address, (counts.get(address) ?? 0) + count);
    }
    let worst: FailedLoginsOf | undefined;
    for (const [address, count] of counts) {
      if (worst === undefined || count > worst.count) worst = { address, count };
    }
    return worst;
  }
}

/** Cut, and without what could be taken for another line or move a terminal's cursor. */
function printable(text: string): string {
  const cut = text.length > TEXT_CHARACTERS_MAX ? `${text.slice(0, TEXT_CHARACTERS_MAX)}...` : text;
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");
}
