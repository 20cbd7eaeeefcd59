/**
 * Where the uplinks are in the queues of the outbox, and what follows from that: what may be removed,
 * what may be changed, and what each lane has to send. In memory; what it is made of is stored by the
 * lanes (how far they are) and by the state store (splits).
 *
 *   uplink   sent     held           waits
 *            | <next  | <held        |
 *   a        ■■■■■■■■■ ▨▨▨▨ □□□□□□□□□
 *   b        ■■■■ □□□□□□□□□□□□□□□□□□□
 *   segments      └──┘       └───────┘      the same for all, held by none: may be changed
 */

import { byLane, type Lane, type Queue, queueOf } from "./lane.ts";
import { countIn, isIn, partFrom, type Range, type Split, trimmed, unsplit } from "./split.ts";

/** A lane of an uplink. */
export type LaneOf = { readonly uplink: string; readonly lane: Lane };

export type Standing = {
  /** All numbers of the lane below are out there, and that is stored. */
  readonly next: number;
  /** All below may be out there, or on their way. */
  readonly held: number;
};

type Place = { readonly standings: Record<Lane, Standing>; split: Split };

const nowhere: Standing = { next: 0, held: 0 };

export class Standings {
  readonly #places = new Map<string, Place>();

  serve(
    uplink: string,
    { heldOf, split }: { readonly heldOf: (lane: Lane) => number; readonly split: Split },
  ): void {
    const at = (lane: Lane): Standing => ({ next: 0, held: heldOf(lane) });
    this.#places.set(uplink, { standings: byLane(at), split });
  }

  of({ uplink, lane }: LaneOf): Standing {
    return this.#places.get(uplink)?.standings[lane] ?? nowhere;
  }

  set({ uplink, lane }: LaneOf, { next, held }: Standing): void {
    this.#placeOf(uplink).standings[lane] = { next, held: Math.max(next, held) };
  }

  splitOf(uplink: string): Split {
    return this.#places.get(uplink)?.split ?? unsplit;
  }

  setSplit(uplink: string, split: Split): void {
    this.#placeOf(uplink).split = split;
  }

  /** Without what both lanes are beyond; the same where nothing is. */
  trimmedSplit(uplink: string): Split {
    const place = this.#places.get(uplink);
    if (place === undefined) return unsplit;
    const { summaries, backfill } = place.standings;
    return trimmed(place.split, { summaries: summaries.next, backfill: backfill.next });
  }

  /** The first numbers from `from` on that are the lane's, up to the next that is not. */
  partFrom({ uplink, lane }: LaneOf, from: number): Range {
    if (queueOf(lane) !== "summaries") return { low: from, high: Infinity };
    return partFrom(this.splitOf(uplink).ranges, from, lane === "backfill");
  }

  /** How many numbers of [low, high) are the lane's. */
  count({ uplink, lane }: LaneOf, { low, high }: Range): number {
    if (high <= low) return 0;
    if (queueOf(lane) !== "summaries") return high - low;
    const behind = countIn(this.splitOf(uplink).ranges, { low, high });
    return lane === "backfill" ? behind : high - low - behind;
  }

  /** What every uplink has of the queue's [low, high), ascending. */
  sent(queue: Queue, whole: Range): readonly Range[] {
    return this.#parts(queue, whole).filter(({ state }) => /^s*$/.test(state));
  }

  /** What of the queue's [low, high) may be changed: sent to the same uplinks, held for none. Ascending. */
  segments(queue: Queue, whole: Range): readonly Range[] {
    return this.#parts(queue, whole).flatMap(({ low, high, state }) =>
      state.includes("h") ? [] : [{ low, high }],
    );
  }

  /** Runs of numbers that stand alike with all uplinks: a letter for each. */
  #parts(queue: Queue, whole: Range): readonly (Range & { readonly state: string })[] {
    const places = [...this.#places.values()];
    const lanes: readonly Lane[] = queue === "summaries" ? ["summaries", "backfill"] : [queue];
    const cuts = new Set<number>([whole.low, whole.high]);
    for (const { standings, split } of places) {
      for (const lane of lanes) cuts.add(standings[lane].next).add(standings[lane].held);
      if (queue === "summaries") {
        for (const { low, high } of split.ranges) cuts.add(low).add(high);
      }
    }
    const sorted = [...cuts]
      .filter((cut) => cut >= whole.low && cut <= whole.high)
      .toSorted((a, b) => a - b);
    const parts: { low: number; high: number; state: string }[] = [];
    for (const [index, low] of sorted.entries()) {
      const high = sorted[index + 1];
      if (high === undefined) break;
      const state = places.map((place) => stateAt(place, queue, low)).join("");
      const last = parts.at(-1);
      if (last?.state === state) last.high = high;
      else parts.push({ low, high, state });
    }
    return parts;
  }

  #placeOf(uplink: string): Place {
    const known = this.#places.get(uplink);
    if (known !== undefined) return known;
    this.serve(uplink, { heldOf: () => 0, split: unsplit });
    return this.#placeOf(uplink);
  }
}

/** s: sent, h: held; else whose it is to send: w the queue's own lane, b backfill. */
function stateAt({ standings, split }: Place, queue: Queue, number: number): "s" | "h" | "w" | "b" {
  const isBehind = queue === "summaries" && isIn(split.ranges, number);
  const { next, held } = standings[isBehind ? "backfill" : queue];
  if (number < next) return "s";
  if (number < held) return "h";
  return isBehind ? "b" : "w";
}
