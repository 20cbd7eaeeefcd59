/**
 * The checksum of everything weir puts on disk: CRC-32 (IEEE 802.3, as in zlib and PNG), computed
 * by zlib's native code. A call costs about 0.2 us, so it is made once per block, not per field.
 */

import { crc32 } from "node:zlib";

/** CRC-32 of `bytes`, an unsigned 32-bit integer; of what stands before them, too, given its checksum. */
export function checksumOf(bytes: Uint8Array, before = 0): number {
  return crc32(bytes, before);
}
