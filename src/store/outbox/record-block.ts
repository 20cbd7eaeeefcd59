/**
 * A record block: several records as one value of the state store, compressed where that makes it
 * smaller. JSON records of one commit resemble each other and shrink to an eighth; every byte here
 * is flash.
 *
 *   0  u8   version: 1, or 2 where numbers before the first record stand for none
 *   1  u8   flags: bit 0 the body is a zstd frame
 *   2  u16  0
 *   4  u32  count of records
 *   8  u32  bytes of the body before compression
 *   12 u32  CRC-32 of the body as stored
 *  [16 u32  version 2: how many numbers are skipped, at least 1]
 *   16, 20  body: count lengths (u32 each), then the records one after another
 *
 * Integers are little-endian. LMDB has no checksums: a block that does not check is reported as
 * damaged, never half believed.
 */

import { constants, crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";

const version = 1;
const versionWithSkipped = 2;
const flagZstd = 1;
const headerBytes = 16;
const headerBytesWithSkipped = 20;
/** Bodies shorter than this rarely shrink. */
const compressBytesMin = 128;
/** A body that claims more was not written by us. */
const bodyBytesMax = 64 * 1024 * 1024;

export type DecodedBlock =
  /** The records share one buffer that the caller owns. */
  | {
      readonly kind: "records";
      readonly records: readonly Uint8Array[];
      readonly bytes: number;
      /** Numbers before the first record that stand for none. */
      readonly skipped: number;
    }
  | { readonly kind: "damaged"; readonly reason: string };

/** The block of these records, a new buffer; `skipped` numbers before the first stand for none. */
export function encodeBlock(records: readonly Uint8Array[], skipped = 0): Uint8Array {
  const body = bodyOf(records);
  const packed = body.length >= compressBytesMin ? compressed(body) : body;
  const isPacked = packed.length < body.length;
  const stored = isPacked ? packed : body;
  const begin = skipped === 0 ? headerBytes : headerBytesWithSkipped;
  const block = new Uint8Array(begin + stored.length);
  const header = new DataView(block.buffer);
  header.setUint8(0, skipped === 0 ? version : versionWithSkipped);
  header.setUint8(1, isPacked ? flagZstd : 0);
  header.setUint32(4, records.length, true);
  header.setUint32(8, body.length, true);
  header.setUint32(12, crc32(stored), true);
  if (skipped > 0) header.setUint32(16, skipped, true);
  block.set(stored, begin);
  return block;
}

/** The records of a block that was read from disk. */
export function decodeBlock(block: Uint8Array): DecodedBlock {
  if (block.length < headerBytes) return damaged("it is shorter than its header");
  const header = new DataView(block.buffer, block.byteOffset, block.length);
  const found = header.getUint8(0);
  if (found !== version && found !== versionWithSkipped) {
    return damaged(`its version is ${found}`);
  }
  const begin = found === version ? headerBytes : headerBytesWithSkipped;
  if (block.length < begin) return damaged("it is shorter than its header");
  const flags = header.getUint8(1);
  if (flags > flagZstd) return damaged(`its flags are ${flags}`);
  const count = header.getUint32(4, true);
  const bodyBytes = header.getUint32(8, true);
  const stored = block.subarray(begin);
  if (crc32(stored) !== header.getUint32(12, true)) return damaged("its checksum does not match");
  if (bodyBytes > bodyBytesMax) return damaged("its body is too large");
  const body = flags === flagZstd ? unpacked(stored, bodyBytes) : stored;
  if (body?.length !== bodyBytes) return damaged("its body is not as long as it says");
  const decoded = recordsOf(body, count);
  if (decoded.kind === "damaged") return decoded;
  return { ...decoded, skipped: skippedIn(block) };
}

/** How many records a block has, by its header alone, which is not checked. */
export function countIn(block: Uint8Array): number {
  if (block.length < headerBytes) return 0;
  return new DataView(block.buffer, block.byteOffset, block.length).getUint32(4, true);
}

/** How many numbers a block skips, by its header alone. */
export function skippedIn(block: Uint8Array): number {
  if (block.length < headerBytesWithSkipped || block[0] !== versionWithSkipped) return 0;
  return new DataView(block.buffer, block.byteOffset, block.length).getUint32(16, true);
}

/** Output is taken in pieces of about the size it will have; the default of 16 KiB is mostly waste. */
function compressed(body: Uint8Array): Uint8Array {
  return zstdCompressSync(body, {
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
    chunkSize: Math.max(1_024, Math.min(body.length >>> 2, 65_536)),
  });
}

/**
 * Where bodies are put together: used again by the next one, since memory outside of V8's heap is
 * not collected until much of it is waste.
 */
let scratch = new Uint8Array(0);
const scratchBytesMax = 512 * 1024;

/** Valid until the next call. */
function bodyOf(records: readonly Uint8Array[]): Uint8Array {
  const bytes = records.reduce((sum, record) => sum + record.length, 4 * records.length);
  const body = bytes > scratchBytesMax ? new Uint8Array(bytes) : scratchOf(bytes);
  const lengths = new DataView(body.buffer);
  let offset = 4 * records.length;
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!;
    lengths.setUint32(4 * i, record.length, true);
    body.set(record, offset);
    offset += record.length;
  }
  return body;
}

function scratchOf(bytes: number): Uint8Array {
  if (scratch.length < bytes) scratch = new Uint8Array(Math.min(2 * bytes, scratchBytesMax));
  return scratch.subarray(0, bytes);
}

function recordsOf(body: Uint8Array, count: number): DecodedBlock {
  if (4 * count > body.length) return damaged("its lengths do not fit");
  const lengths = new DataView(body.buffer, body.byteOffset, body.length);
  const records: Uint8Array[] = [];
  let offset = 4 * count;
  for (let i = 0; i < count; i++) {
    const end = offset + lengths.getUint32(4 * i, true);
    if (end > body.length) return damaged("a record reaches beyond its end");
    records.push(body.subarray(offset, end));
    offset = end;
  }
  if (offset !== body.length) return damaged("bytes are left over");
  return { kind: "records", records, bytes: body.length - 4 * count, skipped: 0 };
}

function unpacked(stored: Uint8Array, bytes: number): Uint8Array | undefined {
  try {
    return zstdDecompressSync(stored, { maxOutputLength: Math.max(1, bytes) });
  } catch {
    return undefined; // the caller reports it
  }
}

function damaged(reason: string): DecodedBlock {
  return { kind: "damaged", reason };
}
