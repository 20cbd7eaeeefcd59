/**
 * Which partition a key belongs to, exactly as Kafka's own clients choose it, so that records of
 * other producers with the same key meet ours: MurmurHash2 (Austin Appleby, public domain), 32 bits,
 * little-endian, under the seed of org.apache.kafka.common.utils.Utils.murmur2; the partition is the
 * hash without its sign bit, modulo the number of partitions (BuiltInPartitioner.partitionForKey).
 */

const seed = 0x9747b28c;
const m = 0x5bd1e995;

/** Partition in [0, partitions) of a key. `partitions` is a whole number from 1. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitions;
}

/** A signed 32-bit integer, as in Java. */
export function murmur2(bytes: Uint8Array): number {
  const wholeEnd = bytes.length & ~3;
  let h = seed ^ bytes.length;
  let i = 0;
  for (; i < wholeEnd; i += 4) {
    const block = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    const k = Math.imul(block, m);
    h = Math.imul(h, m) ^ Math.imul(k ^ (k >>> 24), m);
  }
  if (i < bytes.length) {
    for (let shift = 0; i < bytes.length; i++, shift += 8) h ^= bytes[i]! << shift;
    h = Math.imul(h, m);
  }
  h = Math.imul(h ^ (h >>> 13), m);
  return h ^ (h >>> 15);
}
