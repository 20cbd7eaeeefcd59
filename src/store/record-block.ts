/**
 * A record block: several records as one value of the state store, compressed where that makes it
 * smaller. JSON records of one commit resemble each other and shrink to an eighth; every byte here
 * is flash.
 *
 *   0  u8   version, 1
 *   1  u8   flags: bit 0 the body is a zstd frame
 *   2  u16  0
 *   4  u32  count of records
 *   8  u32  bytes of the body before compression
 *   12 u32  CRC-32 of the body as stored
 *   16      body: count lengths (u32 each), then the records one after another
 *
 * Integers are little-endian. LMDB has no checksums: a block that does not check is reported as
 * damaged, never half believed.
 */

import { constants, crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";

const version = 1;
const flagZstd = 1;
const headerBytes = 16;
/** Bodies shorter than this rarely shrink. */
const compressBytesMin = 128;
/** A body that claims more was not written by us. */
const bodyBytesMax = 64 * 1024 * 1024;

export type DecodedBlock =
  /** The records share one buffer that the caller owns. */
  | { readonly kind: "records"; readonly records: readonly Uint8Array[]; readonly bytes: number }
  | { readonly kind: "damaged"; readonly reason: string };

/** The block of these records, a new buffer. */
export function encodeBlock(records: readonly Uint8Array[]): Uint8Array {
  const body = bodyOf(records);
  const packed = body.length >= compressBytesMin ? compressed(body) : body;
  const isPacked = packed.length < body.length;
  const stored = isPacked ? packed : body;
  const block = new Uint8Array(headerBytes + stored.length);
  const header = new DataView(block.buffer);
  header.setUint8(0, version);
  header.setUint8(1, isPacked ? flagZstd : 0);
  header.setUint32(4, records.length, true);
  header.setUint32(8, body.length, true);
  header.setUint32(12, crc32(stored), true);
  block.set(stored, headerBytes);
  return block;
}

/** The records of a block that was read from disk. */
export function decodeBlock(block: Uint8Array): DecodedBlock {
  if (block.length < headerBytes) return damaged("it is shorter than its header");
  const header = new DataView(block.buffer, block.byteOffset, headerBytes);
  if (header.getUint8(0) !== version) return damaged(`its version is ${header.getUint8(0)}`);
  const flags = header.getUint8(1);
  if (flags > flagZstd) return damaged(`its flags are ${flags}`);
  const count = header.getUint32(4, true);
  const bodyBytes = header.getUint32(8, true);
  const stored = block.subarray(headerBytes);
  if (crc32(stored) !== header.getUint32(12, true)) return damaged("its checksum does not match");
  if (bodyBytes > bodyBytesMax) return damaged("its body is too large");
  const body = flags === flagZstd ? unpacked(stored, bodyBytes) : stored;
  if (body?.length !== bodyBytes) return damaged("its body is not as long as it says");
  return recordsOf(body, count);
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
  return { kind: "records", records, bytes: body.length - 4 * count };
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
