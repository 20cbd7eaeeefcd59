/**
 * Doubles that are no decimals, as two series of integers: their high words (exponent and the first
 * 20 bits of the mantissa), which resemble each other, and their low words, which seldom do.
 *
 *   series     high words, rotated by one bit so that the sign comes last: neighbours on both sides
 *              of zero are then near each other
 *   integers   low words, without the zero bits at their end that all have: u8 how many (32: no
 *              integers follow). A float32 in a double has 29
 *
 * Exact for every bit pattern: nothing here is computed as a double.
 */

import { type ByteReader, type ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import {
  createIntegers,
  decodeIntegers,
  encodeIntegers,
  measureIntegers,
} from "./integer-codec.ts";
import { decodeSeries, encodeSeries } from "./integer-series.ts";

const WORD_BITS = 32;

const rowsMax = limits.tableBlockRowsMax;
const highs = new Float64Array(rowsMax);
const lows = createIntegers();

/** Rows [0, rows) of `values`. */
export function encodeWords(writer: ByteWriter, values: Float64Array, rows: number): void {
  const words = wordsOf(values);
  for (let i = 0; i < rows; i++) {
    const word = words[2 * i + 1]!;
    highs[i] = ((word << 1) | (word >>> 31)) >>> 0;
  }
  encodeSeries(writer, highs, rows);
  const zeros = zerosAtEnd(words, rows);
  writer.u8(zeros);
  if (zeros === WORD_BITS) return;
  for (let i = 0; i < rows; i++) lows.values[i] = words[2 * i]! >>> zeros;
  lows.rows = rows;
  measureIntegers(lows);
  encodeIntegers(writer, lows);
}

/** Into rows [0, rows) of `target`; throws MalformedBytes. */
export function decodeWords(reader: ByteReader, target: Float64Array, rows: number): void {
  const words = wordsOf(target);
  decodeSeries(reader, highs, rows);
  const zeros = reader.u8();
  if (zeros > WORD_BITS) throw new MalformedBytes("too many zero bits", reader.offset - 1);
  if (zeros === WORD_BITS) lows.values.fill(0, 0, rows);
  else decodeIntegers(reader, lows.values, rows);
  for (let i = 0; i < rows; i++) {
    const word = highs[i]! >>> 0;
    words[2 * i] = lows.values[i]! << zeros;
    words[2 * i + 1] = (word >>> 1) | (word << 31);
  }
}

/** Zero bits that all low words end in, 32 where all are zero. */
export function zerosAtEnd(words: Uint32Array, rows: number): number {
  let any = 0;
  for (let i = 0; i < rows; i++) any |= words[2 * i]!;
  return any === 0 ? WORD_BITS : 31 - Math.clz32(any & -any);
}

/** The memory of doubles as words, low before high. */
export function wordsOf(values: Float64Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
}
