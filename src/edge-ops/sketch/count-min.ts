/**
 * Count-Min sketch (Cormode & Muthukrishnan, "An improved data stream summary", J. Algorithms 55,
 * 2005): how often each of many items occurred, in fixed memory, never too low.
 *
 *            width columns
 *   row 0   [ . . +1 . . . . . ]     an item has one counter per row; adding it adds to each,
 *   row 1   [ . . . . . . +1 . ]     its estimate is the smallest of them: what other items
 *   row 2   [ +1 . . . . . . . ]     added to it is least there
 *
 * Error: estimate >= true count, and with N = all that was counted, estimate <= true count +
 * (e / width) * N with probability 1 - e^-depth for any one item. The columns of an item are
 * low + row * high of its two hash halves, the high one made odd (Kirsch & Mitzenmacher, "Less
 * hashing, same performance", 2008, who show the same bound for Count-Min up to a term that
 * vanishes with the width).
 *
 * The plain update, not the conservative one (Estan & Varghese 2002): that one is more exact but
 * its result depends on the order of additions, and a sum of two such sketches is no sketch of the
 * union. Here a merge is the sketch of the union, to the last bit.
 *
 * Counters saturate at 2^32 - 1; from there on an estimate may be too low.
 */

import { assert } from "../../core/assert.ts";
import type { Hash } from "../../core/hash.ts";
import { limits } from "../../core/limits.ts";

export type CountMinShape = {
  /** Rows, 1 to limits.sketchDepthMax. */
  readonly depth: number;
  /** Columns, a power of two from 2 to limits.sketchWidthMax. */
  readonly width: number;
};

/** The arrays belong to whoever made the sketch; they may be columns of a StateTable. */
export type CountMin = CountMinShape & {
  /** Row r is [r * width, (r + 1) * width). */
  readonly counters: Uint32Array;
  /** One cell: N, the sum of everything added; exact below 2^53. */
  readonly total: Float64Array;
};

const COUNTER_MAX = 0xffff_ffff;

/** Whether a sketch of this shape can be made. */
export function isCountMinShape({ depth, width }: CountMinShape): boolean {
  return (
    Number.isInteger(depth) &&
    depth >= 1 &&
    depth <= limits.sketchDepthMax &&
    Number.isInteger(width) &&
    width >= 2 &&
    width <= limits.sketchWidthMax &&
    (width & (width - 1)) === 0
  );
}

export function createCountMin({ depth, width }: CountMinShape): CountMin {
  assert(isCountMinShape({ depth, width }), "the shape of a Count-Min sketch is within its bounds");
  return { depth, width, counters: new Uint32Array(depth * width), total: new Float64Array(1) };
}

/** Counts an item once, given by its hash halves; returns its estimate afterwards. O(depth). */
export function countOne(sketch: CountMin, low: number, high: number): number {
  const { counters, depth, width } = sketch;
  const step = high | 1;
  let hash = low;
  let least = COUNTER_MAX;
  for (let row = 0; row < depth; row++) {
    const cell = row * width + (hash & (width - 1));
    const before = counters[cell]!;
    const after = before < COUNTER_MAX ? before + 1 : COUNTER_MAX;
    counters[cell] = after;
    if (after < least) least = after;
    hash = (hash + step) | 0;
  }
  sketch.total[0]! += 1;
  return least;
}

/** How often the item was counted: never too low, seldom more than e / width * N too high. O(depth). */
export function estimateOf(sketch: CountMin, { low, high }: Hash): number {
  const { counters, depth, width } = sketch;
  const step = high | 1;
  let hash = low;
  let least = COUNTER_MAX;
  for (let row = 0; row < depth; row++) {
    const count = counters[row * width + (hash & (width - 1))]!;
    if (count < least) least = count;
    hash = (hash + step) | 0;
  }
  return least;
}

/** Makes `into` the sketch of what both have counted. Both have one shape. O(depth * width). */
export function mergeCountMin(into: CountMin, from: CountMin): void {
  assert(
    into.depth === from.depth && into.width === from.width,
    "only Count-Min sketches of one shape are merged",
  );
  for (let cell = 0; cell < into.counters.length; cell++) {
    const sum = into.counters[cell]! + from.counters[cell]!;
    into.counters[cell] = sum < COUNTER_MAX ? sum : COUNTER_MAX;
  }
  into.total[0]! += from.total[0]!;
}

/** Forgets everything that was counted. */
export function clearCountMin(sketch: CountMin): void {
  sketch.counters.fill(0);
  sketch.total[0] = 0;
}

/** 1: MurmurHash3 x86_32 under the two seeds of core/hash.ts, plain update. */
const VERSION = 1;
const HEADER_BYTES = 24;

/**
 * The sketch as bytes the caller owns, little-endian: u32 version, u32 depth, u32 width, u32 zero,
 * f64 total, then the counters row by row, u32 each.
 */
export function encodeCountMin(sketch: CountMin): Uint8Array {
  const { counters, depth, width } = sketch;
  const bytes = new Uint8Array(HEADER_BYTES + counters.length * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, VERSION, true);
  view.setUint32(4, depth, true);
  view.setUint32(8, width, true);
  view.setFloat64(16, sketch.total[0]!, true);
  for (let cell = 0; cell < counters.length; cell++) {
    view.setUint32(HEADER_BYTES + cell * 4, counters[cell]!, true);
  }
  return bytes;
}

/** A new sketch from encoded bytes; undefined where they are not of this version and shape. */
export function decodeCountMin(bytes: Uint8Array): CountMin | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const depth = view.getUint32(4, true);
  const width = view.getUint32(8, true);
  const total = view.getFloat64(16, true);
  if (view.getUint32(0, true) !== VERSION || view.getUint32(12, true) !== 0) return undefined;
  if (!isCountMinShape({ depth, width })) return undefined;
  if (bytes.length !== HEADER_BYTES + depth * width * 4) return undefined;
  if (!Number.isSafeInteger(total) || total < 0) return undefined;
  const sketch = createCountMin({ depth, width });
  sketch.total[0] = total;
  for (let cell = 0; cell < sketch.counters.length; cell++) {
    sketch.counters[cell] = view.getUint32(HEADER_BYTES + cell * 4, true);
  }
  return sketch;
}
