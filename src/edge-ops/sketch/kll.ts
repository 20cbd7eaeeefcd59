/**
 * KLL quantile sketch (Karnin, Lang & Liberty, "Optimal quantile approximation in streams", FOCS 2016):
 * which value has a given share of the readings below it, in bounded memory, mergeable.
 *
 *   items   [ level h | ... | level 1 | level 0 ]     an item of level l stands for 2^l readings;
 *             sorted          sorted    as they came  level 0 is at the end, where one is appended
 *
 *   full    half of the lowest level that is full goes up: every other item of it, sorted, the first
 *           or the second of each pair as a coin says; the other half is forgotten
 *
 * The capacities of the levels are those of Apache DataSketches (K = 200, M = 8), so that its error is
 * theirs: a rank is off by less than 1.33 % of the readings, a share between two values by less than
 * 1.65 %, each with 99 % confidence, also after merges. Up to K readings nothing is forgotten: all exact.
 *
 * The coin is a hash of what is being halved, not of chance: the same readings in the same order are the
 * same sketch to the bit, and sketches of other readings have other coins.
 */

import { assert } from "../../core/assert.ts";
import { hashOfPair } from "../../core/hash.ts";

/** What decides the error; sketches of one K can be merged. */
export const KLL_K = 200;
/** Least capacity of a level. */
export const KLL_M = 8;
/** Enough for 2^46 readings. */
export const KLL_LEVELS_MAX = 40;

/** Items that a sketch of so many levels may have: capacities[levels]. */
const capacities: readonly number[] = Array.from({ length: KLL_LEVELS_MAX + 1 }, (_, levels) =>
  Array.from({ length: levels }, (_level, depth) => capacityAt(depth)).reduce((a, b) => a + b, 0),
);

/** The top level is at depth 0 and has room for K; each below for two thirds of that above. */
function capacityAt(depth: number): number {
  return Math.max(KLL_M, Math.round(KLL_K * (2 / 3) ** depth));
}

/** The most items that a sketch of `levels` levels keeps. */
export function kllCapacity(levels: number): number {
  return capacities[levels]!;
}

const ITEMS_MAX = kllCapacity(KLL_LEVELS_MAX);
const merging = new Float64Array(2 * ITEMS_MAX);
const oneDouble = new Float64Array(1);
const itsWords = new Uint32Array(oneDouble.buffer);

/**
 * One sketch, to be used again: it allocates views, and what sorting does, when a level is full. 13 KB.
 * Those who store and read sketches (kll-pool.ts, kll-format.ts) fill its fields themselves.
 */
export class Kll {
  /** Readings it stands for. */
  count = 0;
  /** Exact; mean nothing while `count` is 0. */
  min = 0;
  max = 0;
  /** Levels in use; 0 while it is empty. */
  levels = 0;
  /** Items of each level. */
  readonly sizes: Uint16Array = new Uint16Array(KLL_LEVELS_MAX);
  /** The top level first. Two sketches fit while they are merged. */
  readonly items: Float64Array = new Float64Array(2 * ITEMS_MAX);
  /** Items in use. */
  size = 0;

  clear(): void {
    this.count = 0;
    this.levels = 0;
    this.size = 0;
    this.sizes.fill(0);
  }

  /** Adds a reading; it must be finite. Amortised O(log K). */
  add(value: number): void {
    if (this.count === 0) {
      this.levels = 1;
      this.min = value;
      this.max = value;
    } else if (value < this.min) this.min = value;
    else if (value > this.max) this.max = value;
    if (this.size >= kllCapacity(this.levels)) this.compact();
    this.items[this.size++] = value;
    this.sizes[0]! += 1;
    this.count += 1;
  }

  /** Adds what another sketch stands for; that one is not changed. */
  merge(other: Kll): void {
    if (other.count === 0) return;
    const isFirst = this.count === 0;
    this.min = isFirst ? other.min : Math.min(this.min, other.min);
    this.max = isFirst ? other.max : Math.max(this.max, other.max);
    this.count += other.count;
    const levels = Math.max(this.levels, other.levels);
    let mine = 0;
    let theirs = 0;
    let to = 0;
    for (let level = levels - 1; level >= 0; level--) {
      const [own, added] = [this.sizes[level]!, other.sizes[level]!];
      const [a, b] = [subarray(this, mine, own), subarray(other, theirs, added)];
      if (level > 0) mergeSorted(a, b, to);
      else {
        merging.set(a, to);
        merging.set(b, to + own);
      }
      mine += own;
      theirs += added;
      to += own + added;
      this.sizes[level] = own + added;
    }
    this.items.set(merging.subarray(0, to));
    this.size = to;
    this.levels = levels;
    while (this.size > kllCapacity(this.levels)) this.compact();
  }

  /** Makes room: the lowest level that is full is halved. */
  compact(): void {
    let level = 0;
    while (this.sizes[level]! < capacityAt(this.levels - 1 - level)) level++;
    if (level === this.levels - 1) {
      assert(this.levels < KLL_LEVELS_MAX, "a sketch has room for its readings");
      this.levels += 1;
    }
    this.#halve(level);
  }

  #halve(level: number): void {
    const size = this.sizes[level]!;
    const above = this.sizes[level + 1]!;
    const from = this.#startOf(level + 1);
    const own = from + above;
    // An odd one stays: of level 0 the one that came first, of others the smallest.
    const odd = size & 1;
    const half = size >>> 1;
    const halved = subarray(this, own + odd, 2 * half);
    if (level === 0) halved.sort();
    const coin = coinOf(this.count, halved[half]!);
    for (let i = 0; i < half; i++) halved[i] = halved[2 * i + coin]!;
    const stays = this.items[own]!;
    const end = mergeSorted(subarray(this, from, above), halved.subarray(0, half), 0);
    this.items.set(merging.subarray(0, end), from);
    if (odd === 1) this.items[from + end] = stays;
    this.items.copyWithin(from + end + odd, own + size, this.size);
    this.size -= half;
    this.sizes[level + 1] = above + half;
    this.sizes[level] = odd;
  }

  /** Where a level begins among the items. */
  #startOf(level: number): number {
    let start = 0;
    for (let above = this.levels - 1; above > level; above--) start += this.sizes[above]!;
    return start;
  }

  /** Sorts level 0 as well: what is written does not depend on the order in it. The sketch says the same. */
  sort(): void {
    subarray(this, this.size - this.sizes[0]!, this.sizes[0]!).sort();
  }

  /**
   * Percentiles by the nearest rank: the smallest value with at least so many percent of the readings at
   * or below it. `percents`: whole numbers from 1 to 100, ascending; the sketch is not empty, and sorted.
   * Into `values`, one each. O(items * levels).
   */
  percentiles(percents: readonly number[], values: Float64Array): void {
    const { levels, items, sizes } = this;
    let at = 0;
    for (let level = levels - 1; level >= 0; level--) {
      nextOf[level] = at;
      at += sizes[level]!;
      endOf[level] = at;
    }
    let below = 0;
    let value = this.min;
    for (const [i, percent] of percents.entries()) {
      const wanted = Math.ceil((percent * this.count) / 100);
      while (below < wanted) {
        let least = -1;
        for (let level = 0; level < levels; level++) {
          if (nextOf[level] === endOf[level]) continue;
          if (least < 0 || items[nextOf[level]!]! < items[nextOf[least]!]!) least = level;
        }
        value = items[nextOf[least]!]!;
        nextOf[least]! += 1;
        below += 2 ** least;
      }
      values[i] = wanted === this.count ? this.max : wanted === 1 ? this.min : value;
    }
  }
}

const nextOf = new Uint32Array(KLL_LEVELS_MAX);
const endOf = new Uint32Array(KLL_LEVELS_MAX);

function subarray({ items }: Kll, from: number, length: number): Float64Array {
  return items.subarray(from, from + length);
}

/** Merges two ascending runs into `merging` from `to` on; where it ended. */
function mergeSorted(a: Float64Array, b: Float64Array, to: number): number {
  let at = to;
  let j = 0;
  for (const value of a) {
    while (j < b.length && b[j]! < value) merging[at++] = b[j++]!;
    merging[at++] = value;
  }
  while (j < b.length) merging[at++] = b[j++]!;
  return at;
}

/** 0 or 1, of how many readings there were and of one of them. */
function coinOf(count: number, value: number): number {
  oneDouble[0] = value;
  return hashOfPair(hashOfPair(count | 0, itsWords[0]!), itsWords[1]!) >>> 31;
}
