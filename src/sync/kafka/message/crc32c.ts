/**
 * CRC-32C, the checksum of Kafka's record batches: polynomial 0x1EDC6F41 (Castagnoli), reflected,
 * begun and ended with all bits set, as in RFC 3720 (iSCSI), appendix B.4. node:zlib has only the
 * polynomial of Ethernet.
 *
 * Eight bytes a step by eight tables ("slicing-by-8": Kounavis and Berry, "A systematic approach to
 * building high performance software-based CRC generators", ISCC 2005): table n holds what a byte
 * becomes once n zero bytes have followed it, so the eight lookups of a step do not wait for one
 * another. About 1.6 GB/s, where one table gives 0.5.
 */

const reflectedPolynomial = 0x82f63b78;
const tables = tablesOf(8);

/** CRC-32C of the bytes from `start` to the end; unsigned 32 bits. */
export function crc32c(bytes: Uint8Array, start = 0): number {
  const wholeEnd = start + ((bytes.length - start) & ~7);
  let crc = -1;
  let i = start;
  for (; i < wholeEnd; i += 8) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc =
      tables[0x700 | (crc & 0xff)]! ^
      tables[0x600 | ((crc >>> 8) & 0xff)]! ^
      tables[0x500 | ((crc >>> 16) & 0xff)]! ^
      tables[0x400 | (crc >>> 24)]! ^
      tables[0x300 | bytes[i + 4]!]! ^
      tables[0x200 | bytes[i + 5]!]! ^
      tables[0x100 | bytes[i + 6]!]! ^
      tables[bytes[i + 7]!]!;
  }
  for (; i < bytes.length; i++) crc = tables[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** `count` tables of 256, one after another. */
function tablesOf(count: number): Int32Array {
  const entries = new Int32Array(count * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? reflectedPolynomial : 0);
    entries[byte] = crc;
  }
  for (let i = 256; i < entries.length; i++) {
    const before = entries[i - 256]!;
    entries[i] = entries[before & 0xff]! ^ (before >>> 8);
  }
  return entries;
}
