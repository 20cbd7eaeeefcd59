/**
 * The outbox as the lanes of the uplinks see it: what each has to send, what it took to be sent, and
 * which summaries are put behind. Part of the state store (state-store.ts), which stores how far lanes
 * are and removes what all have.
 *
 *   take        records of a lane, held for it from then on
 *   putBehind   what is too old to keep what is fresh waiting becomes backfill's
 *
 * Each of these has its turn among the store's transactions: what was taken is not put behind, and what
 * was put behind is not taken by the fresh lane.
 */

import { unreachable } from "../../core/assert.ts";
import type { Kv, KvWrite } from "../../core/doors.ts";
import { splitKey } from "../state/kv-key.ts";
import { splitFormatWrites } from "../state/state-format.ts";
import { type Lane, type Queue, queueOf } from "./lane.ts";
import {
  inOrder,
  type LaneRead,
  type LaneReading,
  mustWaitForFresh,
  newestIn,
  readLane,
  tooOld,
  type TooOldOptions,
} from "./lane-reading.ts";
import type { QueueSpan } from "./queue-span.ts";
import { decodeSplit, encodeSplit, endOfRecord, type Range, type Split, unsplit } from "./split.ts";
import { type LaneOf, Standings } from "./standings.ts";

export type OutboxLanesOptions = {
  /** Of the state store, which changes them. */
  readonly spans: Readonly<Record<Queue, QueueSpan>>;
  /** Runs one transaction after another. */
  readonly inTurn: (run: () => Promise<void>) => Promise<void>;
  readonly write: (writes: readonly KvWrite[]) => Promise<void>;
};

type ReadOptions = { readonly from: number; readonly bytesMax: number };

/** A lane that is further, before that is stored. */
export type Step = {
  /** What every uplink has then, as far as this lane made a difference. */
  readonly sent: readonly Range[];
  /** To be stored with it. */
  readonly writes: readonly KvWrite[];
  readonly done: () => void;
  readonly undo: () => void;
};

export class OutboxLanes {
  readonly standings: Standings = new Standings();
  readonly #kv: Kv;
  readonly #options: OutboxLanesOptions;
  /** Latest end of the summaries of the last commit that had some. */
  #newest: number;
  /** By uplink, what is known of the fresh lane's next record. */
  readonly #firsts = new Map<string, { readonly number: number; readonly end: number }>();

  constructor(kv: Kv, options: OutboxLanesOptions) {
    this.#kv = kv;
    this.#options = options;
    this.#newest = newestIn(kv, options.spans.summaries);
  }

  serve(uplink: string, heldOf: (lane: Lane) => number): void {
    const key = splitKey(uplink);
    const stored = this.#kv.get(key);
    const split = stored === undefined ? unsplit : decodeSplit(stored, `the state store's ${key}`);
    this.standings.serve(uplink, { heldOf, split });
  }

  /** A commit has added summaries, which end at `newest` at the latest. */
  grown(newest: number | undefined): void {
    this.#newest = newest ?? this.#newest;
  }

  // ---- reading ----

  /** Records of the lane from `from` on; see readLane. */
  readLane(at: LaneOf, options: ReadOptions): LaneRead {
    return readLane(this.#reading(at.lane), at, options);
  }

  /** The first number from `from` on that is the lane's, or the queue's end. */
  positionOf(at: LaneOf, from: number): number {
    const { next } = this.#options.spans[queueOf(at.lane)];
    return Math.min(this.standings.partFrom(at, from).low, Math.max(from, next));
  }

  /** How many numbers from `from` on are the lane's. */
  lag(at: LaneOf, from: number): number {
    const { first, next } = this.#options.spans[queueOf(at.lane)];
    return this.standings.count(at, { low: Math.max(first, from), high: next });
  }

  /** What of the queue may be changed, in the order of the numbers. */
  segments(queue: Queue): readonly Range[] {
    return this.standings.segments(queue, this.#wholeOf(queue));
  }

  // ---- sending ----

  /**
   * As `readLane`, for an uplink that sends the records: until it says more, they are held for it.
   * Undefined where they must wait for another lane of the uplink, so that revisions stay in order.
   */
  async take(at: LaneOf, options: ReadOptions): Promise<LaneRead | undefined> {
    let taken: LaneRead | undefined;
    await this.#options.inTurn(async () => {
      taken = await this.#takeNow(at, options);
      if (taken === undefined) return;
      const { next, held } = this.standings.of(at);
      this.standings.set(at, { next, held: Math.max(held, taken.next) });
    });
    return taken;
  }

  /** What the lane may have sent, where that is less than was taken: it was opened, and says so. */
  release(at: LaneOf, held: number): void {
    this.standings.set(at, { ...this.standings.of(at), held });
  }

  /**
   * Puts some of what is too old behind for the uplink, in one transaction (lane-reading.ts, tooOld);
   * false where nothing more is. A few blocks at a time.
   */
  async putBehind(uplink: string, options: TooOldOptions): Promise<boolean> {
    if (this.#endOfFirst(uplink) >= this.#newest - options.freshForMs - options.slackMs)
      return false;
    let more = false;
    await this.#options.inTurn(async () => {
      const newest = this.#newest;
      const old = tooOld(this.#reading("summaries"), uplink, { ...options, newest });
      if (old === undefined) return;
      await this.#storeSplit(uplink, old.split);
      more = old.more;
    });
    return more;
  }

  /** `reached` is as good as stored, until `undo`. `from`: where the lane was before. */
  step(reached: LaneOf & { readonly next: number; readonly held?: number }, from: number): Step {
    const { uplink, lane, next, held = next } = reached;
    const queue = queueOf(lane);
    const before = this.standings.of(reached);
    this.standings.set(reached, { next, held });
    const known = this.standings.splitOf(uplink);
    const split = this.standings.trimmedSplit(uplink);
    return {
      sent: this.standings
        .sent(queue, this.#wholeOf(queue))
        .filter(({ low, high }) => low < next && from < high),
      writes: split === known ? [] : [splitWrite(uplink, split)],
      done: () => this.standings.setSplit(uplink, split),
      undo: () => this.standings.set(reached, before),
    };
  }

  /** End of what the fresh lane would take next; Infinity where there is nothing, or nobody knows. */
  #endOfFirst(uplink: string): number {
    const at: LaneOf = { uplink, lane: "summaries" };
    const { next, held } = this.standings.of(at);
    const number = this.positionOf(at, Math.max(next, held));
    const known = this.#firsts.get(uplink);
    if (known?.number === number) return known.end;
    const [record] = this.readLane(at, { from: number, bytesMax: 1 }).records;
    if (record === undefined) return Infinity;
    const end = endOfRecord(record) ?? Infinity;
    this.#firsts.set(uplink, { number, end });
    return end;
  }

  async #takeNow(at: LaneOf, options: ReadOptions): Promise<LaneRead | undefined> {
    const { uplink, lane } = at;
    const read = this.readLane(at, options);
    if (queueOf(lane) !== "summaries") return read;
    if (lane === "backfill") {
      return mustWaitForFresh(this.standings, uplink, read.position) ? undefined : read;
    }
    const { held } = this.standings.of(at);
    // It may be out there already, under its number in this lane.
    if (read.first < held) return readBelow(read, held);
    const found = inOrder(this.standings, uplink, read);
    switch (found.kind) {
      case "send":
        return found.read;
      case "wait":
        return undefined;
      case "behind": {
        await this.#storeSplit(uplink, found.split);
        const next = this.standings.partFrom(at, read.position).low;
        return { ...read, records: [], from: read.position, first: next, next };
      }
      default:
        return unreachable(found);
    }
  }

  /** From now on the store is none for older weirs, which know of no split. */
  async #storeSplit(uplink: string, split: Split): Promise<void> {
    await this.#options.write([splitWrite(uplink, split), ...splitFormatWrites(this.#kv)]);
    this.standings.setSplit(uplink, split);
  }

  #reading(lane: Lane): LaneReading {
    const end = this.#options.spans[queueOf(lane)].next;
    return { kv: this.#kv, standings: this.standings, end };
  }

  #wholeOf(queue: Queue): Range {
    const { first, next } = this.#options.spans[queue];
    return { low: first, high: next };
  }
}

/** What of it is numbered below `end`. */
function readBelow(read: LaneRead, end: number): LaneRead {
  const records = read.records.slice(0, end - read.first);
  return { ...read, records, next: Math.min(read.next, end) };
}

function splitWrite(uplink: string, split: Split): KvWrite {
  return { key: splitKey(uplink), value: encodeSplit(split) };
}
