/**
 * One column of a block of a table as bytes (docs/format/tables.md, Columns): the smallest of
 *
 *   constant     all rows are one double
 *   decimals     integers and an exponent (decimal-scaling.ts), exceptions apart
 *   words        the halves of the doubles as integers (double-words.ts)
 *   dictionary   where few different doubles come back often: those, as a column of their own, and
 *                the place of each row among them
 *
 * Exact for every bit pattern. Decoding is bounded by `rows`: whatever the bytes say, it reads at
 * most what they are, writes rows [0, rows) only, and uses scratch of fixed size.
 */

import { assert } from "../../../core/assert.ts";
import { type ByteReader, type ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import { createDecimals, EXPONENT_MAX, scaleDecimals, unscaleDecimals } from "./decimal-scaling.ts";
import { decodeWords, encodeWords, wordsOf, zerosAtEnd } from "./double-words.ts";
import {
  createIntegers,
  decodeIntegers,
  encodeIntegers,
  measureIntegers,
} from "./integer-codec.ts";
import { decodeSeries, encodeSeries } from "./integer-series.ts";
import { distinct, findDistinct } from "./distinct.ts";

const ENCODING_CONSTANT = 0;
const ENCODING_WORDS = 1;
const ENCODING_DICTIONARY = 2;
const ENCODING_DECIMALS = 3; // and more by the flags below
const FLAG_SINGLE = 4;
const FLAG_CORRECTIONS = 8;
const FLAG_EXCEPTIONS = 16;
const DECIMALS_END = 32;

const rowsMax = limits.tableBlockRowsMax;
/** A float32 in a double ends in this many zero bits. */
const zerosOfSingle = 29;

/** Rows [0, rows) of `values`; every bit pattern survives. */
export function encodeColumn(writer: ByteWriter, values: Float64Array, rows: number): void {
  assert(rows > 0 && rows <= rowsMax && rows <= values.length, "a column is of one block");
  const words = wordsOf(values);
  if (isConstant(words, rows)) return encodeConstant(writer, words);
  const start = writer.length;
  encodeNumbers(writer, values, rows);
  const count = findDistinct(words, rows);
  if (count === undefined || count * 2 > rows) return;
  const end = writer.length;
  encodeDictionary(writer, rows);
  keepSmaller(writer, start, end);
}

/** Into rows [0, rows) of `target`; throws MalformedBytes. */
export function decodeColumn(reader: ByteReader, target: Float64Array, rows: number): void {
  assert(rows <= target.length, "the target has room for the rows");
  if (rows < 1 || rows > rowsMax) throw new MalformedBytes("rows of no block", reader.offset);
  const encoding = reader.u8();
  if (encoding === ENCODING_DICTIONARY) return decodeDictionary(reader, target, rows);
  decodeNumbers(reader, target, { rows, encoding });
}

// ---- constant ----

function isConstant(words: Uint32Array, rows: number): boolean {
  const low = words[0]!;
  const high = words[1]!;
  for (let i = 1; i < rows; i++) {
    if (words[2 * i] !== low || words[2 * i + 1] !== high) return false;
  }
  return true;
}

function encodeConstant(writer: ByteWriter, words: Uint32Array): void {
  writer.u8(ENCODING_CONSTANT);
  writer.u32(words[0]!);
  writer.u32(words[1]!);
}

function decodeConstant(reader: ByteReader, target: Float64Array, rows: number): void {
  const low = reader.u32();
  const high = reader.u32();
  const words = wordsOf(target);
  for (let i = 0; i < rows; i++) {
    words[2 * i] = low;
    words[2 * i + 1] = high;
  }
}

// ---- numbers: decimals or words ----

const decimals = createDecimals();

function encodeNumbers(writer: ByteWriter, values: Float64Array, rows: number): void {
  const start = writer.length;
  const zeros = zerosAtEnd(wordsOf(values), rows);
  const areDecimals = scaleDecimals(decimals, values, { rows, isSingle: zeros >= zerosOfSingle });
  if (areDecimals) {
    encodeDecimals(writer, values, rows);
    const sureBits = zeros > 8 ? 24 : 32; // words take their low words, at least
    if ((writer.length - start) * 8 <= sureBits * rows) return;
  }
  const end = writer.length;
  writer.u8(ENCODING_WORDS);
  encodeWords(writer, values, rows);
  if (areDecimals) keepSmaller(writer, start, end);
}

function decodeNumbers(
  reader: ByteReader,
  target: Float64Array,
  { rows, encoding }: { readonly rows: number; readonly encoding: number },
): void {
  if (encoding === ENCODING_CONSTANT) decodeConstant(reader, target, rows);
  else if (encoding === ENCODING_WORDS) decodeWords(reader, target, rows);
  else if ((encoding & 3) === ENCODING_DECIMALS && encoding < DECIMALS_END) {
    decodeDecimals(reader, target, { rows, flags: encoding });
  } else throw new MalformedBytes(`an unknown encoding ${encoding}`, reader.offset - 1);
}

const corrections = createIntegers();
const gaps = createIntegers();
const exceptionValues = new Float64Array(rowsMax);
const exceptionWords = wordsOf(exceptionValues);

function encodeDecimals(writer: ByteWriter, values: Float64Array, rows: number): void {
  const { exponent, isSingle, scaled, hasCorrections, exceptionCount } = decimals;
  const flags =
    (isSingle ? FLAG_SINGLE : 0) |
    (hasCorrections ? FLAG_CORRECTIONS : 0) |
    (exceptionCount > 0 ? FLAG_EXCEPTIONS : 0);
  writer.u8(ENCODING_DECIMALS | flags);
  writer.u8(exponent);
  encodeSeries(writer, scaled, rows);
  if (hasCorrections) {
    corrections.values.set(decimals.corrections);
    corrections.rows = rows;
    measureIntegers(corrections);
    encodeIntegers(writer, corrections);
  }
  if (exceptionCount > 0) encodeExceptions(writer, values);
}

/** How many, the rows between one and the next, and the doubles as words. */
function encodeExceptions(writer: ByteWriter, values: Float64Array): void {
  const { exceptions, exceptionCount } = decimals;
  const from = wordsOf(values);
  writer.varint(exceptionCount);
  for (let k = 0, next = 0; k < exceptionCount; k++) {
    const row = exceptions[k]!;
    gaps.values[k] = row - next;
    exceptionWords[2 * k] = from[2 * row]!;
    exceptionWords[2 * k + 1] = from[2 * row + 1]!;
    next = row + 1;
  }
  gaps.rows = exceptionCount;
  measureIntegers(gaps);
  encodeIntegers(writer, gaps);
  encodeWords(writer, exceptionValues, exceptionCount);
}

function decodeDecimals(
  reader: ByteReader,
  target: Float64Array,
  { rows, flags }: { readonly rows: number; readonly flags: number },
): void {
  decimals.isSingle = (flags & FLAG_SINGLE) !== 0;
  decimals.hasCorrections = (flags & FLAG_CORRECTIONS) !== 0;
  decimals.exponent = reader.u8();
  if (decimals.exponent > EXPONENT_MAX) {
    throw new MalformedBytes("an unknown power of ten", reader.offset - 1);
  }
  decodeSeries(reader, decimals.scaled, rows);
  if (decimals.hasCorrections) decodeIntegers(reader, decimals.corrections, rows);
  unscaleDecimals(decimals, target, rows);
  if ((flags & FLAG_EXCEPTIONS) !== 0) decodeExceptions(reader, wordsOf(target), rows);
}

function decodeExceptions(reader: ByteReader, words: Uint32Array, rows: number): void {
  const start = reader.offset;
  const count = reader.varint();
  if (count < 1 || count > rows) throw new MalformedBytes("more exceptions than rows", start);
  decodeIntegers(reader, gaps.values, count);
  decodeWords(reader, exceptionValues, count);
  for (let k = 0, next = 0; k < count; k++) {
    const row = next + gaps.values[k]!;
    if (row >= rows) throw new MalformedBytes("an exception past the rows", start);
    words[2 * row] = exceptionWords[2 * k]!;
    words[2 * row + 1] = exceptionWords[2 * k + 1]!;
    next = row + 1;
  }
}

// ---- dictionary ----

const places = createIntegers();

/** What `findDistinct` found. */
function encodeDictionary(writer: ByteWriter, rows: number): void {
  writer.u8(ENCODING_DICTIONARY);
  writer.u8(distinct.count - 1);
  encodeNumbers(writer, distinct.values, distinct.count);
  for (let i = 0; i < rows; i++) places.values[i] = distinct.placeOf[distinct.entries[i]!]!;
  places.rows = rows;
  measureIntegers(places);
  encodeIntegers(writer, places);
}

function decodeDictionary(reader: ByteReader, target: Float64Array, rows: number): void {
  const count = reader.u8() + 1;
  decodeNumbers(reader, distinct.values, { rows: count, encoding: reader.u8() });
  decodeIntegers(reader, places.values, rows);
  const from = wordsOf(distinct.values);
  const words = wordsOf(target);
  for (let i = 0; i < rows; i++) {
    const place = places.values[i]!;
    if (place >= count) throw new MalformedBytes("a place past the dictionary", reader.offset);
    words[2 * i] = from[2 * place]!;
    words[2 * i + 1] = from[2 * place + 1]!;
  }
}

/** Of what stands from `start` and from `end` on, the shorter one stays, at `start`. */
function keepSmaller(writer: ByteWriter, start: number, end: number): void {
  const bytes = writer.length - end;
  if (bytes >= end - start) return writer.moveTo(end);
  const second = writer.slice(end, end + bytes);
  writer.moveTo(start);
  writer.copy(second, bytes);
}
