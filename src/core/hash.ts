/**
 * A hash of content: MurmurHash3 x86_32 (Austin Appleby, SMHasher, public domain) under two seeds,
 * so that a text has 64 bits of hash in two 32-bit halves, all in integer arithmetic of 32 bits.
 *
 * The hash depends on the bytes alone, never on ids: sketches of two agents that hold the same
 * texts can be merged. It is fixed for ever, since it stands in encoded sketches; the seeds are part
 * of it. It is fast, not secret: who chooses the texts can make them collide, so what is built on it
 * must stay harmless when they do.
 */

/** Seed of the low half. */
export const HASH_SEED_LOW = 0x9747b28c;
/** Seed of the high half. */
export const HASH_SEED_HIGH = 0x5082edee;

/** Both halves of a hash, unsigned 32 bits each. */
export type Hash = { readonly low: number; readonly high: number };

/** The hash of a text's UTF-8 bytes; lone surrogates count as U+FFFD. */
export function hashOfText(text: string): Hash {
  const bytes = utf8.encode(text);
  return { low: hash32(bytes, HASH_SEED_LOW), high: hash32(bytes, HASH_SEED_HIGH) };
}

/** MurmurHash3 x86_32 of all of `bytes`; unsigned 32 bits. */
export function hash32(bytes: Uint8Array, seed: number): number {
  const blocksEnd = bytes.length & ~3;
  let h = seed;
  for (let i = 0; i < blocksEnd; i += 4) {
    const block = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    h = withBlock(h, block);
  }
  if (blocksEnd < bytes.length) h ^= scramble(tailOf(bytes, blocksEnd));
  return finish(h ^ bytes.length);
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

/** The last one to three bytes, little-endian. */
function tailOf(bytes: Uint8Array, from: number): number {
  let tail = 0;
  for (let i = bytes.length - 1; i >= from; i--) tail = (tail << 8) | bytes[i]!;
  return tail;
}

function finish(h: number): number {
  let x = h;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
