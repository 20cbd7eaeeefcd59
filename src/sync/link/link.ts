/**
 * A link: the network that one or several uplinks go over, with what it may cost.
 *
 *   admit   may a delivery of a lane begin, and how large?    windows, quota, metered, who is before it
 *   wire    what its connections are opened over              bandwidth: piece by piece (pace.ts)
 *                                                             quota: counted as it is sent (quota.ts)
 *
 * Nothing is asked of a network here: what is sent is what the sockets say (Wire).
 */

import { assert } from "../../core/assert.ts";
import type { Clock, KvWrite, Wire } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { type Lane, lanes } from "../../store/outbox/lane.ts";
import { uplinkKey } from "../../store/state/kv-key.ts";
import { localTime } from "./local-time.ts";
import { Pace } from "./pace.ts";
import type { LinkPolicy } from "./policy.ts";
import { Quota } from "./quota.ts";
import { isInWindows } from "./schedule.ts";

export type LinkOptions = {
  readonly policy: LinkPolicy;
  readonly clock: Clock;
  /** Milliseconds since 1970; undefined while the gateway's clock is not trusted. */
  readonly trustedNow: () => number | undefined;
  /** Reads from the state store. */
  readonly get: (key: string) => Uint8Array | undefined;
  /** StateStore.advance. */
  readonly store: (writes: readonly KvWrite[]) => Promise<void>;
};

/** What a lane wants to send. */
export type Asking = {
  readonly lane: Lane;
  /** About what waits, in bytes. */
  readonly bytes: number;
  /** Since something waits. */
  readonly waitedMs: number;
  /** It has begun to send what waited, and has not come to the end of it. */
  readonly hasBegun: boolean;
  /** Something was delivered since the lane was opened: the next one may be longer under way. */
  readonly hasDelivered: boolean;
};

/** Why a lane waits. */
export type Held =
  | "paused"
  | "outside-hours"
  | "clock-untrusted"
  | "quota-used"
  | "gathering"
  | "others-first";

export type Admission =
  | { readonly kind: "go"; readonly bytesMax: number }
  /** `forMs`: then it is worth asking again. */
  | { readonly kind: "held"; readonly why: Held; readonly forMs: number };

export type LinkStatus = {
  readonly name: string;
  /** On its sockets since this process began, TLS included. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Bytes per second that may be sent. */
  readonly bandwidth: number | undefined;
  readonly quota:
    | {
        /** `2026-11` or `2026-11-28`; empty before the clock was trusted. */
        readonly period: string;
        readonly usedBytes: number;
        /** Those in force. */
        readonly bytes: number;
        /** What the configuration says, while a budget is in its place; undefined: there is none. */
        readonly configuredBytes: number | undefined;
        readonly reserveBytes: number;
      }
    | undefined;
  /** Why a lane would be held now, whatever it has; absent: it would not. */
  readonly held: Readonly<Partial<Record<Lane, Held>>>;
};

export class Link {
  readonly #options: LinkOptions;
  readonly #key: string;
  readonly #pace: Pace;
  readonly #quota: Quota | undefined;
  #storing: Promise<void> | undefined;
  #cancelRetry: (() => void) | undefined;
  #sentBytes = 0;
  #receivedBytes = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { policy, clock, get } = options;
    const { quota, timezone, bandwidth, shares } = policy;
    this.#key = uplinkKey(`link:${policy.name}`, "quota");
    const value = quota === undefined ? undefined : get(this.#key);
    this.#quota =
      quota &&
      new Quota({
        policy: quota,
        timezone,
        stored: value && { value, place: `the state store's ${this.#key}` },
        monotonicMs: clock.monotonic(),
      });
    this.#pace = new Pace({
      bandwidth,
      shares,
      clock,
      isCovered: (bytes) => this.#isCovered(bytes),
      charge: (_lane, bytes) => {
        this.#sentBytes += bytes;
        this.#charge(bytes);
      },
    });
  }

  get name(): string {
    return this.#options.policy.name;
  }

  get policy(): LinkPolicy {
    return this.#options.policy;
  }

  /** What a connection for a lane is opened over. */
  wire(lane: Lane): Wire {
    const { localAddress } = this.#options.policy;
    return {
      localAddress,
      pieceBytesMax: this.#pace.pieceBytesMax,
      send: (bytes, go) => this.#pace.send(lane, bytes, go),
      received: (bytes) => {
        this.#receivedBytes += bytes;
        this.#charge(bytes);
      },
    };
  }

  // ---- what holds a lane ----

  admit(asking: Asking): Admission {
    const { lane } = asking;
    const barred = this.barred(lane);
    if (barred !== undefined) return { kind: "held", why: barred, forMs: limits.linkLookMs };
    const { metered } = this.#options.policy;
    if (metered !== undefined && !isFirst(lane) && !asking.hasBegun) {
      const leftMs = metered.maxDelayMs - asking.waitedMs;
      if (asking.bytes < metered.minBatchBytes && leftMs > 0) {
        return { kind: "held", why: "gathering", forMs: leftMs };
      }
    }
    if (this.#pace.isBehind(lane)) {
      return { kind: "held", why: "others-first", forMs: limits.linkTurnMs };
    }
    return { kind: "go", bytesMax: this.#bytesMax(asking) };
  }

  get status(): LinkStatus {
    const { policy } = this.#options;
    const quota = this.#quota;
    this.#look();
    return {
      name: policy.name,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      bandwidth: policy.bandwidth,
      quota: policy.quota &&
        quota && {
          period: quota.period,
          usedBytes: quota.used,
          bytes: quota.bytes,
          configuredBytes: quota.budget === undefined ? undefined : policy.quota.bytes,
          reserveBytes: policy.quota.reserveBytes,
        },
      held: Object.fromEntries(
        lanes.flatMap((lane) => {
          const barred = this.barred(lane);
          return barred === undefined ? [] : [[lane, barred]];
        }),
      ),
    };
  }

  /**
   * Bytes of the current day or month in the place of the configured ones, until that ends; undefined: the
   * configured ones. Resolves when it is durable. Only where there is a quota. Faults of the store: then it is
   * as it was.
   */
  async budget(bytes: number | undefined): Promise<void> {
    const quota = this.#quota;
    assert(quota !== undefined, "who sets a budget of a link knows that it has a quota");
    this.#look();
    const { budget: before, period } = quota;
    const value = quota.budgeted(bytes);
    try {
      await this.#options.store([{ key: this.#key, value }]);
    } catch (error) {
      if (quota.period === period && quota.budget === bytes) quota.budgeted(before);
      throw error;
    }
  }

  get hasQuota(): boolean {
    return this.#quota !== undefined;
  }

  /** When its connections are closed: what is stored of the quota is what was used. */
  async close(): Promise<void> {
    this.#pace.close();
    await this.#storing;
    this.#cancelRetry?.();
    if (this.#quota === undefined || this.#quota.ahead === 0) return;
    await this.#store(this.#quota.exactly());
  }

  /** Why the lane may not use it now, however much it has to send. */
  barred(lane: Lane): Held | undefined {
    const { windows, alerts, timezone } = this.#options.policy;
    const isExcepted = isFirst(lane) && alerts === "always";
    if (windows.length > 0 && !isExcepted) {
      const nowMs = this.#options.trustedNow();
      if (nowMs === undefined) return "clock-untrusted";
      if (!isInWindows(windows, localTime(nowMs, timezone))) return "outside-hours";
    }
    this.#look();
    return this.#quotaLeft(lane) < limits.linkBatchBytesMin ? "quota-used" : undefined;
  }

  #bytesMax({ lane, hasDelivered }: Asking): number {
    const { bandwidth } = this.#options.policy;
    const underWayMs = hasDelivered ? limits.linkBatchMs : limits.linkFirstMs;
    const atOnce =
      bandwidth === undefined
        ? Number.POSITIVE_INFINITY
        : Math.max(limits.linkBatchBytesMin, (bandwidth * underWayMs) / 1_000);
    return Math.floor(Math.min(atOnce, Math.max(1, this.#quotaLeft(lane))));
  }

  #quotaLeft(lane: Lane): number {
    return this.#quota?.left({ reserve: isFirst(lane) }) ?? Number.POSITIVE_INFINITY;
  }

  // ---- the quota ----

  #look(): void {
    const { clock, trustedNow } = this.#options;
    this.#quota?.look(trustedNow(), clock.monotonic());
  }

  #charge(bytes: number): void {
    this.#look();
    this.#quota?.charge(bytes);
    if (this.#quota?.isShort === true) this.#reserve(0);
  }

  #isCovered(bytes: number): boolean {
    this.#look();
    if (this.#quota === undefined || this.#quota.covers(bytes)) return true;
    this.#reserve(bytes);
    return false;
  }

  #reserve(bytes: number): void {
    const quota = this.#quota;
    if (quota === undefined || this.#storing !== undefined) return;
    this.#storing = this.#store(quota.aheadOf(bytes)).then(
      () => {
        this.#storing = undefined;
        this.#pace.goOn();
      },
      // Without what is stored nothing is sent: a full disk is waited for, and of a store that is
      // broken those say so who write to it.
      () => {
        this.#cancelRetry = this.#options.clock.after(limits.diskRetryMs, () => {
          this.#storing = undefined;
          this.#pace.goOn();
        });
      },
    );
  }

  async #store({ value, through }: { value: Uint8Array; through: number }): Promise<void> {
    const quota = this.#quota;
    assert(quota !== undefined, "who stores a quota has one");
    const { period } = quota;
    await this.#options.store([{ key: this.#key, value }]);
    quota.settled(period, through);
  }
}

function isFirst(lane: Lane): boolean {
  return lane === lanes[0];
}
