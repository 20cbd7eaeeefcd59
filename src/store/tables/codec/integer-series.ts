/**
 * A series of integers in (-2^51, 2^51) as bytes: what is left of them after a prediction, in units
 * of their greatest common step.
 *
 *   u8             prediction: 0 none, 1 the integer before, 2 a line; 4 is added where folded
 *   zigzag varint  1: the first integer
 *   double         2: the slope of the line, per row
 *   zigzag varint  base: what every difference is measured from
 *   varint         step
 *   integers       (difference - base) / step of every row; with 1 of every row but the first
 *
 * A difference is the integer itself; the integer less the one before it; or, in row i, the integer
 * less floor(i * slope + 1/2). A counter or a clock of constant rate is its first integer and its
 * base, and nothing is left. A line is for clocks that are read late by varying times: differences
 * to the row before would take the noise of both rows.
 *
 * Without folding the base is the least of them (frame of reference). Where a few lie far below the
 * rest, which would make every distance long, the base is the middle of a sample instead and a
 * distance d is folded into 2d or -2d - 1.
 */

import { assert } from "../../../core/assert.ts";
import { type ByteReader, type ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import {
  createIntegers,
  decodeIntegers,
  encodeIntegers,
  type Integers,
  measureIntegers,
} from "./integer-codec.ts";

const NONE = 0;
const DELTA = 1;
const LINE = 2;
const FLAG_FOLDED = 4;

/** Magnitudes are below this: then a folded delta is below 2^53. */
export const SERIES_END: number = 2 ** 51;

/** A line of a block stays below 2^50. */
const SLOPE_END = 2 ** 40;
/** What a prediction takes by itself, about; with fewer bits in all, none is worth it. */
const predictionBitsMin = 64;

const rowsMax = limits.tableBlockRowsMax;

/** One way to write a series, measured. */
type Measured = {
  readonly prediction: typeof NONE | typeof DELTA | typeof LINE;
  base: number;
  step: number;
  folded: boolean;
  readonly integers: Integers;
};
const none = createMeasured(NONE);
const delta = createMeasured(DELTA);
const line = createMeasured(LINE);
const differences = new Float64Array(rowsMax);

function createMeasured(prediction: Measured["prediction"]): Measured {
  return { prediction, base: 0, step: 1, folded: false, integers: createIntegers() };
}

/** Rows [0, rows) of `values`: integers of a magnitude below SERIES_END, none of them -0. */
export function encodeSeries(writer: ByteWriter, values: Float64Array, rows: number): void {
  assert(rows > 0 && rows <= rowsMax, "a series is of one block");
  measure(none, values, rows);
  if (rows <= 2 || none.integers.bits <= predictionBitsMin) return write(writer, none, 0);
  for (let i = 1; i < rows; i++) differences[i - 1] = values[i]! - values[i - 1]!;
  measure(delta, differences, rows - 1);
  if (delta.integers.bits + predictionBitsMin >= none.integers.bits) return write(writer, none, 0);
  if (delta.integers.bits <= rows) return write(writer, delta, values[0]!);
  const slope = slopeOf(values, rows);
  if (Math.abs(slope) >= SLOPE_END) return write(writer, delta, values[0]!);
  for (let i = 0; i < rows; i++) differences[i] = values[i]! - Math.floor(i * slope + 0.5);
  measure(line, differences, rows);
  if (line.integers.bits < delta.integers.bits) write(writer, line, slope);
  else write(writer, delta, values[0]!);
}

/** `start`: the first integer or the slope, where the prediction has one. */
function write(writer: ByteWriter, measured: Measured, start: number): void {
  writer.u8(measured.prediction | (measured.folded ? FLAG_FOLDED : 0));
  if (measured.prediction === DELTA) writer.varint(zigzagOf(start));
  else if (measured.prediction === LINE) writer.f64(start);
  writer.varint(zigzagOf(measured.base));
  writer.varint(measured.step);
  encodeIntegers(writer, measured.integers);
}

/** Into rows [0, rows) of `target`; throws MalformedBytes. */
export function decodeSeries(reader: ByteReader, target: Float64Array, rows: number): void {
  const flags = reader.u8();
  const prediction = flags & ~FLAG_FOLDED;
  if (prediction > LINE) throw new MalformedBytes("an unknown prediction", reader.offset - 1);
  const first = prediction === DELTA ? integerOf(reader.varint()) : 0;
  const slope = prediction === LINE ? reader.f64() : 0;
  const base = integerOf(reader.varint());
  const step = reader.varint();
  const count = prediction === DELTA ? rows - 1 : rows;
  decodeIntegers(reader, target, count);
  if ((flags & FLAG_FOLDED) === 0) {
    for (let i = 0; i < count; i++) target[i] = base + target[i]! * step;
  } else {
    for (let i = 0; i < count; i++) {
      const folded = target[i]!;
      const half = Math.floor(folded / 2);
      target[i] = base + (half * 2 === folded ? half : -half - 1) * step;
    }
  }
  if (prediction === DELTA) addUp(target, rows, first);
  else if (prediction === LINE) {
    for (let i = 0; i < rows; i++) target[i]! += Math.floor(i * slope + 0.5);
  }
}

/** From differences to the row before, those of the second row first, to integers. */
function addUp(target: Float64Array, rows: number, first: number): void {
  let value = first;
  for (let i = 0; i < rows - 1; i++) {
    const difference = target[i]!;
    target[i] = value;
    value += difference;
  }
  target[rows - 1] = value;
}

/** 0, -1, 1, -2 ... as 0, 1, 2, 3 ... */
function zigzagOf(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

function integerOf(zigzag: number): number {
  return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
}

// ---- measuring ----

function measure(measured: Measured, values: Float64Array, rows: number): void {
  const { integers } = measured;
  integers.rows = rows;
  measured.step = stepOf(values, rows);
  let least = values[0]!;
  for (let i = 1; i < rows; i++) if (values[i]! < least) least = values[i]!;
  const samples = sortSample(values, rows);
  const middle = sample[samples >>> 1]!;
  const spread = sample[samples - 1 - (samples >>> 2)]! - sample[samples >>> 2]!;
  measured.folded = middle - least > spreadsBelow * spread;
  measured.base = measured.folded ? middle : least;
  if (measured.folded) fillFolded(integers.values, values, measured, rows);
  else fillPlain(integers.values, values, measured, rows);
  measureIntegers(integers);
}

function fillPlain(target: Float64Array, values: Float64Array, m: Measured, rows: number): void {
  const { base, step } = m;
  if (step === 1) for (let i = 0; i < rows; i++) target[i] = values[i]! - base;
  else for (let i = 0; i < rows; i++) target[i] = (values[i]! - base) / step;
}

function fillFolded(target: Float64Array, values: Float64Array, m: Measured, rows: number): void {
  const { base, step } = m;
  for (let i = 0; i < rows; i++) {
    const distance = (values[i]! - base) / step;
    target[i] = distance >= 0 ? distance * 2 : -distance * 2 - 1;
  }
}

/** Of the line that lies nearest to the values (least squares). */
function slopeOf(values: Float64Array, rows: number): number {
  const first = values[0]!;
  const middle = (rows - 1) / 2;
  let sum = 0;
  for (let i = 0; i < rows; i++) sum += (i - middle) * (values[i]! - first);
  return sum / ((rows * (rows * rows - 1)) / 12);
}

/** The greatest step that all differences are multiples of; 1 where they are all 0. */
function stepOf(values: Float64Array, rows: number): number {
  const first = values[0]!;
  let step = 0;
  for (let i = 1; i < rows; i++) {
    const difference = Math.abs(values[i]! - first);
    if (difference === 0) continue;
    if (step > 0 && difference % step === 0) continue;
    step = greatestCommonDivisor(difference, step);
    if (step === 1) break;
  }
  return step === 0 ? 1 : step;
}

function greatestCommonDivisor(a: number, b: number): number {
  let large = a;
  let small = b;
  while (small !== 0) {
    const rest = large % small;
    large = small;
    small = rest;
  }
  return large;
}

const SAMPLES = 33;
/** Distances are folded where the least is this many times the spread (of quartiles) below the middle. */
const spreadsBelow = 2;
const sample = new Float64Array(SAMPLES);

/** Into `sample`, ascending: values at even distances, or all where they are few; returns how many. */
function sortSample(values: Float64Array, rows: number): number {
  const samples = Math.min(rows, SAMPLES);
  for (let k = 0; k < samples; k++) {
    const value = values[Math.floor((k * rows) / samples)]!;
    let at = k;
    for (; at > 0 && sample[at - 1]! > value; at--) sample[at] = sample[at - 1]!;
    sample[at] = value;
  }
  return samples;
}
