/**
 * Rivals of the store's codecs, each in the form in which it is usually described: every series by
 * itself, its times beside its values.
 *
 *   gorilla       Pelkonen et al., "Gorilla: a fast, scalable, in-memory time series database"
 *                 (VLDB 2015), 4.1: delta of delta of the times, XOR of the values. Times are
 *                 milliseconds here, and the last of its ranges has 64 bits for whatever is longer
 *   zstdDoubles   times and values as they lie in memory, under zstd
 *   lmdb          the state store with one key per reading, series and time, and the value's 8 bytes
 */

import { mkdtempDisposableSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { ByteReader } from "../src/core/bytes.ts";
import { openKvLmdb } from "../src/store/state/kv-lmdb.ts";
import { BitReader, BitWriter } from "../src/store/tables/codec/bits.ts";
import { type Block, type Format, readingsOf } from "./store-blocks.ts";

const rowsMax = 1_024;
const time = new Float64Array(rowsMax);
const values = new Float64Array(rowsMax);

// ---- gorilla ----

const columnBytesMax = rowsMax * 20 + 16;
const bits = new BitWriter(columnBytesMax);
const reader = new BitReader(columnBytesMax);
const valueWords = new Uint32Array(values.buffer);
const integer = new BigInt64Array(1);
const integerWords = new Uint32Array(integer.buffer);

/** Deltas of deltas in [-2^(width-1), 2^(width-1)] have this prefix of ones and a zero. */
const ranges = [7, 9, 12] as const;

export const gorilla: Format = {
  encode(writer, block) {
    for (const column of block.series) {
      encodeTimes(block.time, block.rows);
      encodeXor(new Uint32Array(column.buffer, column.byteOffset, block.rows * 2), block.rows);
      writer.u32(bits.bytes);
      bits.flush(writer);
    }
  },
  decode(bytes, { rows, seriesCount }, onColumn) {
    const columns = new ByteReader(bytes);
    for (let i = 0; i < seriesCount; i++) {
      reader.fill(columns, columns.u32());
      decodeTimes(rows);
      decodeXor(rows);
      onColumn(time, values);
    }
  },
};

function encodeTimes(times: Float64Array, rows: number): void {
  putWord64(times[0]!);
  let before = 0;
  for (let i = 1; i < rows; i++) {
    const delta = times[i]! - times[i - 1]!;
    const second = delta - before;
    before = delta;
    if (second === 0) bits.put(0, 1);
    else {
      const range = ranges.findIndex((width) => Math.abs(second) <= 2 ** (width - 1) - 1);
      if (range < 0) {
        bits.put(0b1111, 4);
        putWord64(second);
      } else {
        const width = ranges[range]!;
        bits.put((1 << (range + 1)) - 1, range + 2);
        bits.put(second + 2 ** (width - 1), width);
      }
    }
  }
}

function decodeTimes(rows: number): void {
  let delta = 0;
  time[0] = takeWord64();
  for (let i = 1; i < rows; i++) {
    if (reader.take(1) === 1) {
      let range = 0;
      while (range < ranges.length && reader.take(1) === 1) range++;
      const width = ranges[range];
      delta += width === undefined ? takeWord64() : reader.take(width) - 2 ** (width - 1);
    }
    time[i] = time[i - 1]! + delta;
  }
}

function putWord64(value: number): void {
  integer[0] = BigInt(value);
  putWord(integerWords[0]!, 32);
  putWord(integerWords[1]!, 32);
}

function takeWord64(): number {
  integerWords[0] = reader.takeWide(32);
  integerWords[1] = reader.takeWide(32);
  return Number(integer[0]);
}

function putWord(word: number, width: number): void {
  if (width > 16) {
    bits.put(word & 0xffff, 16);
    bits.put(word >>> 16, width - 16);
  } else bits.put(word, width);
}

/** XOR with the value before: its bits between `leading` and `trailing` zeros, in that window again
 * where they fit it, else in one of their own that comes first. */
function encodeXor(words: Uint32Array, rows: number): void {
  putWord(words[0]!, 32);
  putWord(words[1]!, 32);
  let leading = 64;
  let trailing = 0;
  for (let i = 1; i < rows; i++) {
    const low = (words[2 * i]! ^ words[2 * i - 2]!) >>> 0;
    const high = (words[2 * i + 1]! ^ words[2 * i - 1]!) >>> 0;
    if (low === 0 && high === 0) {
      bits.put(0, 1);
      continue;
    }
    const leadingNow = Math.min(high === 0 ? 32 + Math.clz32(low) : Math.clz32(high), 31);
    const trailingNow = low === 0 ? 32 + trailingZeros(high) : trailingZeros(low);
    if (leadingNow >= leading && trailingNow >= trailing) bits.put(0b01, 2);
    else {
      leading = leadingNow;
      trailing = trailingNow;
      bits.put(0b11, 2);
      bits.put(leading, 5);
      bits.put(64 - leading - trailing - 1, 6);
    }
    const lowWidth = Math.max(0, 32 - trailing);
    if (lowWidth > 0) putWord(low >>> trailing, Math.min(lowWidth, 64 - leading - trailing));
    const highShift = Math.max(0, trailing - 32);
    if (leading < 32) putWord(high >>> highShift, 32 - leading - highShift);
  }
}

function decodeXor(rows: number): void {
  valueWords[0] = reader.takeWide(32);
  valueWords[1] = reader.takeWide(32);
  let leading = 0;
  let trailing = 0;
  for (let i = 1; i < rows; i++) {
    let low = 0;
    let high = 0;
    if (reader.take(1) === 1) {
      if (reader.take(1) === 1) {
        leading = reader.take(5);
        trailing = 64 - leading - (reader.take(6) + 1);
      }
      const highShift = Math.max(0, trailing - 32);
      if (trailing < 32) low = reader.takeWide(32 - trailing) << trailing;
      high = reader.takeWide(32 - leading - highShift) << highShift;
    }
    valueWords[2 * i] = valueWords[2 * i - 2]! ^ low;
    valueWords[2 * i + 1] = valueWords[2 * i - 1]! ^ high;
  }
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}

// ---- zstd over doubles ----

const plain = new Uint8Array(rowsMax * 16);

export const zstdDoubles: Format = {
  encode(writer, { rows, time: times, series }) {
    for (const column of series) {
      plain.set(new Uint8Array(times.buffer, times.byteOffset, rows * 8));
      plain.set(new Uint8Array(column.buffer, column.byteOffset, rows * 8), rows * 8);
      const packed = zstdCompressSync(plain.subarray(0, rows * 16), {
        params: { [constants.ZSTD_c_compressionLevel]: 3 },
        chunkSize: 8_192,
      });
      writer.blob(packed);
    }
  },
  decode(bytes, { rows, seriesCount }, onColumn) {
    const columns = new ByteReader(bytes);
    for (let i = 0; i < seriesCount; i++) {
      const doubles = new ByteReader(
        zstdDecompressSync(columns.blob(), { maxOutputLength: rows * 16, chunkSize: 16_384 }),
      );
      doubles.copyTo(time, rows * 8);
      doubles.copyTo(values, rows * 8);
      onColumn(time, values);
    }
  },
};

// ---- LMDB ----

export type LmdbFigures = {
  readonly bytes_per_reading: number;
  readonly write_mps: number;
  readonly readings: number;
};

const readingsPerCommit = 1_000;

/** Writes readings of the blocks in order of time, at most `readingsMax`; bytes are the file's. */
export async function measureLmdb(
  blocks: readonly Block[],
  readingsMax: number,
): Promise<LmdbFigures> {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-bench-"));
  const path = join(folder.path, "readings.lmdb");
  const store = openKvLmdb({ path, bytesMax: 1 << 30 });
  const readings = Math.min(readingsMax, readingsOf(blocks));
  const before = process.cpuUsage();
  let commit: { key: string; value: Uint8Array }[] = [];
  let written = 0;
  for (const { key, value } of entriesOf(blocks)) {
    if (written + commit.length === readings) break;
    commit.push({ key, value });
    if (commit.length < readingsPerCommit) continue;
    await store.commit(commit);
    written += commit.length;
    commit = [];
  }
  await store.commit(commit);
  const { user, system } = process.cpuUsage(before);
  await store.close();
  return {
    bytes_per_reading: statSync(path).size / readings,
    write_mps: readings / (user + system),
    readings,
  };
}

function* entriesOf(blocks: readonly Block[]): Iterable<{ key: string; value: Uint8Array }> {
  for (const [n, block] of blocks.entries()) {
    const device = block.series.length === 1 ? n.toString(36) : "";
    for (let row = 0; row < block.rows; row++) {
      const at = block.time[row]!.toString(16);
      for (let i = 0; i < block.series.length; i++) {
        const value = new Uint8Array(8);
        new DataView(value.buffer).setFloat64(0, block.series[i]![row]!, true);
        yield { key: `${device}${i.toString(36)}/${at}`, value };
      }
    }
  }
}
