/**
 * A record batch, what Kafka stores and what a Produce request carries per partition: version 2 of
 * KIP-98, "Record Batch" in the documentation of Kafka's message format. Integers are big-endian.
 *
 *   0   i64  offset of the first record; 0, the broker assigns it
 *   8   i32  bytes after this field
 *   12  i32  leader epoch; -1, the broker's business
 *   16  i8   magic, 2
 *   17  u32  CRC-32C of everything from 21 on
 *   21  i16  attributes: bits 0-2 compression, bit 4 transactional; bit 3 is 0: times of creation
 *   23  i32  offset of the last record, from the first
 *   27  i64  time of the first record, ms
 *   35  i64  highest time
 *   43  i64  producer id        ┐
 *   51  i16  producer epoch     │ -1 without a producer
 *   53  i32  first sequence     ┘
 *   57  i32  count of records
 *   61       records, compressed as one where an attribute says so
 *
 * A record is: length, attributes (i8, 0), time from the first, offset from the first, key length,
 * key, value length, value, count of headers, and for each the length of its name, name, length of
 * its value, value. Lengths, counts and differences are zigzag varints as in protocol buffers.
 *
 * Ours have one time for all records and no record without key; one without value has length -1 there. A batch that does not
 * shrink is stored as it is, so it never exceeds `batchHeaderBytes` and its recordBytesMax together.
 */

import { assert } from "../../../core/assert.ts";
import type { Header, Producer } from "../cluster.ts";
import { crc32c } from "./crc32c.ts";

export type BatchRecord = {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly headers: readonly Header[];
};

/** With `value` undefined it removes its key from a compacted topic. */
export type KeyedRecord = Omit<BatchRecord, "value"> & { readonly value: Uint8Array | undefined };

/** How the records of a batch are compressed; `attribute` is the codec's number in Kafka. */
export type Compression = {
  readonly attribute: 0 | 1 | 2 | 3 | 4;
  /** Does not keep `bytes`; the result is read at once and may be reused by the next call. */
  readonly compress: (bytes: Uint8Array) => Uint8Array;
};

export type BatchOptions = {
  /** Without one the batch is neither idempotent nor transactional. */
  readonly producer: Producer | undefined;
  /** Of the first record: how many the producer has sent to the partition before; wraps at 2^31. */
  readonly sequence: number;
  readonly isTransactional: boolean;
  /** Time of every record, ms since 1970. */
  readonly timeMs: number;
  readonly compression: Compression;
};

export const noCompression: Compression = { attribute: 0, compress: (bytes) => bytes };

/** Bytes of a batch before its records. */
export const batchHeaderBytes = 61;

const crcOffset = 17;
const attributesOffset = 21;
const flagTransactional = 1 << 4;
const sequences = 2 ** 31;

/** The batch of these records, at least one: a new buffer that the caller owns. */
export function encodeRecordBatch(
  records: readonly KeyedRecord[],
  options: BatchOptions,
): Uint8Array {
  assert(records.length > 0, "a batch holds at least one record");
  const plain = recordsOf(records);
  const { compression } = options;
  const packed = compression.attribute === 0 ? plain : compression.compress(plain);
  const isPacked = packed.length < plain.length;
  const stored = isPacked ? packed : plain;
  const batch = new Uint8Array(batchHeaderBytes + stored.length);
  batch.set(stored, batchHeaderBytes);
  writeHeader(batch, records.length, isPacked ? compression.attribute : 0, options);
  return batch;
}

/** The most a record takes in a batch, before compression. */
export function recordBytesMax(record: KeyedRecord): number {
  return fixedBytes + 2 * varintBytesMax + fieldBytes(record);
}

function writeHeader(
  batch: Uint8Array,
  count: number,
  codec: number,
  { producer, sequence, isTransactional, timeMs }: BatchOptions,
): void {
  const view = new DataView(batch.buffer);
  const time = BigInt(Math.floor(timeMs));
  view.setInt32(8, batch.length - 12);
  view.setInt32(12, -1);
  view.setInt8(16, 2);
  view.setInt16(attributesOffset, codec | (isTransactional ? flagTransactional : 0));
  view.setInt32(23, count - 1);
  view.setBigInt64(27, time);
  view.setBigInt64(35, time);
  view.setBigInt64(43, producer?.id ?? -1n);
  view.setInt16(51, producer?.epoch ?? -1);
  view.setInt32(53, producer === undefined ? -1 : sequence % sequences);
  view.setInt32(57, count);
  view.setUint32(crcOffset, crc32c(batch, attributesOffset));
}

// ---- records ----

const varintBytesMax = 5;
/** Attributes and the time from the first, one byte each as both are 0. */
const fixedBytes = 2;

/**
 * Where records are put together: used again by the next batch. Large enough for what a broker takes
 * as it comes (message.max.bytes, 1 MiB); a larger batch has memory of its own.
 */
let scratch = new Uint8Array(0);
const scratchBytesMax = 1_048_576 + 65_536;

/** The records of a batch, one after another; valid until the next call. */
function recordsOf(records: readonly KeyedRecord[]): Uint8Array {
  let bytesMax = 0;
  for (const record of records) bytesMax += recordBytesMax(record);
  const target = roomFor(bytesMax);
  let offset = 0;
  for (let i = 0; i < records.length; i++) offset = writeRecord(target, offset, records[i]!, i);
  return target.subarray(0, offset);
}

function roomFor(bytes: number): Uint8Array {
  if (bytes > scratchBytesMax) return new Uint8Array(bytes);
  if (scratch.length < bytes) scratch = new Uint8Array(Math.min(2 * bytes, scratchBytesMax));
  return scratch;
}

/** Returns where the next one begins. */
function writeRecord(
  target: Uint8Array,
  start: number,
  record: KeyedRecord,
  index: number,
): number {
  const bytes = fixedBytes + varintBytes(index) + fieldBytes(record);
  let offset = writeVarint(target, start, bytes);
  target[offset++] = 0;
  target[offset++] = 0;
  offset = writeVarint(target, offset, index);
  offset = writeBytes(target, offset, record.key);
  offset = writeBytes(target, offset, record.value);
  offset = writeVarint(target, offset, record.headers.length);
  for (const { name, value } of record.headers) {
    offset = writeBytes(target, offset, name);
    offset = writeBytes(target, offset, value);
  }
  return offset;
}

/** Bytes of key, value and headers. */
function fieldBytes({ key, value, headers }: KeyedRecord): number {
  let bytes = prefixedBytes(key) + prefixedBytes(value) + varintBytes(headers.length);
  for (const header of headers) bytes += prefixedBytes(header.name) + prefixedBytes(header.value);
  return bytes;
}

function prefixedBytes(bytes: Uint8Array | undefined): number {
  return bytes === undefined ? 1 : varintBytes(bytes.length) + bytes.length;
}

/** Of a number in [0, 2^31): zigzag doubles it, then seven bits a byte. */
function varintBytes(value: number): number {
  if (value < 1 << 6) return 1;
  if (value < 1 << 13) return 2;
  if (value < 1 << 20) return 3;
  return value < 1 << 27 ? 4 : 5;
}

function writeVarint(target: Uint8Array, start: number, value: number): number {
  let offset = start;
  let rest = (value << 1) >>> 0;
  for (; rest >= 0x80; rest >>>= 7) target[offset++] = (rest & 0x7f) | 0x80;
  target[offset++] = rest;
  return offset;
}

/** The bytes with their length before them; none have the length -1, which is 1 in zigzag. */
function writeBytes(target: Uint8Array, start: number, bytes: Uint8Array | undefined): number {
  if (bytes === undefined) {
    target[start] = 1;
    return start + 1;
  }
  const offset = writeVarint(target, start, bytes.length);
  target.set(bytes, offset);
  return offset + bytes.length;
}
