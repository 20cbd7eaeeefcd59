/**
 * Whether the records of one outbox and lane are there once each and as they were sent. They lie in
 * several partitions, in each of them in order of their numbers, and are given here in order of
 * numbers over all:
 *
 *   numbers   0 1 2 3 ...      each one more than the one before
 *   digest    d(n + 1) = SHA-256(d(n), value)      equal to that of every cursor on the way
 *
 * Retention removes records in front, in each partition by itself. So a number that is not there is
 * put down to it while there is a partition that has lost its front and whose first record of ours is
 * still to come; from there on the digest is known again at the next cursor. Pure.
 */

import { digestAfter, emptyDigest } from "../cursor.ts";
import type { Break } from "./break.ts";
import type { Marks } from "./upstream-cursors.ts";
import type { UpstreamMessage } from "./upstream-message.ts";

export type LaneToProve = {
  readonly topic: string;
  readonly outbox: string;
  readonly lane: string;
  /** How many records were sent, where that is known. */
  readonly end: number | undefined;
  readonly marks: Marks;
  /** Partitions that no longer have all they once had. */
  readonly trimmed: ReadonlySet<number>;
  /** Its first records may be in another cluster. */
  readonly mayBeginLater: boolean;
};

/** `numbers` [first, next), each once. */
export type LaneProven = {
  readonly topic: string;
  readonly outbox: string;
  readonly lane: string;
  readonly first: number;
  readonly next: number;
  readonly records: number;
  /** Numbers that retention removed, or that another cluster has. */
  readonly removed: number;
  /** Records that came after the cursor was read: each once, too. */
  readonly newer: number;
  /** Cursors whose digest was that of the records. */
  readonly cursors: number;
  /** Number up to which the last of them goes; undefined where none could be compared. */
  readonly digestTo: number | undefined;
};

export class LaneProof {
  readonly #lane: LaneToProve;
  readonly #begun = new Set<number>();
  #first: number | undefined;
  #next = 0;
  #records = 0;
  #removed = 0;
  #cursors = 0;
  #digestTo: number | undefined;
  #digest: string | undefined = emptyDigest;
  #last: UpstreamMessage | undefined;

  constructor(lane: LaneToProve) {
    this.#lane = lane;
  }

  /** The record with the lowest number that was not given yet. */
  take(message: UpstreamMessage): Break | undefined {
    const { number, value, at } = message;
    if (number < this.#next) {
      const expected = `${this.#next} or a later one, since ${number} was there before`;
      return this.#break("repeated", message, { expected, found: "it again" });
    }
    if (number > this.#next) {
      if (!this.#mayMiss()) return this.#missing(number, message);
      this.#skipTo(number);
    }
    this.#begun.add(at.partition);
    this.#first ??= number;
    this.#last = message;
    this.#records += 1;
    this.#next = number + 1;
    this.#digest = this.#digest && digestAfter(this.#digest, value);
    return this.#compare();
  }

  /** After the last record. */
  finish(): Break | LaneProven {
    const { topic, outbox, lane, end } = this.#lane;
    if (end !== undefined && this.#next < end) {
      if (!this.#mayMiss()) return this.#missing(end, undefined);
      this.#skipTo(end);
    }
    return {
      topic,
      outbox,
      lane,
      first: this.#first ?? this.#next,
      next: this.#next,
      records: this.#records,
      removed: this.#removed,
      newer: end === undefined ? 0 : this.#next - end,
      cursors: this.#cursors,
      digestTo: this.#digestTo,
    };
  }

  /** Whether retention, or another cluster, may have what comes next. */
  #mayMiss(): boolean {
    const { trimmed, mayBeginLater } = this.#lane;
    if (this.#first === undefined && mayBeginLater) return true;
    return [...trimmed].some((partition) => !this.#begun.has(partition));
  }

  #skipTo(number: number): void {
    this.#removed += number - this.#next;
    this.#next = number;
    this.#digest = this.#lane.marks.get(number);
  }

  #compare(): Break | undefined {
    const expected = this.#lane.marks.get(this.#next);
    if (expected === undefined) return undefined;
    if (this.#digest === undefined) {
      this.#digest = expected;
      return undefined;
    }
    if (this.#digest !== expected) {
      const from = this.#digestTo ?? 0;
      return this.#break("changed", this.#last, {
        expected: `the digest ${expected} over all records up to it, as the cursor says`,
        found: `${this.#digest}: a value from ${from} to ${this.#next - 1} is not what was sent`,
      });
    }
    this.#cursors += 1;
    this.#digestTo = this.#next;
    return undefined;
  }

  #missing(until: number, next: UpstreamMessage | undefined): Break {
    const { topic, outbox, lane, end } = this.#lane;
    const number = this.#next;
    const expected =
      end === undefined ? "every number up to the last" : `every number up to ${end - 1}`;
    const found =
      next === undefined
        ? `none from ${number} to ${until - 1}`
        : `${until} after ${number === 0 ? "nothing" : number - 1}`;
    return { what: "missing", topic, at: next?.at, outbox, lane, number, expected, found };
  }

  #break(
    what: Break["what"],
    message: UpstreamMessage | undefined,
    words: { readonly expected: string; readonly found: string },
  ): Break {
    const { topic, outbox, lane } = this.#lane;
    const number = message?.number ?? this.#next;
    return { what, topic, at: message?.at, outbox, lane, number, ...words };
  }
}
