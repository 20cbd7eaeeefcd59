/**
 * The integers of one block, each in [0, 2^53), as bytes, in the shortest of three ways:
 *
 *   packed   all in `width` bits; the few that are wider are patched afterwards (PFOR, Zukowski et
 *            al. 2006: exceptions with the bits that did not fit, not chained through the block)
 *   coded    a token that says how large, under a prefix code of the block, then the bits below it
 *            (integer-tokens.ts, prefix-code.ts; the noise of a sensor is not uniform, so this comes
 *            nearer to its entropy than one width for all)
 *   zstd     varints under zstd, tried only where runs of integers come back: it alone sees
 *            patterns
 *
 * What each would take is known from one histogram, so only the shortest is written; zstd has to be
 * tried. Scratch is the module's: one thread, and nothing here waits.
 */

import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { assert } from "../../../core/assert.ts";
import { ByteReader, ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import { BITS_AT_ONCE, BitReader, BitWriter } from "./bits.ts";
import {
  DIRECT_END,
  directTokens,
  fineTokens,
  INTEGER_BITS_MAX,
  setTokens,
  tokenOf,
  type TokenShape,
} from "./integer-tokens.ts";
import {
  buildPrefixCode,
  CODE_BITS_MAX,
  createPrefixCode,
  createPrefixTable,
  prefixCodeBits,
  readPrefixTable,
  TOKENS,
  writePrefixCode,
} from "./prefix-code.ts";

const MODE_PACKED = 0;
const MODE_FINE = 1;
const MODE_DIRECT = 2;
const MODE_ZSTD = 3;

const rowsMax = limits.tableBlockRowsMax;
const bytesMax = rowsMax * 8 + 256;
const VARINT_BYTES_MAX = 8;

/** Integers of a block and what is known about them; the owner sets `rows` and `values`. */
export type Integers = {
  rows: number;
  readonly values: Float64Array;
  /** Token of each row, of the shape that `mode` names. */
  readonly tokens: Uint8Array;
  readonly counts: Uint16Array;
  mode: number;
  width: number;
  /** About what they take as bytes; zstd may take less. */
  bits: number;
};

export function createIntegers(): Integers {
  return {
    rows: 0,
    values: new Float64Array(rowsMax),
    tokens: new Uint8Array(rowsMax),
    counts: new Uint16Array(TOKENS),
    mode: MODE_PACKED,
    width: 0,
    bits: 0,
  };
}

// ---- measuring ----

/** n * log2(n), for the entropy of counts. */
const countLogs = Float64Array.from({ length: rowsMax + 1 }, (_, n) => n && n * Math.log2(n));
const lengthCounts = new Uint16Array(INTEGER_BITS_MAX + 1);

/** Finds the shorter of packed and coded; sets `mode`, `width`, `tokens`, `counts`, `bits`. */
export function measureIntegers(integers: Integers): void {
  const { values, rows } = integers;
  let top = 0;
  for (let i = 0; i < rows; i++) if (values[i]! > top) top = values[i]!;
  assert(top <= Number.MAX_SAFE_INTEGER, "integers are below 2^53");
  setTokens(integers, values, { rows, top, shape: top < DIRECT_END ? directTokens : fineTokens });
  if (top < DIRECT_END) measureSmall(integers);
  else {
    integers.mode = MODE_FINE;
    integers.bits = codedBits(integers.counts, fineTokens, rows);
    measurePacked(integers, integers.counts);
  }
}

/** As measureIntegers, where every integer is its own direct token: the fine ones follow from them. */
function measureSmall(integers: Integers): void {
  const { tokens, counts, rows } = integers;
  fineCounts.fill(0);
  for (let value = 0; value < DIRECT_END; value++) {
    fineCounts[fineTokenOf[value]!]! += counts[value]!;
  }
  const directBits = codedBits(counts, directTokens, rows);
  const fineBits = codedBits(fineCounts, fineTokens, rows);
  integers.mode = directBits < fineBits ? MODE_DIRECT : MODE_FINE;
  integers.bits = Math.min(directBits, fineBits);
  measurePacked(integers, fineCounts);
  if (integers.mode !== MODE_FINE) return;
  for (let i = 0; i < rows; i++) tokens[i] = fineTokenOf[tokens[i]!]!;
  counts.set(fineCounts);
}

const fineCounts = new Uint16Array(TOKENS);
const fineTokenOf = Uint8Array.from({ length: DIRECT_END }, (_, value) =>
  tokenOf(value, fineTokens),
);

/** What `rows` tokens that occur as often as `counts` says take, with their code. */
function codedBits(counts: Uint16Array, shape: TokenShape, rows: number): number {
  let first = TOKENS;
  let last = 0;
  let bits = countLogs[rows]!;
  for (let token = 0; token < TOKENS; token++) {
    const count = counts[token]!;
    if (count === 0) continue;
    if (first === TOKENS) first = token;
    last = token;
    bits += count * shape.extra[token]! - countLogs[count]!;
  }
  return bits + prefixCodeBits(first, last) + 16; // its length before it
}

/** From the counts of fine tokens, which tell the length of every integer. */
function measurePacked(integers: Integers, counts: Uint16Array): void {
  const { rows } = integers;
  lengthCounts.fill(0);
  let longest = 0;
  for (let token = 0; token < TOKENS; token++) {
    if (counts[token] === 0) continue;
    longest = fineTokens.bits[token]!;
    lengthCounts[longest]! += counts[token]!;
  }
  for (let width = longest; width >= 0; width--) {
    let bits = rows * width + 16;
    for (let length = width + 1; length <= longest; length++) {
      bits += lengthCounts[length]! * 8 * (1 + Math.ceil((length - width) / 7));
    }
    if (bits >= integers.bits) continue;
    integers.bits = bits;
    integers.mode = MODE_PACKED;
    integers.width = width;
  }
}

// ---- writing ----

const bitWriter = new BitWriter(bytesMax);
const code = createPrefixCode();

/** Integers that were measured. */
export function encodeIntegers(writer: ByteWriter, integers: Integers): void {
  const start = writer.length;
  if (integers.mode === MODE_PACKED) encodePacked(writer, integers);
  else encodeCoded(writer, integers, integers.mode === MODE_DIRECT ? directTokens : fineTokens);
  if (repeats(integers)) encodeZstd(writer, integers, start);
}

function encodePacked(writer: ByteWriter, integers: Integers): void {
  const { values, rows, width } = integers;
  const scale = 2 ** width;
  writer.u8(MODE_PACKED);
  writer.u8(width);
  let patches = 0;
  for (let i = 0; i < rows; i++) if (values[i]! >= scale) patches++;
  writer.varint(patches);
  for (let i = 0, next = 0; i < rows && patches > 0; i++) {
    if (values[i]! < scale) continue;
    writer.varint(i - next);
    writer.varint(Math.floor(values[i]! / scale));
    next = i + 1;
    patches--;
  }
  if (width === 0) return;
  for (let i = 0; i < rows; i++) {
    const value = values[i]!;
    const low = value < scale ? value : value % scale;
    if (width <= BITS_AT_ONCE) bitWriter.put(low, width);
    else bitWriter.putWide(low, width);
  }
  bitWriter.flush(writer);
}

function encodeCoded(writer: ByteWriter, integers: Integers, shape: TokenShape): void {
  const { values, tokens, rows } = integers;
  const { extra, least } = shape;
  buildPrefixCode(code, integers.counts);
  writePrefixCode(bitWriter, code);
  const { lengths, codes } = code;
  for (let i = 0; i < rows; i++) {
    const token = tokens[i]!;
    const length = lengths[token]!;
    const width = extra[token]!;
    const rest = values[i]! - least[token]!;
    if (length + width <= BITS_AT_ONCE) {
      bitWriter.put(codes[token]! | (rest << length), length + width);
      continue;
    }
    bitWriter.put(codes[token]!, length);
    bitWriter.putWide(rest, width);
  }
  writer.u8(shape === directTokens ? MODE_DIRECT : MODE_FINE);
  writer.varint(bitWriter.bytes);
  bitWriter.flush(writer);
}

// ---- zstd ----

/** A run that comes back says something only if it is not expected to: it has this many bits. */
const runBits = 16;
const runRowsMin = 3;
const runRowsMax = 32;
/** zstd is tried where this share of the rows ends a run that was there before. */
const repeatsShare = 0.3;
const slotBits = 11;
/** Sums of runs that were seen, by their upper bits. */
const seen = new Int32Array(1 << slotBits);

/** Whether runs of integers come back so often that zstd may see a pattern. */
function repeats(integers: Integers): boolean {
  const { values, rows, bits } = integers;
  if (bits < zstdBitsMin) return false;
  const run = Math.max(runRowsMin, Math.min(runRowsMax, Math.ceil((runBits * rows) / bits)));
  // A rolling sum: each integer times a power of `factor` that grows with its age in the run.
  let leaving = 1;
  for (let i = 0; i < run; i++) leaving = Math.imul(leaving, factor);
  seen.fill(0);
  let sum = 0;
  let found = 0;
  for (let i = 0; i < rows; i++) {
    sum = (Math.imul(sum, factor) + mixed(values[i]!)) | 0;
    if (i < run) continue;
    sum = (sum - Math.imul(mixed(values[i - run]!), leaving)) | 0;
    const slot = Math.imul(sum ^ (sum >>> 15), 0x7feb352d) >>> (32 - slotBits);
    if (seen[slot] === sum) found++;
    else seen[slot] = sum;
  }
  return found > rows * repeatsShare;
}

const factor = 0x9e3779b1;
/** A frame of zstd takes as much by itself, nearly. */
const zstdBitsMin = 256;

function mixed(value: number): number {
  const product = Math.imul(value, 0x85ebca6b);
  return product ^ (product >>> 15);
}

const varints = new ByteWriter({ bytes: bytesMax, bytesMax });

/** In place of what stands from `start` on, where it is shorter. */
function encodeZstd(writer: ByteWriter, integers: Integers, start: number): void {
  const { values, rows } = integers;
  varints.moveTo(0);
  for (let i = 0; i < rows; i++) varints.varint(values[i]!);
  const plain = varints.slice(0, varints.length);
  const packed = zstdCompressSync(plain, {
    params: { [constants.ZSTD_c_compressionLevel]: 3 },
    chunkSize: 1_024,
    pledgedSrcSize: plain.length,
  });
  if (packed.length + 3 >= writer.length - start) return;
  writer.moveTo(start);
  writer.u8(MODE_ZSTD);
  writer.blob(packed);
}

function decodeZstd(reader: ByteReader, target: Float64Array, rows: number): void {
  const start = reader.offset;
  const plain = new ByteReader(unpacked(reader.blob(), start, rows));
  for (let i = 0; i < rows; i++) target[i] = plain.varint();
  if (plain.left > 0) throw new MalformedBytes("integers left over", start);
}

function unpacked(packed: Uint8Array, at: number, rows: number): Uint8Array {
  try {
    return zstdDecompressSync(packed, {
      maxOutputLength: rows * VARINT_BYTES_MAX,
      chunkSize: 1_024,
      params: { [constants.ZSTD_d_windowLogMax]: 20 },
    });
  } catch {
    throw new MalformedBytes("no frame of zstd", at);
  }
}

// ---- reading ----

const bitReader = new BitReader(bytesMax);
const table = createPrefixTable();

/** Into rows [0, rows) of `target`; throws MalformedBytes. */
export function decodeIntegers(reader: ByteReader, target: Float64Array, rows: number): void {
  const mode = reader.u8();
  switch (mode) {
    case MODE_PACKED:
      return decodePacked(reader, target, rows);
    case MODE_FINE:
      return decodeCoded(reader, target, { rows, shape: fineTokens });
    case MODE_DIRECT:
      return decodeCoded(reader, target, { rows, shape: directTokens });
    case MODE_ZSTD:
      return decodeZstd(reader, target, rows);
    default:
      throw new MalformedBytes(`unknown integers ${mode}`, reader.offset - 1);
  }
}

const patchRows = new Uint16Array(rowsMax);
const patchValues = new Float64Array(rowsMax);

function decodePacked(reader: ByteReader, target: Float64Array, rows: number): void {
  const start = reader.offset;
  const width = reader.u8();
  if (width > INTEGER_BITS_MAX) throw new MalformedBytes("integers too wide", start);
  const patches = reader.count(2);
  if (patches > rows) throw new MalformedBytes("more patches than rows", start);
  const scale = 2 ** width;
  for (let k = 0, next = 0; k < patches; k++) {
    const row = next + reader.varint();
    if (row >= rows) throw new MalformedBytes("a patch past the rows", start);
    patchRows[k] = row;
    patchValues[k] = reader.varint() * scale;
    next = row + 1;
  }
  bitReader.fill(reader, Math.ceil((rows * width) / 8));
  if (width === 0) target.fill(0, 0, rows);
  else if (width <= BITS_AT_ONCE) {
    for (let i = 0; i < rows; i++) target[i] = bitReader.take(width);
  } else {
    for (let i = 0; i < rows; i++) target[i] = bitReader.takeWide(width);
  }
  bitReader.end();
  for (let k = 0; k < patches; k++) target[patchRows[k]!]! += patchValues[k]!;
}

function decodeCoded(
  reader: ByteReader,
  target: Float64Array,
  { rows, shape }: { readonly rows: number; readonly shape: TokenShape },
): void {
  bitReader.fill(reader, reader.count(1));
  readPrefixTable(bitReader, code, table);
  const { least, extra } = shape;
  for (let i = 0; i < rows; i++) {
    const slot = bitReader.peek(CODE_BITS_MAX);
    bitReader.skip(table.lengths[slot]!);
    const token = table.tokens[slot]!;
    const width = extra[token]!;
    const rest = width <= BITS_AT_ONCE ? bitReader.take(width) : bitReader.takeWide(width);
    target[i] = least[token]! + rest;
  }
  bitReader.end();
}
