/**
 * Tokens: how large an integer in [0, 2^53) is, in a byte, for a prefix code to count. Integers below
 * 2^direct are tokens of their own; larger ones share a token with those that have the same highest
 * bit and the same `leading` bits after it, and their `extra` lower bits follow the token as they
 * are. The hybrid integers of JPEG XL (ISO/IEC 18181-1, C.3.3).
 */

import { assert } from "../../../core/assert.ts";
import { TOKENS } from "./prefix-code.ts";

/** Integers are below 2^this. */
export const INTEGER_BITS_MAX = 53;

export type TokenShape = {
  readonly direct: number;
  readonly leading: number;
  /** By token: its least integer, the bits that follow it, the bits that its integers have. */
  readonly least: Float64Array;
  readonly extra: Uint8Array;
  readonly bits: Uint8Array;
};

/** For noise: few tokens, since each takes half a byte of the block's code. */
export const fineTokens: TokenShape = createTokenShape(2, 1);
/** For few different integers, such as places in a dictionary. */
export const directTokens: TokenShape = createTokenShape(7, 1);
/** The integers that `directTokens` has tokens of their own for are below this. */
export const DIRECT_END = 128;

function createTokenShape(direct: number, leading: number): TokenShape {
  const least = new Float64Array(TOKENS);
  const extra = new Uint8Array(TOKENS);
  const bits = new Uint8Array(TOKENS);
  const directEnd = 1 << direct;
  const tokens = directEnd + ((INTEGER_BITS_MAX - direct) << leading);
  assert(leading <= direct && tokens <= TOKENS, "every integer has a token");
  for (let token = 0; token < TOKENS; token++) {
    const above = token - directEnd;
    const highest = above < 0 ? 31 - Math.clz32(token) : direct + (above >>> leading);
    bits[token] = highest + 1;
    if (above < 0) least[token] = token;
    else {
      const head = (1 << leading) + (above & ((1 << leading) - 1));
      extra[token] = highest - leading;
      least[token] = head * 2 ** (highest - leading);
    }
  }
  // Tokens past the last are no integer's; decoding them must stay within 53 bits all the same.
  extra.fill(0, tokens);
  return { direct, leading, least, extra, bits };
}

/** Tokens of rows [0, rows), none above `top`, and how often each occurs. */
export function setTokens(
  target: { readonly tokens: Uint8Array; readonly counts: Uint16Array },
  values: Float64Array,
  { rows, top, shape }: { readonly rows: number; readonly top: number; readonly shape: TokenShape },
): void {
  const { tokens, counts } = target;
  counts.fill(0);
  if (top < 2 ** 31) setSmallTokens(tokens, values, rows, shape);
  else setLargeTokens(tokens, values, rows, shape);
  for (let i = 0; i < rows; i++) counts[tokens[i]!]!++;
}

function setSmallTokens(
  tokens: Uint8Array,
  values: Float64Array,
  rows: number,
  shape: TokenShape,
): void {
  for (let i = 0; i < rows; i++) tokens[i] = tokenOf(values[i]! | 0, shape);
}

/** Of an integer in [0, 2^31). */
export function tokenOf(value: number, { direct, leading }: TokenShape): number {
  const directEnd = 1 << direct;
  if (value < directEnd) return value;
  const highest = 31 - Math.clz32(value);
  const head = (value >>> (highest - leading)) & ((1 << leading) - 1);
  return directEnd + ((highest - direct) << leading) + head;
}

function setLargeTokens(
  tokens: Uint8Array,
  values: Float64Array,
  rows: number,
  { direct, leading }: TokenShape,
): void {
  const directEnd = 1 << direct;
  const mask = (1 << leading) - 1;
  for (let i = 0; i < rows; i++) {
    const value = values[i]!;
    if (value < directEnd) {
      tokens[i] = value;
      continue;
    }
    const high = Math.floor(value / 2 ** 32);
    const highest = high > 0 ? 63 - Math.clz32(high) : 31 - Math.clz32(value);
    const head = Math.floor(value / 2 ** (highest - leading)) & mask;
    tokens[i] = directEnd + ((highest - direct) << leading) + head;
  }
}
