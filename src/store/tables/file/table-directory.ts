/**
 * The directory of a series in a table: an entry for each of its blocks, in ascending order of time.
 * It counts in bytes per reading, so what follows from the entry before takes no byte, and numbers
 * that are short decimals take what their digits need (docs/format/tables.md, "Directory").
 */

import { assert } from "../../../core/assert.ts";
import { ByteReader, ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import type { BlockFigures } from "./block-figures.ts";
import { isSigned, readSigned, writeSigned } from "../codec/signed-varint.ts";

/** A block: what is in it, and where in the file its two parts are. */
export type BlockEntry = BlockFigures & {
  readonly stampsAt: number;
  readonly stampsBytes: number;
  readonly stampsChecksum: number;
  readonly valuesAt: number;
  readonly valuesBytes: number;
  readonly valuesChecksum: number;
};

const SAME_ROWS = 1;
const ALL_NUMBERS = 2;
const NO_NUMBERS = 4;
const WHOLE_TIMES = 8;
const STAMPS_FOLLOW = 16;
const VALUES_FOLLOW = 32;
const FLAGS = 63;

/** Digits after the point that min and max, or the sum, are kept with as a decimal... */
const SCALES = [1, 10, 100, 1e3, 1e4, 1e5, 1e6] as const;
/** ...and what says that they are kept as doubles. */
const AS_DOUBLE = SCALES.length;

const TIME_MAX = 2 ** 50;

/** What the first entry is told by. */
const before = {
  rows: limits.tableBlockRowsMax,
  timeLast: 0,
  stampsEnd: 0,
  valuesEnd: 0,
};

/** Encodes the entries of one series. */
export class DirectoryWriter {
  readonly #writer = new ByteWriter({ bytes: 64, bytesMax: limits.tableDirectoryBytesMax });
  #last = before;

  /** Time of the last row so far; undefined where there is none. */
  get timeLast(): number | undefined {
    return this.#writer.length === 0 ? undefined : this.#last.timeLast;
  }

  add(entry: BlockEntry): void {
    const last = this.#last;
    const writer = this.#writer;
    const stampsFollow = entry.stampsAt === last.stampsEnd;
    const valuesFollow = entry.valuesAt === last.valuesEnd;
    const wholeTimes =
      isWholeTime(last.timeLast) && isWholeTime(entry.timeFirst) && isWholeTime(entry.timeLast);
    writer.u8(
      (entry.rows === last.rows ? SAME_ROWS : 0) |
        (entry.numbers === entry.rows ? ALL_NUMBERS : 0) |
        (entry.numbers === 0 ? NO_NUMBERS : 0) |
        (wholeTimes ? WHOLE_TIMES : 0) |
        (stampsFollow ? STAMPS_FOLLOW : 0) |
        (valuesFollow ? VALUES_FOLLOW : 0),
    );
    if (entry.rows !== last.rows) writer.varint(entry.rows);
    if (wholeTimes) {
      writeSigned(writer, entry.timeFirst - last.timeLast);
      writer.varint(entry.timeLast - entry.timeFirst);
    } else {
      writer.f64(entry.timeFirst);
      writer.f64(entry.timeLast);
    }
    writeNumbers(writer, entry);
    if (!stampsFollow) writer.varint(entry.stampsAt);
    writer.varint(entry.stampsBytes);
    writer.u32(entry.stampsChecksum);
    if (!valuesFollow) writer.varint(entry.valuesAt);
    writer.varint(entry.valuesBytes);
    writer.u32(entry.valuesChecksum);
    this.#last = lastOf(entry);
  }

  /** The directory so far; a view, valid until the next entry. */
  bytes(): Uint8Array {
    return this.#writer.slice(0, this.#writer.length);
  }
}

/** All entries of a directory. Throws MalformedBytes. */
export function decodeDirectory(bytes: Uint8Array): readonly BlockEntry[] {
  const reader = new ByteReader(bytes);
  const entries: BlockEntry[] = [];
  let last = before;
  while (reader.left > 0) {
    const entry = decodeEntry(reader, last);
    entries.push(entry);
    last = lastOf(entry);
  }
  return entries;
}

function decodeEntry(reader: ByteReader, last: typeof before): BlockEntry {
  const at = reader.offset;
  const flags = reader.u8();
  if ((flags & ~FLAGS) !== 0) throw new MalformedBytes("unknown flags", at);
  const rows = (flags & SAME_ROWS) !== 0 ? last.rows : reader.varint();
  const times = (flags & WHOLE_TIMES) !== 0 ? readTimes(reader, last.timeLast) : rawTimes(reader);
  const numbers = readNumbers(reader, flags, rows);
  const stampsAt = (flags & STAMPS_FOLLOW) !== 0 ? last.stampsEnd : reader.varint();
  const stampsBytes = reader.varint();
  const stampsChecksum = reader.u32();
  const valuesAt = (flags & VALUES_FOLLOW) !== 0 ? last.valuesEnd : reader.varint();
  const valuesBytes = reader.varint();
  const valuesChecksum = reader.u32();
  if (rows === 0 || rows > limits.tableBlockRowsMax) {
    throw new MalformedBytes(`a block of ${rows} rows`, at);
  }
  if (stampsBytes + valuesBytes > limits.tableBlockBytesMax) {
    throw new MalformedBytes(`a block of ${stampsBytes + valuesBytes} bytes`, at);
  }
  const stamps = { stampsAt, stampsBytes, stampsChecksum };
  const values = { valuesAt, valuesBytes, valuesChecksum };
  return { rows, ...times, ...numbers, ...stamps, ...values };
}

function lastOf(entry: BlockEntry): typeof before {
  return {
    rows: entry.rows,
    timeLast: entry.timeLast,
    stampsEnd: entry.stampsAt + entry.stampsBytes,
    valuesEnd: entry.valuesAt + entry.valuesBytes,
  };
}

// ---- times ----

/** Near enough to 1970 that the distance of any two is a whole number too. */
function isWholeTime(time: number): boolean {
  return isSigned(time) && Math.abs(time) <= TIME_MAX;
}

function readTimes(
  reader: ByteReader,
  timeLast: number,
): Pick<BlockEntry, "timeFirst" | "timeLast"> {
  const timeFirst = timeLast + readSigned(reader);
  return { timeFirst, timeLast: timeFirst + reader.varint() };
}

function rawTimes(reader: ByteReader): Pick<BlockEntry, "timeFirst" | "timeLast"> {
  return { timeFirst: reader.f64(), timeLast: reader.f64() };
}

// ---- count, extremes and sum ----

function writeNumbers(writer: ByteWriter, entry: BlockEntry): void {
  const { rows, numbers, min, max, sum } = entry;
  assert(Number.isSafeInteger(numbers) && numbers >= 0, "numbers are counted");
  if (numbers === 0) return;
  if (numbers !== rows) writer.varint(numbers);
  const extremes = SCALES.findIndex((scale) => isDecimal(min, scale) && isDecimal(max, scale));
  const total = SCALES.findIndex((scale) => isDecimal(sum, scale));
  writer.u8((extremes < 0 ? AS_DOUBLE : extremes) | ((total < 0 ? AS_DOUBLE : total) << 3));
  if (extremes < 0) {
    writer.f64(min);
    writer.f64(max);
  } else {
    writeSigned(writer, Math.round(min * SCALES[extremes]!));
    writeSigned(writer, Math.round(max * SCALES[extremes]!));
  }
  if (total >= 0) writeSigned(writer, Math.round(sum * SCALES[total]!));
  else if (!Number.isNaN(sum)) writer.f64(sum);
  else writer.copy(NAN, NAN.length);
}

function readNumbers(
  reader: ByteReader,
  flags: number,
  rows: number,
): Pick<BlockEntry, "numbers" | "min" | "max" | "sum"> {
  if ((flags & NO_NUMBERS) !== 0) {
    return {
      numbers: 0,
      min: Number.POSITIVE_INFINITY,
      max: Number.NEGATIVE_INFINITY,
      sum: 0,
    };
  }
  const numbers = (flags & ALL_NUMBERS) !== 0 ? rows : reader.varint();
  const scales = reader.u8();
  const extremes = scales & 7;
  return {
    numbers,
    min: readDecimal(reader, extremes),
    max: readDecimal(reader, extremes),
    sum: readDecimal(reader, scales >>> 3),
  };
}

/** The one NaN there is on disk: what an infinite sum becomes is not for the processor to choose. */
const NAN = Uint8Array.of(0, 0, 0, 0, 0, 0, 0xf8, 0x7f);

/** Whether the number comes back, bit by bit, from an integer at this scale. */
function isDecimal(value: number, scale: number): boolean {
  const whole = Math.round(value * scale);
  return isSigned(whole) && whole / scale === value;
}

function readDecimal(reader: ByteReader, scale: number): number {
  if (scale === AS_DOUBLE) return reader.f64();
  const divisor = SCALES[scale];
  if (divisor === undefined) throw new MalformedBytes("an unknown scale", reader.offset);
  return readSigned(reader) / divisor;
}
