/**
 * A series of integers in (-2^51, 2^51) as bytes: what is left of them after a prediction, in units
 * of their greatest common step.
 *
 *   u8             bit 0 deltas, bit 1 folded
 *   zigzag varint  the first integer, where there are deltas
 *   zigzag varint  base: what every integer, or delta, is measured from
 *   varint         step
 *   integers       (integer - base) / step of every row, or of every row but the first
 *
 * Without folding the base is the least of them (frame of reference). Where a few lie far below the
 * rest, which would make every distance long, the base is the middle of a sample instead and a
 * distance d is folded into 2d or -2d - 1. A counter or a clock of constant rate is
 * its first integer and its base, and every distance is 0.
 */

import { assert } from "../../core/assert.ts";
import { type ByteReader, type ByteWriter, MalformedBytes } from "../../core/bytes.ts";
import { limits } from "../../core/limits.ts";
import {
  createIntegers,
  decodeIntegers,
  encodeIntegers,
  type Integers,
  measureIntegers,
} from "./integer-codec.ts";

const FLAG_DELTA = 1;
const FLAG_FOLDED = 2;

/** Magnitudes are below this: then a folded delta is below 2^53. */
export const SERIES_END: number = 2 ** 51;

const rowsMax = limits.tableBlockRowsMax;
const deltas = new Float64Array(rowsMax);
const plainIntegers = createIntegers();
const deltaIntegers = createIntegers();

/** One way to write a series, measured. */
type Measured = { base: number; step: number; folded: boolean; readonly integers: Integers };
const plain: Measured = { base: 0, step: 1, folded: false, integers: plainIntegers };
const delta: Measured = { base: 0, step: 1, folded: false, integers: deltaIntegers };

/** Rows [0, rows) of `values`: integers of a magnitude below SERIES_END, none of them -0. */
export function encodeSeries(writer: ByteWriter, values: Float64Array, rows: number): void {
  assert(rows > 0 && rows <= rowsMax, "a series is of one block");
  measure(plain, values, rows);
  if (rows > 2 && plain.integers.bits > 64) {
    for (let i = 1; i < rows; i++) deltas[i - 1] = values[i]! - values[i - 1]!;
    measure(delta, deltas, rows - 1);
    if (delta.integers.bits + 48 < plain.integers.bits) {
      return write(writer, delta, values[0]!);
    }
  }
  write(writer, plain, undefined);
}

function write(writer: ByteWriter, measured: Measured, first: number | undefined): void {
  const flags = (first === undefined ? 0 : FLAG_DELTA) | (measured.folded ? FLAG_FOLDED : 0);
  writer.u8(flags);
  if (first !== undefined) writer.varint(zigzagOf(first));
  writer.varint(zigzagOf(measured.base));
  writer.varint(measured.step);
  encodeIntegers(writer, measured.integers);
}

/** Into rows [0, rows) of `target`; throws MalformedBytes. */
export function decodeSeries(reader: ByteReader, target: Float64Array, rows: number): void {
  const flags = reader.u8();
  if (flags > (FLAG_DELTA | FLAG_FOLDED)) {
    throw new MalformedBytes("an unknown prediction", reader.offset - 1);
  }
  const isDelta = (flags & FLAG_DELTA) !== 0;
  let previous = isDelta ? integerOf(reader.varint()) : 0;
  const base = integerOf(reader.varint());
  const step = reader.varint();
  decodeIntegers(reader, target, isDelta ? rows - 1 : rows);
  const end = isDelta ? rows - 1 : rows;
  if ((flags & FLAG_FOLDED) === 0) {
    for (let i = 0; i < end; i++) target[i] = base + target[i]! * step;
  } else {
    for (let i = 0; i < end; i++) {
      const folded = target[i]!;
      const half = Math.floor(folded / 2);
      target[i] = base + (half * 2 === folded ? half : -half - 1) * step;
    }
  }
  if (!isDelta) return;
  for (let i = 0; i < rows; i++) {
    const next = i < end ? previous + target[i]! : 0;
    target[i] = previous;
    previous = next;
  }
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
