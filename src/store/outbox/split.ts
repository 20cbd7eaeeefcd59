/**
 * The split of the summaries' queue for one uplink: which of its numbers the lane `backfill` sends, and
 * until when what is new must follow it.
 *
 *   numbers    0 ......... 100 ............... 500 ..... 520 .. 530 ......
 *   sent by    summaries  | backfill          | summaries | b. | summaries
 *                                                          `- a correction of what is behind
 *
 *   ranges     numbers that were put behind, ascending, with something between each two. One is
 *              forgotten when both lanes are beyond it
 *   through    the latest end of a window, or time of a gap, that was put behind since nothing was
 *
 * A record that corrects a window which ends by `through` may correct one that is still behind: it is
 * put behind as well, so that no revision overtakes an older one. Whatever else ends by then goes the
 * same way, and so does every completeness marker while anything is behind: it is about all before it.
 *
 *   uplink/<name>/split   {"v":1,"through":t,"behind":[[low,high],..]}
 */

import { assert } from "../../core/assert.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  itemsOf,
  listOf,
  numberOf,
  wholeOf,
} from "../state/stored-json.ts";
import { idOf } from "./record-id.ts";

/** Numbers [low, high) of a queue. */
export type Range = { readonly low: number; readonly high: number };

export type Split = {
  readonly ranges: readonly Range[];
  /** -Infinity where nothing is behind. */
  readonly through: number;
};

export const unsplit: Split = { ranges: [], through: Number.NEGATIVE_INFINITY };

/** End of the record's window or of a gap, or what a marker is about; undefined where it has none. */
export function endOfRecord(record: Uint8Array): number | undefined {
  const id = idOf(record);
  if (id?.kind === "summary") return id.start + id.resolution;
  if (id?.kind === "gap") return id.end;
  return id?.kind === "complete" ? id.through : undefined;
}

/** It may correct what is behind, or is as old. Of a session the start is the identity, not the end. */
export function mustFollow({ through }: Split, record: Uint8Array): boolean {
  const id = idOf(record);
  if (id?.kind === "complete") return through > unsplit.through;
  if (id?.kind === "gap") return id.end <= through;
  if (id?.kind !== "summary") return false;
  return id.start + id.resolution <= through || (id.revision > 0 && id.start < through);
}

// ---- ranges ----

/** With one more, which meets none of them but may touch some. */
export function withRange(ranges: readonly Range[], { low, high }: Range): readonly Range[] {
  assert(low < high, "a range has numbers");
  const before = ranges.filter((range) => range.high < low);
  const behind = ranges.filter((range) => range.low > high);
  const touching = ranges.filter((range) => range.high >= low && range.low <= high);
  assert(
    touching.every((range) => range.high === low || range.low === high),
    "what is behind is not put behind again",
  );
  const joined = {
    low: Math.min(low, ...touching.map((range) => range.low)),
    high: Math.max(high, ...touching.map((range) => range.high)),
  };
  return [...before, joined, ...behind];
}

/** Without what both lanes are beyond: that is decided. */
export function trimmed(
  split: Split,
  next: { readonly summaries: number; readonly backfill: number },
): Split {
  const below = Math.min(next.summaries, next.backfill);
  const { ranges } = split;
  const isBehind = (ranges.at(-1)?.high ?? 0) > next.backfill;
  const through = isBehind ? split.through : unsplit.through;
  if ((ranges[0]?.high ?? Infinity) > below && through === split.through) return split;
  return { ranges: ranges.filter(({ high }) => high > below), through };
}

/** The range that has the number, or the next one. */
function rangeFrom(ranges: readonly Range[], number: number): Range | undefined {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.high <= number) low = middle + 1;
    else high = middle;
  }
  return ranges[low];
}

export function isIn(ranges: readonly Range[], number: number): boolean {
  return (rangeFrom(ranges, number)?.low ?? Infinity) <= number;
}

/**
 * From `from` on, the first numbers that are in a range (`inside`) or in none: up to where that changes.
 * `low` is Infinity where there are none.
 */
export function partFrom(ranges: readonly Range[], from: number, isInside: boolean): Range {
  const range = rangeFrom(ranges, from);
  if (isInside) {
    return { low: Math.max(from, range?.low ?? Infinity), high: range?.high ?? Infinity };
  }
  if (range === undefined || range.low > from) return { low: from, high: range?.low ?? Infinity };
  return { low: range.high, high: rangeFrom(ranges, range.high)?.low ?? Infinity };
}

/** How many numbers of [low, high) are in a range. */
export function countIn(ranges: readonly Range[], { low, high }: Range): number {
  return ranges.reduce(
    (sum, range) => sum + Math.max(0, Math.min(high, range.high) - Math.max(low, range.low)),
    0,
  );
}

/** `ranges` without the numbers of `without`; both ascending. */
export function difference(ranges: readonly Range[], without: readonly Range[]): readonly Range[] {
  return ranges.flatMap(({ low, high }) => {
    const parts: Range[] = [];
    let at = low;
    for (const gone of without) {
      if (gone.high <= at || gone.low >= high) continue;
      if (gone.low > at) parts.push({ low: at, high: gone.low });
      at = gone.high;
    }
    if (at < high) parts.push({ low: at, high });
    return parts;
  });
}

// ---- bytes ----

export function encodeSplit({ ranges, through }: Split): Uint8Array {
  return encodeJson({
    v: 1,
    ...(through === unsplit.through ? {} : { through }),
    behind: ranges.map(({ low, high }) => [low, high]),
  });
}

/** Faults: STORE_FAILED, naming `place`. */
export function decodeSplit(bytes: Uint8Array, place: string): Split {
  const stored = decodeJson(bytes, place);
  if (wholeOf(stored, "v") !== 1) throw damaged(place, "it is of a later version");
  const ranges = rangesOf(listOf(stored, "behind"), place);
  const through = "through" in stored.fields ? numberOf(stored, "through") : unsplit.through;
  return { ranges, through };
}

/** `[[low,high],..]`, ascending, apart from each other. Faults: STORE_FAILED. */
export function rangesOf(items: readonly unknown[], place: string): readonly Range[] {
  let before = -1;
  return items.map((item) => {
    const [low, high] = itemsOf(item, place);
    const stored = { place, fields: { low, high } };
    const range = { low: wholeOf(stored, "low"), high: wholeOf(stored, "high") };
    if (range.low <= before || range.high <= range.low) {
      throw damaged(place, "its ranges are not in order");
    }
    before = range.high;
    return range;
  });
}
