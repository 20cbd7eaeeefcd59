/**
 * A hash of content: MurmurHash3 x86_32 (Austin Appleby, SMHasher, public domain) under two seeds,
 * so that a text has 64 bits of hash in two 32-bit halves, all in integer arithmetic of 32 bits.
 *
 * The hash depends on the bytes alone, never on ids: sketches of two agents that hold the same
 * texts can be merged. It is fixed for ever, since it stands in encoded sketches; the seeds are part
 * of it. It is fast, not secret: who chooses the texts can make them collide, so what is built on it
 * must stay harmless when they do.
 */

const SEED_LOW = 0x9747b28c;
const SEED_HIGH = 0x5082edee;

/** Both halves of a hash, unsigned 32 bits each. */
export type Hash = { readonly low: number; readonly high: number };

/** The hash of a text's UTF-8 bytes; lone surrogates count as U+FFFD. */
export function hashOfText(text: string): Hash {
  const bytes = utf8.encode(text);
  return {
    low: murmur32(bytes, 0, bytes.length, SEED_LOW),
    high: murmur32(bytes, 0, bytes.length, SEED_HIGH),
  };
}

/** MurmurHash3 x86_32 of `bytes[start, end)`; unsigned 32 bits. Allocates nothing. */
export function murmur32(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let h = seed;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const block = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    h = withBlock(h, block);
  }
  let tail = 0;
  for (let shift = 0; i < end; i++, shift += 8) tail |= bytes[i]! << shift;
  return finish(h ^ scramble(tail) ^ (end - start));
}

/**
 * One half of the hash of a pair, from the same half of its parts: the hash of the four bytes of
 * `second` with `first` as the seed. Not symmetric: (a, b) and (b, a) differ.
 */
export function hashOfPair(first: number, second: number): number {
  return finish(withBlock(first, second) ^ 4);
}

const utf8 = new TextEncoder();

function withBlock(h: number, block: number): number {
  const mixed = h ^ scramble(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function scramble(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
}

function finish(h: number): number {
  let x = h;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
