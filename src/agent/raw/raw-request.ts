/**
 * A request for raw readings, as it is stored: what was asked for, and how far its answer is. Both change
 * in the transaction that puts a part of the answer into the outbox, so the answer goes on where it was.
 *
 *   raw/<id>   {"number":..,"asked":ms,"select":[..],"from":ms,"to":ms,"due":ms,"priority":"normal",
 *               "state":"open","part":3,"readings":2500,"digest":..,"cursor":[series,time,skip],
 *               "counts":[[series,readings,first,last],..],"coarser":[..],"damaged":false}
 *
 *   open ──▶ done | refused                  only open ones have a cursor; counts go with the manifest
 *     └────▶ cancelling ──▶ cancelled        when the manifest says so
 */

import { limits } from "../../core/limits.ts";
import type { CoarserSpan } from "../../core/record.ts";
import { coarserOf, textsOf } from "../../store/outbox/raw-codec.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  itemsOf,
  listOf,
  numberOf,
  textOf,
  wholeOf,
} from "../../store/state/stored-json.ts";
import { emptyDigest } from "../../sync/kafka/cursor.ts";

/** The first goes first. */
export const rawPriorities = ["high", "normal", "low"] as const;
export type RawPriority = (typeof rawPriorities)[number];

const states = ["open", "cancelling", "done", "refused", "cancelled"] as const;
export type RawState = (typeof states)[number];
/** How a request ends. */
export type RawEnd = Exclude<RawState, "open" | "cancelling">;

/** What somebody wants. */
export type RawAsk = {
  readonly id: string;
  readonly select: readonly string[];
  /** Half-open, milliseconds of event time. */
  readonly from: number;
  readonly to: number;
  readonly priority: RawPriority;
};

/** What a person sees of a request. */
export type RawStatus = RawAsk & {
  readonly asked: number;
  readonly state: RawState;
  readonly reason: string;
  readonly parts: number;
  readonly readings: number;
};

export function statusOf(request: RawRequest): RawStatus {
  const { id, select, from, to, priority, asked, state, reason, parts, readings } = request;
  return { id, select, from, to, priority, asked, state, reason, parts, readings };
}

/** Before the reading that comes next: of this series, from `time` on, behind `skip` readings at `time`. */
export type RawCursor = { readonly series: number; readonly time: number; readonly skip: number };

/** What was sent of a series. */
export type SeriesCount = {
  readonly readings: number;
  readonly first: number;
  readonly last: number;
};

export type RawRequest = RawAsk & {
  /** In order of arrival. */
  readonly number: number;
  /** When it was asked for, and from when on it is answered unless it is given up: wall clock, ms. */
  readonly asked: number;
  readonly due: number;
  readonly state: RawState;
  /** Why it was refused; empty otherwise. */
  readonly reason: string;
  readonly parts: number;
  readonly readings: number;
  readonly digest: string;
  /** Undefined before the first reading. */
  readonly cursor: RawCursor | undefined;
  /** By series, in order of the ids. */
  readonly counts: ReadonlyMap<number, SeriesCount>;
  readonly coarser: readonly CoarserSpan[];
  readonly damaged: boolean;
};

export function newRequest(
  ask: RawAsk,
  at: { readonly number: number; readonly asked: number; readonly due: number },
): RawRequest {
  return {
    ...ask,
    ...at,
    state: "open",
    reason: "",
    parts: 0,
    readings: 0,
    digest: emptyDigest,
    cursor: undefined,
    counts: new Map(),
    coarser: [],
    damaged: false,
  };
}

export function encodeRequest(request: RawRequest): Uint8Array {
  const { id: _, cursor, counts, ...rest } = request;
  return encodeJson({
    ...rest,
    ...(cursor === undefined ? {} : { cursor: [cursor.series, cursor.time, cursor.skip] }),
    counts: [...counts].map(([series, { readings, first, last }]) => [
      series,
      readings,
      first,
      last,
    ]),
  });
}

/** Faults: STORE_FAILED. */
export function decodeRequest(id: string, bytes: Uint8Array, place: string): RawRequest {
  const stored = decodeJson(bytes, place);
  return {
    id,
    select: textsOf(stored, "select"),
    from: numberOf(stored, "from"),
    to: numberOf(stored, "to"),
    priority: wordOf(textOf(stored, "priority"), rawPriorities, place),
    number: wholeOf(stored, "number"),
    asked: numberOf(stored, "asked"),
    due: numberOf(stored, "due"),
    state: wordOf(textOf(stored, "state"), states, place),
    reason: textOf(stored, "reason"),
    parts: wholeOf(stored, "parts"),
    readings: wholeOf(stored, "readings"),
    digest: textOf(stored, "digest"),
    cursor: "cursor" in stored.fields ? cursorOf(stored.fields["cursor"], place) : undefined,
    counts: new Map(listOf(stored, "counts").map((item) => countOf(item, place))),
    coarser: coarserOf(stored),
    damaged: stored.fields["damaged"] === true,
  };
}

function cursorOf(value: unknown, place: string): RawCursor {
  const [series = 0, time = 0, skip = 0] = numbersOf(value, place);
  return { series, time, skip };
}

function countOf(value: unknown, place: string): readonly [number, SeriesCount] {
  const [series = 0, readings = 0, first = 0, last = 0] = numbersOf(value, place);
  return [series, { readings, first, last }];
}

function numbersOf(value: unknown, place: string): readonly number[] {
  return itemsOf(value, place).map((item) => {
    if (typeof item === "number") return item;
    throw damaged(place, "something in a list is no number");
  });
}

function wordOf<Word extends string>(text: string, words: readonly Word[], place: string): Word {
  const word = words.find((known) => known === text);
  if (word === undefined) throw damaged(place, `${text} is none of ${words.join(" ")}`);
  return word;
}

export function isOpen({ state }: RawRequest): boolean {
  return !isEnd(state);
}

export function isEnd(state: RawState): state is RawEnd {
  return state !== "open" && state !== "cancelling";
}

/** What is cancelled is ended first. */
export function orderOf({ state, priority }: RawRequest): number {
  return state === "cancelling" ? -1 : rawPriorities.indexOf(priority);
}

/** Not `now`: a clock that is ahead and then set right would put it off. */
export function dueOf({ to }: RawAsk, now: number): number {
  return to <= now ? to : to + limits.rawSettleMs;
}
