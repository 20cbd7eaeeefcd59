/**
 * Bytes of a day or month, counted so that a crash forgets none: what is stored is ahead of what was
 * sent by up to a step, and nothing is sent beyond it before the next step is stored.
 *
 *   used      ────────────────▶|
 *   stored    ──────────────────────────▶|       a crash: used is what is stored
 *                              |<- step ->|
 *
 * A period is named by the wall clock (2026-11, 2026-11-28) and ends when the clock has another name
 * for it. A clock that was ahead for a moment and is put back finds what it had counted before. While
 * the clock is not trusted the period goes on, at most for its length.
 *
 * A period may have a budget: bytes in the place of those of the policy, until it ends.
 *
 * Pure: whoever has it stores `stored` and calls `settled`.
 */

import { assert } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import {
  decodeJson,
  encodeJson,
  objectOf,
  textOf,
  wholeOf,
} from "../../store/state/stored-json.ts";
import { localTime } from "./local-time.ts";
import type { QuotaPolicy } from "./policy.ts";

type Period = {
  readonly name: string;
  readonly used: number;
  /** In the place of the policy's; absent: there is no budget. */
  readonly budget?: number;
};

const dayMs = 86_400_000;
const lengthsMs = { day: dayMs, month: 31 * dayMs };

export class Quota {
  readonly #policy: QuotaPolicy;
  readonly #timezone: string;
  readonly #stepBytes: number;
  #period: Period;
  /** The one before, in case the clock goes back. */
  #before: Period | undefined;
  /** What is stored of the period: at least what was used. */
  #reserved: number;
  /** What is being stored, or was: what is encoded later is not behind it. */
  #asked: number;
  /** By the monotonic clock, when the period began or this process did. */
  #sinceMs: number;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** `stored`: what an earlier process stored last. Faults: STORE_FAILED where that is damaged. */
  constructor(options: {
    readonly policy: QuotaPolicy;
    readonly timezone: string;
    readonly stored: { readonly value: Uint8Array; readonly place: string } | undefined;
    readonly monotonicMs: number;
  }) {
    this.#policy = options.policy;
    this.#timezone = options.timezone;
    this.#stepBytes = Math.max(
      limits.linkQuotaStepBytesMin,
      Math.ceil(options.policy.bytes / limits.linkQuotaSteps),
    );
    this.#sinceMs = options.monotonicMs;
    const { period, before } = decode(options.stored);
    this.#period = period;
    this.#before = before;
    this.#reserved = period.used;
    this.#asked = period.used;
  }

  get used(): number {
    return this.#period.used;
  }

  /** What the period is called; empty before the clock was ever trusted. */
  get period(): string {
    return this.#period.name;
  }

  /** Bytes of the period. */
  get bytes(): number {
    return this.#period.budget ?? this.#policy.bytes;
  }

  /** What stands in the place of the policy's bytes until the period ends. */
  get budget(): number | undefined {
    return this.#period.budget;
  }

  /** What a crash would count beyond what was used. */
  get ahead(): number {
    return this.#reserved - this.#period.used;
  }

  /** Bytes that are left, without the reserve or with it. */
  left({ reserve }: { readonly reserve: boolean }): number {
    const { reserveBytes } = this.#policy;
    return Math.max(0, this.bytes - (reserve ? 0 : reserveBytes) - this.#period.used);
  }

  /** Looks at the clock; `nowMs` is undefined while it is not trusted. */
  look(nowMs: number | undefined, monotonicMs: number): void {
    if (monotonicMs < this.#lookedAtMs + limits.linkClockMs) return;
    this.#lookedAtMs = monotonicMs;
    if (nowMs === undefined) {
      if (monotonicMs - this.#sinceMs < lengthsMs[this.#policy.per]) return;
      this.#begin({ name: this.#period.name, used: 0 }, monotonicMs);
      return;
    }
    const name = nameOf(nowMs, this.#policy.per, this.#timezone);
    const { name: current, used } = this.#period;
    if (name === current) return;
    if (name > current && current !== "") {
      this.#before = this.#period;
      this.#begin({ name, used: 0 }, monotonicMs);
      return;
    }
    // The clock went back, or is known for the first time: what was used since counts, and what was set.
    const earlier = name === this.#before?.name ? this.#before : undefined;
    this.#before = undefined;
    const budget = this.#period.budget ?? earlier?.budget;
    this.#begin(withBudget({ name, used: used + (earlier?.used ?? 0) }, budget), monotonicMs);
  }

  /** Whether so many bytes more are stored already. */
  covers(bytes: number): boolean {
    return this.#period.used + bytes <= this.#reserved;
  }

  charge(bytes: number): void {
    this.#period = { ...this.#period, used: this.#period.used + bytes };
  }

  /** Less than half a step is left of what is stored. */
  get isShort(): boolean {
    return this.ahead < this.#stepBytes / 2;
  }

  /** What to store before more than `bytes` is sent, and what is covered once it is. */
  aheadOf(bytes: number): { readonly value: Uint8Array; readonly through: number } {
    const through = this.#period.used + Math.max(this.#stepBytes, bytes);
    this.#asked = Math.max(this.#asked, through);
    return { value: this.#encode(through), through };
  }

  /**
   * In force at once; `bytes` undefined: those of the policy. Gives what to store: nothing that is stored, or
   * being stored, is taken back by it.
   */
  budgeted(bytes: number | undefined): Uint8Array {
    const { name, used } = this.#period;
    this.#period = withBudget({ name, used }, bytes);
    return this.#encode(Math.max(this.#asked, used));
  }

  /** At an orderly end: what was used, and nothing ahead of it. */
  exactly(): { readonly value: Uint8Array; readonly through: number } {
    return { value: this.#encode(this.#period.used), through: this.#period.used };
  }

  /** It is stored. `name`: the period at the time it was encoded. */
  settled(name: string, through: number): void {
    if (name === this.#period.name) this.#reserved = through;
  }

  #begin(period: Period, monotonicMs: number): void {
    this.#period = period;
    this.#reserved = 0;
    this.#asked = 0;
    this.#sinceMs = monotonicMs;
  }

  #encode(used: number): Uint8Array {
    assert(used >= this.#period.used, "what is stored is not behind what was used");
    const before = this.#before === undefined ? {} : { before: this.#before };
    return encodeJson({ ...this.#period, used, ...before });
  }
}

function withBudget(period: Period, budget: number | undefined): Period {
  return budget === undefined ? period : { ...period, budget };
}

function nameOf(nowMs: number, per: QuotaPolicy["per"], timezone: string): string {
  const { year, month, day } = localTime(nowMs, timezone);
  const two = (number: number): string => String(number).padStart(2, "0");
  const ofMonth = `${String(year).padStart(4, "0")}-${two(month)}`;
  return per === "month" ? ofMonth : `${ofMonth}-${two(day)}`;
}

function decode(stored: { readonly value: Uint8Array; readonly place: string } | undefined): {
  readonly period: Period;
  readonly before: Period | undefined;
} {
  if (stored === undefined) return { period: { name: "", used: 0 }, before: undefined };
  const object = decodeJson(stored.value, stored.place);
  const periodIn = (of: typeof object): Period =>
    withBudget(
      { name: textOf(of, "name"), used: wholeOf(of, "used") },
      of.fields["budget"] === undefined ? undefined : wholeOf(of, "budget"),
    );
  const { before } = object.fields;
  return {
    period: periodIn(object),
    before: before === undefined ? undefined : periodIn(objectOf(before, stored.place)),
  };
}
