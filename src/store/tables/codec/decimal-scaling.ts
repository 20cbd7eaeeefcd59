/**
 * Doubles as decimals: value = m / 10^exponent with one exponent per block and m an integer, which
 * is how sensors write them. The division is exact in the sense of IEEE 754: it gives the double
 * nearest to the decimal, the one a parser made of its text.
 *
 *   exact       m / 10^e is the value, bit by bit
 *   corrected   it is a few units in the last place off: an average or a sum of decimals
 *               (51.846000000000004). The distance in units is kept beside m
 *   single      the decimal went through a float32 on its way: fround(m / 10^e) is the value
 *   exception   none of these: NaN, infinities, -0, what has too many digits
 *
 * Source: ALP (Afroozeh, Kuffo, Boncz, SIGMOD 2023): exponent by sampling, exceptions apart. It
 * multiplies by an inverse, we divide, which is exact 50 times more often and fast enough here;
 * corrections and single are ours.
 */

import { limits } from "../../../core/limits.ts";
import { SERIES_END } from "./integer-series.ts";

export const EXPONENT_MAX = 18;
/** Up to 10^22 powers are exact in a double. */
export const powersOfTen: Float64Array = Float64Array.from({ length: EXPONENT_MAX + 1 }, (_, e) =>
  Number(`1e${e}`),
);

/** An integer this large is not believed to be a decimal that is slightly off. */
const CORRECTED_END = 2 ** 40;
/** Units in the last place that a correction may be. */
const CORRECTION_MAX = 64;
/** The same relative to the value, a little more. */
const nearness = 2 ** -46;

const rowsMax = limits.tableBlockRowsMax;

/** A block as decimals; buffers are one per owner and used again. */
export type Decimals = {
  exponent: number;
  isSingle: boolean;
  /** m of each row; that of the row before where the row is an exception. */
  readonly scaled: Float64Array;
  /** Units in the last place to add, folded (0, -1, 1 ... as 0, 1, 2 ...), and whether any is not 0. */
  readonly corrections: Float64Array;
  hasCorrections: boolean;
  /** Rows that are exceptions, ascending. */
  readonly exceptions: Uint16Array;
  exceptionCount: number;
};

export function createDecimals(): Decimals {
  return {
    exponent: 0,
    isSingle: false,
    scaled: new Float64Array(rowsMax),
    corrections: new Float64Array(rowsMax),
    hasCorrections: false,
    exceptions: new Uint16Array(rowsMax),
    exceptionCount: 0,
  };
}

const cell = new Float64Array(1);
const cellWords = new Int32Array(cell.buffer);

/** Scales rows [0, rows) into `decimals`; false where most of a sample are no decimals. */
export function scaleDecimals(
  decimals: Decimals,
  values: Float64Array,
  { rows, isSingle }: { readonly rows: number; readonly isSingle: boolean },
): boolean {
  const exponent = exponentOf(values, rows, isSingle);
  if (exponent === undefined) return false;
  decimals.exponent = exponent;
  decimals.isSingle = isSingle;
  if (isSingle) scaleSingles(decimals, values, rows);
  else scaleDoubles(decimals, values, rows);
  return true;
}

function scaleDoubles(decimals: Decimals, values: Float64Array, rows: number): void {
  const { scaled, corrections, exceptions } = decimals;
  const power = powersOfTen[decimals.exponent]!;
  let exceptionCount = 0;
  let hasCorrections = false;
  let before = 0;
  for (let i = 0; i < rows; i++) {
    const value = values[i]!;
    const m = Math.round(value * power);
    const back = m / power;
    corrections[i] = 0;
    if (back === value && m < SERIES_END && m > -SERIES_END && (m !== 0 || 1 / value > 0)) {
      before = m + 0; // Math.round gives -0 for small negative numbers, which are no decimals then
    } else {
      const correction = correctionOf(value, back, m);
      if (correction === 0) exceptions[exceptionCount++] = i;
      else {
        before = m;
        corrections[i] = correction > 0 ? correction * 2 : -correction * 2 - 1;
        hasCorrections = true;
      }
    }
    scaled[i] = before;
  }
  decimals.exceptionCount = exceptionCount;
  decimals.hasCorrections = hasCorrections;
}

/** Units in the last place from `back` to `value`; 0 where the value is no decimal. */
function correctionOf(value: number, back: number, m: number): number {
  if (!(m < CORRECTED_END && m > -CORRECTED_END)) return 0;
  if (!(Math.abs(value - back) <= Math.abs(value) * nearness)) return 0;
  cell[0] = value;
  const low = cellWords[0]!;
  const high = cellWords[1]!;
  cell[0] = back;
  if (cellWords[1] !== high) return 0;
  const correction = (low >>> 0) - (cellWords[0]! >>> 0);
  return Math.abs(correction) <= CORRECTION_MAX ? correction : 0;
}

function scaleSingles(decimals: Decimals, values: Float64Array, rows: number): void {
  const { scaled, exceptions } = decimals;
  const power = powersOfTen[decimals.exponent]!;
  let exceptionCount = 0;
  let before = 0;
  for (let i = 0; i < rows; i++) {
    const value = values[i]!;
    const m = Math.round(value * power);
    if (
      Math.fround(m / power) === value &&
      m < SERIES_END &&
      m > -SERIES_END &&
      (m !== 0 || 1 / value > 0)
    ) {
      before = m + 0;
    } else exceptions[exceptionCount++] = i;
    scaled[i] = before;
  }
  decimals.exceptionCount = exceptionCount;
  decimals.hasCorrections = false;
}

/** The doubles of rows [0, rows) from `scaled`, `exponent`, `isSingle`; exceptions are the caller's. */
export function unscaleDecimals(decimals: Decimals, target: Float64Array, rows: number): void {
  const { scaled, corrections } = decimals;
  const power = powersOfTen[decimals.exponent]!;
  if (decimals.isSingle) {
    for (let i = 0; i < rows; i++) target[i] = Math.fround(scaled[i]! / power);
  } else if (decimals.exponent === 0) {
    for (let i = 0; i < rows; i++) target[i] = scaled[i]!;
  } else {
    for (let i = 0; i < rows; i++) target[i] = scaled[i]! / power;
  }
  if (!decimals.hasCorrections) return;
  for (let i = 0; i < rows; i++) {
    const folded = corrections[i]!;
    if (folded === 0) continue;
    cell[0] = target[i]!;
    cellWords[0]! += folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
    target[i] = cell[0];
  }
}

// ---- the exponent ----

const SAMPLES = 64;
/** What an exception takes, and a digit of every other value. */
const exceptionBits = 80;
const digitBits = Math.log2(10);
/** Samples by the least exponent that makes them a decimal. */
const exponentCounts = new Uint16Array(EXPONENT_MAX + 1);

/** The exponent that costs a sample least; undefined where most of it has none. */
function exponentOf(values: Float64Array, rows: number, isSingle: boolean): number | undefined {
  const samples = Math.min(rows, SAMPLES);
  exponentCounts.fill(0);
  let above = 0;
  for (let k = 0; k < samples; k++) {
    const value = values[Math.floor((k * rows) / samples)]!;
    const exponent = isSingle ? exponentOfSingle(value) : exponentOfDouble(value);
    if (exponent === undefined) continue;
    exponentCounts[exponent]!++;
    above++;
  }
  if (above * 2 <= samples) return undefined;
  let best = 0;
  let bestBits = Infinity;
  for (let exponent = 0; exponent <= EXPONENT_MAX; exponent++) {
    above -= exponentCounts[exponent]!;
    const bits = exponent * digitBits + (above * exceptionBits) / samples;
    if (bits >= bestBits) continue;
    best = exponent;
    bestBits = bits;
  }
  return best;
}

function exponentOfDouble(value: number): number | undefined {
  for (let exponent = 0; exponent <= EXPONENT_MAX; exponent++) {
    const power = powersOfTen[exponent]!;
    const m = Math.round(value * power);
    if (!(m < SERIES_END && m > -SERIES_END)) return undefined;
    const off = Math.abs(m / power - value);
    if (off === 0) return exponent;
    if (m < CORRECTED_END && m > -CORRECTED_END && off <= Math.abs(value) * nearness) {
      return exponent;
    }
  }
  return undefined;
}

function exponentOfSingle(value: number): number | undefined {
  for (let exponent = 0; exponent <= EXPONENT_MAX; exponent++) {
    const power = powersOfTen[exponent]!;
    const m = Math.round(value * power);
    if (!(m < SERIES_END && m > -SERIES_END)) return undefined;
    if (Math.fround(m / power) === value) return exponent;
  }
  return undefined;
}
