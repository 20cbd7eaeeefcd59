/**
 * Mergeable aggregates in columns: one slot per pane, session or scratch window, and only the
 * columns that were asked for.
 *
 *   sum       compensated pair (Neumaier 1974): the sum is high + low; with each addition low takes
 *             what high lost, so the error does not grow with the count
 *   variance  mean and M2 (Welford 1962), merged by Chan, Golub and LeVeque 1979
 *   first     earliest event time, the first that arrived among equals
 *   last      latest event time, the last that arrived among equals
 *   sketches  for quantiles and percentiles, see kll-pool.ts; min and max with them
 *
 * A slot is empty while its count is 0; its other cells then mean nothing and are set by the first
 * reading. Only a sketch takes room that must be given back, so slots are emptied by `emptySlot`.
 * Values must be finite.
 */

import type { SummaryFields } from "../../core/record.ts";
import { millis } from "../../core/units.ts";
import { errorOfSum } from "../rounding-error.ts";
import { percentileNames, sketchFieldsOf } from "../sketch/kll-fields.ts";
import { KllPool } from "../sketch/kll-pool.ts";
import type { AggregateName } from "../spec.ts";
import type { Column } from "../state-table.ts";

export type Aggregates = {
  readonly hasSum: boolean;
  readonly hasMoments: boolean;
  readonly hasMin: boolean;
  readonly hasMax: boolean;
  readonly hasFirst: boolean;
  readonly hasLast: boolean;
  readonly names: ReadonlySet<AggregateName>;
  readonly count: Uint32Array;
  /** Readings whose time is our arrival time. */
  readonly arrivalTimed: Uint32Array;
  readonly sumHigh: Float64Array;
  readonly sumLow: Float64Array;
  readonly mean: Float64Array;
  readonly m2: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly first: Float64Array;
  readonly firstTime: Float64Array;
  readonly last: Float64Array;
  readonly lastTime: Float64Array;
  readonly sketches: KllPool | undefined;
};

/** `table`: name of the table that the sketches are kept in, where there are some. */
export function createAggregates(
  names: readonly AggregateName[],
  { slotsMax, table }: { readonly slotsMax: number; readonly table: string },
): Aggregates {
  const has = new Set(names);
  const column = (isUsed: boolean): Float64Array => new Float64Array(isUsed ? slotsMax : 0);
  const hasSum = has.has("sum") || has.has("mean");
  const hasMoments = has.has("variance");
  const hasFirst = has.has("first");
  const hasLast = has.has("last");
  const hasSketches = has.has("quantiles") || percentileNames.some((name) => has.has(name));
  const hasMin = hasSketches || has.has("min");
  const hasMax = hasSketches || has.has("max");
  return {
    hasSum,
    hasMoments,
    hasMin,
    hasMax,
    hasFirst,
    hasLast,
    names: has,
    count: new Uint32Array(slotsMax),
    arrivalTimed: new Uint32Array(slotsMax),
    sumHigh: column(hasSum),
    sumLow: column(hasSum),
    mean: column(hasMoments),
    m2: column(hasMoments),
    min: column(hasMin),
    max: column(hasMax),
    first: column(hasFirst),
    firstTime: column(hasFirst),
    last: column(hasLast),
    lastTime: column(hasLast),
    sketches: hasSketches ? new KllPool(table, slotsMax) : undefined,
  };
}

/** The columns in use, for a StateTable whose rows are `stride` slots each. */
export function columnsOf(a: Aggregates, stride: number): Column[] {
  const floats = [
    a.sumHigh,
    a.sumLow,
    a.mean,
    a.m2,
    a.min,
    a.max,
    a.first,
    a.firstTime,
    a.last,
    a.lastTime,
  ];
  const used = floats.filter((cells) => cells.length > 0);
  const columns = [a.count, a.arrivalTimed, ...used].map((cells) => ({ cells, stride }));
  return [...columns, ...(a.sketches?.columns(stride) ?? [])];
}

/** The slot has no readings. */
export function emptySlot(a: Aggregates, slot: number): void {
  a.count[slot] = 0;
  a.sketches?.empty(slot);
}

/** Adds one reading to a slot; `isArrivalTimed` is 0 or 1. O(1), no allocation. */
export function addReading(
  a: Aggregates,
  slot: number,
  value: number,
  time: number,
  isArrivalTimed: number,
): void {
  const count = a.count[slot]! + 1;
  a.count[slot] = count;
  if (count === 1) {
    startSlot(a, slot, value, time, isArrivalTimed);
    return;
  }
  a.arrivalTimed[slot]! += isArrivalTimed;
  if (a.hasSum) addToSum(a, slot, value);
  if (a.hasMoments) {
    const mean = a.mean[slot]!;
    const moved = mean + (value - mean) / count;
    a.mean[slot] = moved;
    a.m2[slot]! += (value - mean) * (value - moved);
  }
  if (a.hasMin && value < a.min[slot]!) a.min[slot] = value;
  if (a.hasMax && value > a.max[slot]!) a.max[slot] = value;
  if (a.hasFirst && time < a.firstTime[slot]!) {
    a.first[slot] = value;
    a.firstTime[slot] = time;
  }
  if (a.hasLast && time >= a.lastTime[slot]!) {
    a.last[slot] = value;
    a.lastTime[slot] = time;
  }
  if (a.sketches !== undefined) a.sketches.add(slot, value, count - 1);
}

function startSlot(
  a: Aggregates,
  slot: number,
  value: number,
  time: number,
  isArrivalTimed: number,
): void {
  a.arrivalTimed[slot] = isArrivalTimed;
  if (a.hasSum) {
    a.sumHigh[slot] = value;
    a.sumLow[slot] = 0;
  }
  if (a.hasMoments) {
    a.mean[slot] = value;
    a.m2[slot] = 0;
  }
  if (a.hasMin) a.min[slot] = value;
  if (a.hasMax) a.max[slot] = value;
  if (a.hasFirst) {
    a.first[slot] = value;
    a.firstTime[slot] = time;
  }
  if (a.hasLast) {
    a.last[slot] = value;
    a.lastTime[slot] = time;
  }
  if (a.sketches !== undefined) a.sketches.add(slot, value, 0);
}

function addToSum(a: Aggregates, slot: number, value: number): void {
  const high = a.sumHigh[slot]!;
  const sum = high + value;
  a.sumLow[slot]! += errorOfSum(high, value, sum);
  a.sumHigh[slot] = sum;
}

/** Adds slot `from` of `b` to slot `to` of `a`, as if `from`'s readings had arrived after `to`'s. */
export function mergeSlot(a: Aggregates, to: number, b: Aggregates, from: number): void {
  const added = b.count[from]!;
  if (added === 0) return;
  const before = a.count[to]!;
  if (a.sketches !== undefined && b.sketches !== undefined) {
    a.sketches.merge(to, before, b.sketches, { from, count: added });
  }
  if (before === 0) {
    copySlot(a, to, b, from);
    return;
  }
  const count = before + added;
  a.count[to] = count;
  a.arrivalTimed[to]! += b.arrivalTimed[from]!;
  if (a.hasSum) {
    addToSum(a, to, b.sumHigh[from]!);
    a.sumLow[to]! += b.sumLow[from]!;
  }
  if (a.hasMoments) {
    const apart = b.mean[from]! - a.mean[to]!;
    a.mean[to]! += (apart * added) / count;
    a.m2[to]! += b.m2[from]! + (apart * apart * before * added) / count;
  }
  if (a.hasMin && b.min[from]! < a.min[to]!) a.min[to] = b.min[from]!;
  if (a.hasMax && b.max[from]! > a.max[to]!) a.max[to] = b.max[from]!;
  if (a.hasFirst && b.firstTime[from]! < a.firstTime[to]!) {
    a.first[to] = b.first[from]!;
    a.firstTime[to] = b.firstTime[from]!;
  }
  if (a.hasLast && b.lastTime[from]! >= a.lastTime[to]!) {
    a.last[to] = b.last[from]!;
    a.lastTime[to] = b.lastTime[from]!;
  }
}

function copySlot(a: Aggregates, to: number, b: Aggregates, from: number): void {
  a.count[to] = b.count[from]!;
  a.arrivalTimed[to] = b.arrivalTimed[from]!;
  if (a.hasSum) {
    a.sumHigh[to] = b.sumHigh[from]!;
    a.sumLow[to] = b.sumLow[from]!;
  }
  if (a.hasMoments) {
    a.mean[to] = b.mean[from]!;
    a.m2[to] = b.m2[from]!;
  }
  if (a.hasMin) a.min[to] = b.min[from]!;
  if (a.hasMax) a.max[to] = b.max[from]!;
  if (a.hasFirst) {
    a.first[to] = b.first[from]!;
    a.firstTime[to] = b.firstTime[from]!;
  }
  if (a.hasLast) {
    a.last[to] = b.last[from]!;
    a.lastTime[to] = b.lastTime[from]!;
  }
}

/** What a summary says of the slot: the aggregates asked for; nothing where it is empty. */
export function fieldsOf(a: Aggregates, slot: number): SummaryFields {
  const count = a.count[slot]!;
  const fields: { -readonly [Name in keyof SummaryFields]: SummaryFields[Name] } = {};
  if (count === 0) return fields;
  const { names } = a;
  if (a.hasSum) {
    const high = a.sumHigh[slot]!;
    const low = a.sumLow[slot]!;
    const sum = high + low;
    if (names.has("sum")) {
      fields.sum = Number.isFinite(sum) ? sum : high;
      // What the rounded sum lacks; an overflowed sum has no low part.
      fields.sumError = Number.isFinite(sum) ? errorOfSum(high, low, sum) : 0;
    }
    if (names.has("mean")) fields.mean = (Number.isFinite(sum) ? sum : high) / count;
  }
  if (names.has("min")) fields.min = a.min[slot]!;
  if (names.has("max")) fields.max = a.max[slot]!;
  if (names.has("variance")) fields.variance = a.m2[slot]! / count;
  if (names.has("first")) {
    fields.first = a.first[slot]!;
    fields.firstTime = millis(a.firstTime[slot]!);
  }
  if (names.has("last")) {
    fields.last = a.last[slot]!;
    fields.lastTime = millis(a.lastTime[slot]!);
  }
  if (a.sketches === undefined) return fields;
  const sketch = a.sketches.sketchOf(slot, { count, min: a.min[slot]!, max: a.max[slot]! });
  if (sketch === undefined) return fields;
  return Object.assign(
    fields,
    sketchFieldsOf(sketch, (name) => names.has(name)),
  );
}

/** Whether the slot should have a sketch and found no room for it. */
export function lacksSketch({ sketches }: Aggregates, slot: number): boolean {
  return sketches?.isLost(slot) === true;
}
