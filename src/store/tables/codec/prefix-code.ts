/**
 * A prefix code for the tokens of one block: Huffman's lengths, none longer than CODE_BITS_MAX, given
 * out canonically, so the lengths are all that is stored.
 *
 *   lengths from counts    Huffman 1952 with two queues; what comes out too long is cut and the
 *                          excess paid back by lengthening the cheapest codes (as zlib and zstd do;
 *                          package-merge would save a fraction of a bit per block)
 *   codes from lengths     ascending by length, then by token; written lowest bit first, so they are
 *                          kept reversed, as in DEFLATE (RFC 1951, 3.2.2)
 */

import { MalformedBytes } from "../../../core/bytes.ts";
import type { BitReader, BitWriter } from "./bits.ts";

/** Tokens are below this. */
export const TOKENS = 256;
export const CODE_BITS_MAX = 11;
const LENGTH_BITS = 4;
const SLOTS = 1 << CODE_BITS_MAX;

/** Lengths and codes by token; length 0 where the token does not occur or is the only one. */
export type PrefixCode = {
  /** Tokens in use lie in [first, last]. */
  first: number;
  last: number;
  readonly lengths: Uint8Array;
  readonly codes: Uint16Array;
};

/** For decoding: the token and its length by the next CODE_BITS_MAX bits. */
export type PrefixTable = { readonly tokens: Uint8Array; readonly lengths: Uint8Array };

export function createPrefixCode(): PrefixCode {
  return { first: 0, last: 0, lengths: new Uint8Array(TOKENS), codes: new Uint16Array(TOKENS) };
}

export function createPrefixTable(): PrefixTable {
  return { tokens: new Uint8Array(SLOTS), lengths: new Uint8Array(SLOTS) };
}

// Scratch: leaves in ascending order of count, then the inner nodes in the order they are made.
const order = new Uint32Array(TOKENS);
const weights = new Float64Array(2 * TOKENS);
const parents = new Uint16Array(2 * TOKENS);
const depths = new Uint8Array(2 * TOKENS);
const nextCode = new Uint16Array(CODE_BITS_MAX + 2);

/** The code of tokens that occur `counts[token]` times, into `code`; one of them does at least. */
export function buildPrefixCode(code: PrefixCode, counts: Uint16Array): void {
  const leaves = sortTokens(counts);
  code.lengths.fill(0);
  code.codes.fill(0); // a token that is the only one is put as a code of no bits
  code.first = TOKENS;
  code.last = 0;
  for (let i = 0; i < leaves; i++) {
    const token = order[i]! & 0xff;
    code.first = Math.min(code.first, token);
    code.last = Math.max(code.last, token);
  }
  if (leaves === 1) return;
  const nodes = joinNodes(leaves);
  for (let node = nodes - 2; node >= 0; node--) {
    depths[node] = Math.min(depths[parents[node]!]! + 1, 255);
  }
  limitDepths(leaves);
  for (let i = 0; i < leaves; i++) code.lengths[order[i]! & 0xff] = depths[i]!;
  assignCodes(code);
}

/** Into `order`: tokens in use as count << 8 | token, ascending; returns how many. */
function sortTokens(counts: Uint16Array): number {
  let leaves = 0;
  for (let token = 0; token < TOKENS; token++) {
    if (counts[token]! > 0) order[leaves++] = (counts[token]! << 8) | token;
  }
  order.subarray(0, leaves).sort();
  for (let i = 0; i < leaves; i++) weights[i] = order[i]! >>> 8;
  return leaves;
}

/** Joins the two lightest nodes until one is left, which is the last; returns how many there are. */
function joinNodes(leaves: number): number {
  let leaf = 0;
  let inner = leaves;
  let nodes = leaves;
  while (nodes < 2 * leaves - 1) {
    let weight = 0;
    for (let k = 0; k < 2; k++) {
      const takesLeaf = leaf < leaves && (inner === nodes || weights[leaf]! <= weights[inner]!);
      const node = takesLeaf ? leaf++ : inner++;
      parents[node] = nodes;
      weight += weights[node]!;
    }
    weights[nodes++] = weight;
  }
  depths[nodes - 1] = 0;
  return nodes;
}

/** Depths of the leaves down to CODE_BITS_MAX, with the sum of 2^-depth at 1 again. */
function limitDepths(leaves: number): void {
  let sum = 0;
  for (let i = 0; i < leaves; i++) {
    if (depths[i]! > CODE_BITS_MAX) depths[i] = CODE_BITS_MAX;
    sum += SLOTS >>> depths[i]!;
  }
  // The rarest first; a code of length n that grows by one gives back half of its slots.
  for (let i = 0; sum > SLOTS; i = (i + 1) % leaves) {
    if (depths[i]! === CODE_BITS_MAX) continue;
    depths[i]!++;
    sum -= SLOTS >>> depths[i]!;
  }
  // What was paid too much goes to the most frequent that can take it.
  for (let i = leaves - 1; sum < SLOTS && i >= 0; i--) {
    while (SLOTS >>> depths[i]! <= SLOTS - sum) {
      sum += SLOTS >>> depths[i]!;
      depths[i]!--;
    }
  }
}

function assignCodes(code: PrefixCode): void {
  startCodes(code);
  for (let token = code.first; token <= code.last; token++) {
    const length = code.lengths[token]!;
    if (length > 0) code.codes[token] = reversed(nextCode[length]!++, length);
  }
}

/** Into `nextCode`: the first code of each length. Returns the slots in use, SLOTS for a complete code. */
function startCodes(code: PrefixCode): number {
  nextCode.fill(0);
  let slots = 0;
  for (let token = code.first; token <= code.last; token++) {
    const length = code.lengths[token]!;
    if (length === 0) continue;
    slots += SLOTS >>> length;
    nextCode[length + 1]!++;
  }
  for (let length = 1; length <= CODE_BITS_MAX; length++) {
    nextCode[length] = (nextCode[length - 1]! + nextCode[length]!) << 1;
  }
  return slots;
}

function reversed(code: number, length: number): number {
  let from = code;
  let to = 0;
  for (let i = 0; i < length; i++) {
    to = (to << 1) | (from & 1);
    from >>>= 1;
  }
  return to;
}

/** First and last token, then, where they differ, a length for each of them and those between. */
export function writePrefixCode(bits: BitWriter, code: PrefixCode): void {
  bits.put(code.first, 8);
  bits.put(code.last, 8);
  if (code.first === code.last) return;
  for (let token = code.first; token <= code.last; token++) {
    bits.put(code.lengths[token]!, LENGTH_BITS);
  }
}

/** Bits that `writePrefixCode` takes for tokens in [first, last]. */
export function prefixCodeBits(first: number, last: number): number {
  return 16 + (first === last ? 0 : LENGTH_BITS * (last - first + 1));
}

/** Reads a code into `table`, with `code` as scratch; throws MalformedBytes. */
export function readPrefixTable(bits: BitReader, code: PrefixCode, table: PrefixTable): void {
  code.first = bits.take(8);
  code.last = bits.take(8);
  code.lengths.fill(0);
  if (code.first === code.last) {
    table.tokens.fill(code.first);
    table.lengths.fill(0);
    return;
  }
  if (code.first > code.last) throw new MalformedBytes("tokens out of order", 0);
  for (let token = code.first; token <= code.last; token++) {
    const length = bits.take(LENGTH_BITS);
    if (length > CODE_BITS_MAX) throw new MalformedBytes("a code too long", 0);
    code.lengths[token] = length;
  }
  const slots = startCodes(code);
  if (slots > SLOTS) throw new MalformedBytes("a code of too many tokens", 0);
  if (slots < SLOTS) {
    table.tokens.fill(code.first); // what no code begins with was not written by us
    table.lengths.fill(CODE_BITS_MAX);
  }
  assignCodes(code);
  for (let token = code.first; token <= code.last; token++) {
    const length = code.lengths[token]!;
    if (length === 0) continue;
    for (let slot = code.codes[token]!; slot < SLOTS; slot += 1 << length) {
      table.tokens[slot] = token;
      table.lengths[slot] = length;
    }
  }
}
