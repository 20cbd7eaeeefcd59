/**
 * The records within a batch (layout: record-batch.ts), read by ourselves: the client follows
 * whatever lengths it finds and unpacks whatever it is given. Here no record reaches beyond the bytes
 * there are, and none of the codecs unpacks more than `kafkaAnswerBytesMax`:
 *
 *   gzip, zstd   node:zlib stops there
 *   snappy       says first how much it is; without asking, the client reserves as much for good
 *   lz4          says how large its blocks are at most; their headers are counted
 *
 * Sources: format_description.txt of Snappy, lz4_Frame_format.md of LZ4, and the blocks that Java's
 * xerial puts around Snappy: 16 bytes, then pieces, each after its length (u32).
 */

import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { limits } from "../../../core/limits.ts";
import type { FetchedRecord, Header } from "../cluster.ts";
import { batchHeaderBytes } from "../message/record-batch.ts";
import { Malformed } from "./answers.ts";
import { bufferOver, type Protocol } from "./protocol.ts";

const attributesAt = 21;
const countAt = 57;
const codecBits = 0b111;
const bytesMax = limits.kafkaAnswerBytesMax;

/**
 * The records of a whole batch whose first one has the offset `first`. Keys, values and headers are views of
 * `batch`, or of what it unpacks to. Throws what makes no sense.
 */
export function readRecords(batch: Uint8Array, first: number, protocol: Protocol): FetchedRecord[] {
  if (batch.length < batchHeaderBytes) throw new Malformed("a batch is too short");
  const view = viewOf(batch);
  const packed = batch.subarray(batchHeaderBytes);
  const bytes = unpacked(packed, view.getInt16(attributesAt) & codecBits, protocol);
  const count = view.getInt32(countAt);
  if (count < 0 || count > bytes.length)
    throw new Malformed("a batch has no such count of records");
  const records: FetchedRecord[] = [];
  const at = { bytes, position: 0 };
  while (records.length < count) records.push(readRecord(at, first));
  return records;
}

// ---- a record ----

type Cursor = { readonly bytes: Uint8Array; position: number };

function readRecord(at: Cursor, first: number): FetchedRecord {
  const whole = readField(at);
  if (whole === undefined) throw new Malformed("a record has no length");
  const within: Cursor = { bytes: whole, position: 1 }; // attributes
  readVarint(within); // time
  const offset = first + readVarint(within);
  const key = readField(within);
  const value = readField(within);
  return { offset, key, value, headers: readHeaders(within) };
}

const noHeaders: readonly Header[] = [];
const noBytes = new Uint8Array(0);

function readHeaders(at: Cursor): readonly Header[] {
  const count = readVarint(at);
  if (count === 0) return noHeaders;
  if (count < 0 || count > at.bytes.length)
    throw new Malformed("a record has no such count of headers");
  const headers: Header[] = [];
  while (headers.length < count) {
    headers.push({ name: readField(at) ?? noBytes, value: readField(at) ?? noBytes });
  }
  return headers;
}

/** Bytes after their length, -1 for none. */
function readField(at: Cursor): Uint8Array | undefined {
  const length = readVarint(at);
  if (length === -1) return undefined;
  const end = at.position + length;
  if (length < 0 || end > at.bytes.length) throw new Malformed("a length in a record does not fit");
  const field = at.bytes.subarray(at.position, end);
  at.position = end;
  return field;
}

const varintBytesMax = 10;

/** Zigzag; exact up to 2^53, where only times may be larger. */
function readVarint(at: Cursor): number {
  let value = 0;
  for (let i = 0; i < varintBytesMax; i++) {
    const byte = at.bytes[at.position++];
    if (byte === undefined) throw new Malformed("a record ends too early");
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
  throw new Malformed("a number in a record is too long");
}

// ---- codecs ----

function unpacked(bytes: Uint8Array, codec: number, protocol: Protocol): Uint8Array {
  const { snappy, lz4 } = protocol.compressionsAlgorithms;
  switch (codec) {
    case 0:
      return bytes;
    case 1:
      return gunzipSync(bytes, { maxOutputLength: bytesMax });
    case 2:
      expectRoom(snappyBytes(bytes));
      return snappy.decompressSync(bufferOver(bytes));
    case 3:
      expectRoom(lz4BytesMax(bytes));
      return lz4.decompressSync(bufferOver(bytes));
    case 4:
      return zstdDecompressSync(bytes, { maxOutputLength: bytesMax });
    default:
      throw new Malformed("a batch is compressed in a way not known here");
  }
}

function expectRoom(count: number): void {
  if (!(count <= bytesMax)) throw new Malformed(`a batch unpacks to more than ${bytesMax} bytes`);
}

const xerialMagic = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const xerialHeadBytes = 16;

function snappyBytes(bytes: Uint8Array): number {
  if (xerialMagic.some((byte, i) => bytes[i] !== byte)) return snappyPieceBytes(bytes);
  const view = viewOf(bytes);
  let sum = 0;
  for (let at = xerialHeadBytes; at + 4 <= bytes.length; ) {
    const length = view.getUint32(at);
    sum += snappyPieceBytes(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return sum;
}

/** What it says that it unpacks to: a varint, least significant bits first. */
function snappyPieceBytes(piece: Uint8Array): number {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = piece[i] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) break;
  }
  return value;
}

const lz4Magic = 0x184d_2204;
const lz4HeadBytes = 7;

/** The most that frames unpack to: a byte of a block makes no more than 255. */
function lz4BytesMax(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  let sum = 0;
  for (let at = 0; at + lz4HeadBytes <= bytes.length; ) {
    if (view.getUint32(at, true) !== lz4Magic) throw new Malformed("a batch is no frame of LZ4");
    const flags = view.getUint8(at + 4);
    const blockBytesMax = 2 ** (8 + 2 * ((view.getUint8(at + 5) >> 4) & 0b111));
    at += lz4HeadBytes + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4);
    while (at + 4 <= bytes.length) {
      const length = view.getUint32(at, true) & 0x7fff_ffff;
      at += 4;
      if (length === 0) break;
      sum += Math.min(blockBytesMax, 255 * length);
      at += length + ((flags & 0x10) === 0 ? 0 : 4);
    }
    at += (flags & 0x04) === 0 ? 0 : 4;
  }
  return sum;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
