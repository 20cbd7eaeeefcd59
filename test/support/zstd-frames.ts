/** Everything that was compressed and stands in some bytes, wherever it begins: RFC 8878, 3.1.1. */

import { zstdDecompressSync } from "node:zlib";

const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const BLOCK_HEADER_BYTES = 3;
const RUN = 1;

/** The contents of all zstd frames that can be read. */
export function* zstdContentsIn(bytes: Buffer): Generator<Buffer> {
  for (let at = bytes.indexOf(MAGIC); at >= 0; at = bytes.indexOf(MAGIC, at + 1)) {
    const end = endOfFrame(bytes, at);
    if (end === undefined) continue;
    try {
      yield zstdDecompressSync(bytes.subarray(at, end));
    } catch {
      // The magic number by chance, or the rest of a frame that was overwritten.
    }
  }
}

function endOfFrame(bytes: Buffer, start: number): number | undefined {
  const descriptor = bytes[start + 4] ?? 0;
  const isSingle = (descriptor >> 5) & 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? isSingle : 1 << sizeFlag;
  const checksumBytes = (descriptor >> 2) & 1 ? 4 : 0;
  let at = start + 5 + (1 - isSingle) + dictionaryBytes + sizeBytes;
  for (;;) {
    if (at + BLOCK_HEADER_BYTES > bytes.length) return undefined;
    const header = bytes.readUIntLE(at, BLOCK_HEADER_BYTES);
    at += BLOCK_HEADER_BYTES + (((header >> 1) & 3) === RUN ? 1 : header >> 3);
    if ((header & 1) === 1) return at + checksumBytes;
  }
}
