/**
 * What a lane of an uplink reads of its queue, and what is put behind for it: which records backfill
 * sends instead of the fresh lane. Reads, and decides nothing that is not in its answers.
 *
 *   too old     the lane is `freshForMs` of event time behind the newest: from where it is up to the
 *               first record that is younger
 *   in order    a record that must follow what is behind already (split.ts)
 */

import type { Kv } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { queueOf } from "./lane.ts";
import { readOutbox } from "./outbox.ts";
import { endOfRecord, mustFollow, type Range, type Split, withRange } from "./split.ts";
import type { LaneOf, Standings } from "./standings.ts";

export type LaneRead = {
  /** Consecutive numbers of the lane. */
  readonly records: readonly Uint8Array[];
  /** The first number from the one asked for on that is the lane's. */
  readonly position: number;
  /** What lies between `position` and here is lost, or cannot be read. */
  readonly from: number;
  /** Number of records[0]: those from `from` on before it stand for no record. */
  readonly first: number;
  /** Where to read on. */
  readonly next: number;
};

export type LaneReading = {
  readonly kv: Kv;
  readonly standings: Standings;
  /** Number of the queue's next record. */
  readonly end: number;
};

/** From `from` on, as readOutbox does, but of the lane's numbers alone. */
export function readLane(
  { kv, standings, end }: LaneReading,
  at: LaneOf,
  { from, bytesMax }: { readonly from: number; readonly bytesMax: number },
): LaneRead {
  const part = standings.partFrom(at, from);
  const position = Math.min(part.low, Math.max(from, end));
  const below = Math.min(part.high, end);
  const nothing = { records: [], position, from: position, first: position, next: position };
  if (position >= below) return nothing;
  const read = readOutbox(kv, queueOf(at.lane), { from: position, bytesMax, below });
  // Nothing is there any more, or it is damaged.
  if (read.records.length === 0) {
    const lost = read.damaged > 0 ? Math.min(read.next, below) : below;
    return { records: [], position, from: lost, first: lost, next: lost };
  }
  if (read.first >= below) {
    return { records: [], position, from: Math.min(read.from, below), first: below, next: below };
  }
  const records = read.records.slice(0, below - read.first);
  return {
    records,
    position,
    from: read.from,
    first: read.first,
    next: Math.min(read.next, below),
  };
}

/** The split with more behind; `more` says that the next step may go on where this one ended. */
export type PutBehind = { readonly split: Split; readonly more: boolean };

export type TooOldOptions = {
  /** What ends so much before the newest is too old. */
  readonly freshForMs: number;
  /** It begins when the first is older by so much more: each step costs a transaction. */
  readonly slackMs: number;
  readonly fitsBytes: number;
};

/**
 * What is too old to be sent by the fresh lane of the uplink, a few blocks of it. Undefined where nothing
 * is, where all that waits fits into `fitsBytes`, or where there are too many ranges: then it is sent in
 * its turn. What the lane holds is not touched.
 */
export function tooOld(
  reading: LaneReading,
  uplink: string,
  { newest, freshForMs, fitsBytes }: TooOldOptions & { readonly newest: number },
): PutBehind | undefined {
  const at: LaneOf = { uplink, lane: "summaries" };
  const { next, held } = reading.standings.of(at);
  const from = Math.max(next, held);
  const old = oldFrom(reading, at, { from, than: newest - freshForMs });
  if (old.high <= old.low) return undefined;
  const isAll =
    fitsBytes > 0 && readLane(reading, at, { from, bytesMax: fitsBytes }).next >= reading.end;
  const split = isAll ? undefined : withBehind(reading.standings, uplink, old);
  return split && { split, more: old.more };
}

type Old = Range & {
  /** Latest end of its records. */
  readonly through: number;
  /** It may go on. */
  readonly more: boolean;
};

/** The numbers up to the lane's first record that ends at `than` or later. */
function oldFrom(
  reading: LaneReading,
  at: LaneOf,
  { from, than }: { readonly from: number; readonly than: number },
): Old {
  let read = readLane(reading, at, { from, bytesMax: 1 });
  const low = read.position;
  let high = low;
  let through = Number.NEGATIVE_INFINITY;
  for (let blocks = 0; blocks < limits.behindBlocksPerStep; blocks++) {
    const young = read.records.findIndex((record) => !isOld(record, than));
    const old = young < 0 ? read.records : read.records.slice(0, young);
    for (const record of old) through = Math.max(through, endOfRecord(record) ?? through);
    if (young >= 0) {
      return { low, high: young === 0 ? high : read.first + young, through, more: false };
    }
    high = read.next;
    if (high >= reading.end) return { low, high, through, more: false };
    read = readLane(reading, at, { from: high, bytesMax: 1 });
    if (read.position !== high) break;
  }
  return { low, high, through, more: true };
}

function isOld(record: Uint8Array, than: number): boolean {
  const end = endOfRecord(record);
  return end !== undefined && end < than;
}

/** What of a read the fresh lane may send, or what is put behind instead, in order. */
export type InOrder =
  | { readonly kind: "send"; readonly read: LaneRead }
  | { readonly kind: "behind"; readonly split: Split }
  /** There are too many ranges: it waits until backfill has sent one. */
  | { readonly kind: "wait" };

/** By the rule of revisions (split.ts). */
export function inOrder(standings: Standings, uplink: string, read: LaneRead): InOrder {
  const split = standings.splitOf(uplink);
  const { records, position, first, from } = read;
  const follows = records.map((record) => mustFollow(split, record));
  const sendable = follows.indexOf(false);
  if (sendable === 0 || records.length === 0) {
    const end = follows.indexOf(true);
    if (end < 0) return { kind: "send", read };
    return { kind: "send", read: { ...read, records: records.slice(0, end), next: first + end } };
  }
  // What is lost before them is told by the lane that sends next.
  const low = from > position ? from : position;
  const count = sendable < 0 ? records.length : sendable;
  const through = records
    .slice(0, count)
    .reduce((latest, record) => Math.max(latest, endOfRecord(record) ?? latest), split.through);
  const behind = withBehind(standings, uplink, { low, high: first + count, through });
  return behind === undefined ? { kind: "wait" } : { kind: "behind", split: behind };
}

function withBehind(
  standings: Standings,
  uplink: string,
  { low, high, through }: Range & { readonly through: number },
): Split | undefined {
  const split = standings.splitOf(uplink);
  const backfill = standings.of({ uplink, lane: "backfill" }).next;
  // What backfill is beyond it does not send any more.
  if (low < backfill) return undefined;
  const ranges = withRange(split.ranges, { low, high });
  const isMore = ranges.length > split.ranges.length;
  if (isMore && ranges.length > limits.behindRangesMax) return undefined;
  return { ranges, through: Math.max(split.through, through) };
}

/** Something older than what backfill would send next is still with the fresh lane, or on its way. */
export function mustWaitForFresh(standings: Standings, uplink: string, position: number): boolean {
  const fresh: LaneOf = { uplink, lane: "summaries" };
  return standings.partFrom(fresh, standings.of(fresh).next).low < position;
}

/** Latest end in the newest block of the summaries; -Infinity where there is none. */
export function newestIn(
  kv: Kv,
  { first, next }: { readonly first: number; readonly next: number },
): number {
  const none = Number.NEGATIVE_INFINITY;
  if (first >= next) return none;
  return readOutbox(kv, "summaries", { from: next - 1, bytesMax: 1 }).records.reduce(
    (latest, record) => Math.max(latest, endOfRecord(record) ?? none),
    none,
  );
}
