/**
 * Which series a table may hold: a Bloom filter (Bloom 1970) over series ids, 10 bits a series and 7
 * probes, so about 1 of 100 absent series is not told apart and no present one is missed.
 *
 *   probe i = (low + i * high) mod bits       Kirsch and Mitzenmacher 2006: two hashes serve for all
 *
 * Both hashes are MurmurHash3 x86_32 of the four bytes of the id, under two seeds that are part of
 * the format, as are all numbers here (docs/format/tables.md).
 */

import { hashOfPair } from "../../../core/hash.ts";

const BITS_PER_SERIES = 10;
const PROBES = 7;
const SEED_LOW = 0x7461626c;
const SEED_HIGH = 0x66696c74;

/** The filter of these ids; each counts once, however often it stands there. */
export function createSeriesFilter(ids: Uint32Array): Uint8Array {
  const filter = new Uint8Array(Math.max(8, Math.ceil((ids.length * BITS_PER_SERIES) / 8)));
  const bits = filter.length * 8;
  for (const id of ids) {
    const low = hashOfPair(SEED_LOW, id);
    const high = hashOfPair(SEED_HIGH, id);
    for (let i = 0; i < PROBES; i++) {
      const bit = ((low + Math.imul(i, high)) >>> 0) % bits;
      filter[bit >>> 3] = filter[bit >>> 3]! | (1 << (bit & 7));
    }
  }
  return filter;
}

/** False where the series is certainly not among the ids; `filter` has at least a byte. */
export function mayHoldSeries(filter: Uint8Array, id: number): boolean {
  const bits = filter.length * 8;
  const low = hashOfPair(SEED_LOW, id);
  const high = hashOfPair(SEED_HIGH, id);
  for (let i = 0; i < PROBES; i++) {
    const bit = ((low + Math.imul(i, high)) >>> 0) % bits;
    if ((filter[bit >>> 3]! & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}
