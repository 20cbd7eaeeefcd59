/**
 * A single pass over a CBOR map (RFC 8949), or an array of maps, of definite length with known text
 * keys: integers up to 2^53, floats of 16, 32 and 64 bits, booleans, null (as which NaN is taken), known
 * text. It gives up on everything else: tags, byte strings, indefinite lengths, keys that are new or come twice.
 *
 *   head  mmmaaaaa [argument]     m major type, a < 24 is the argument, 24..27: 1, 2, 4, 8 bytes follow
 */

import { NO_PARENT } from "../route.ts";
import type { Draft } from "./draft.ts";

const GAVE_UP = -1;
const exactMax = 2 ** 53;

export class CborScanner {
  /** Argument of the head read last. */
  #argument = 0;
  readonly #floatBytes = new Uint8Array(8);
  readonly #float64 = new Float64Array(this.#floatBytes.buffer);
  readonly #float32 = new Float32Array(this.#floatBytes.buffer);

  /** Whether `bytes[start, end)` was taken whole into the draft. */
  scan(draft: Draft, bytes: Uint8Array, start: number, end: number): boolean {
    if (start === end) return false;
    if (bytes[start]! >> 5 === MAP) return this.#message(draft, bytes, start, end) === end;
    if (bytes[start]! >> 5 !== ARRAY) return false;
    let p = this.#head(bytes, start, end);
    if (p === GAVE_UP) return false;
    for (let left = this.#argument; left > 0; left--) {
      p = this.#message(draft, bytes, p, end);
      if (p === GAVE_UP) return false;
    }
    return p === end;
  }

  #message(draft: Draft, bytes: Uint8Array, at: number, end: number): number {
    if (!draft.beginObject()) return GAVE_UP;
    const p = this.#map(draft, bytes, at, end, NO_PARENT);
    return p !== GAVE_UP && draft.endObject() ? p : GAVE_UP;
  }

  #map(draft: Draft, bytes: Uint8Array, at: number, end: number, parent: number): number {
    if (at >= end || bytes[at]! >> 5 !== MAP) return GAVE_UP;
    let p = this.#head(bytes, at, end);
    if (p === GAVE_UP) return GAVE_UP;
    for (let left = this.#argument; left > 0; left--) {
      if (p >= end || bytes[p]! >> 5 !== TEXT) return GAVE_UP;
      p = this.#head(bytes, p, end);
      if (p === GAVE_UP || this.#argument > end - p) return GAVE_UP;
      const length = this.#argument;
      const slot = draft.takeKey(bytes, p, p + length, parent);
      if (slot === GAVE_UP) return GAVE_UP;
      p = this.#value(draft, bytes, p + length, end, slot);
      if (p === GAVE_UP) return GAVE_UP;
    }
    return p;
  }

  #value(draft: Draft, bytes: Uint8Array, at: number, end: number, slot: number): number {
    if (at >= end) return GAVE_UP;
    const major = bytes[at]! >> 5;
    if (major === SIMPLE) return this.#simple(draft, bytes, at, end, slot);
    if (major === MAP) {
      return draft.isObject(slot) ? this.#map(draft, bytes, at, end, slot) : GAVE_UP;
    }
    if (major > TEXT || major === BYTES) return GAVE_UP;

    const p = this.#head(bytes, at, end);
    if (p === GAVE_UP) return GAVE_UP;
    const argument = this.#argument;
    if (major === TEXT) {
      if (argument > end - p) return GAVE_UP;
      const isAscii = isAsciiText(bytes, p, p + argument);
      return draft.takeText(slot, bytes, p, p + argument, isAscii) ? p + argument : GAVE_UP;
    }
    if (argument >= exactMax) return GAVE_UP;
    return draft.takeNumber(slot, major === NEGATIVE ? -1 - argument : argument) ? p : GAVE_UP;
  }

  #simple(draft: Draft, bytes: Uint8Array, at: number, end: number, slot: number): number {
    const byte = bytes[at]!;
    const length = byte === 0xfb ? 8 : byte === 0xfa ? 4 : byte === 0xf9 ? 2 : 0;
    if (length > 0) {
      if (length > end - at - 1) return GAVE_UP;
      const value = this.#float(bytes, at + 1, length);
      const isTaken = Number.isNaN(value) || draft.takeNumber(slot, value);
      return isTaken ? at + 1 + length : GAVE_UP;
    }
    if (byte === 0xf6 || byte === 0xf7) return at + 1;
    if (byte !== 0xf4 && byte !== 0xf5) return GAVE_UP;
    return draft.takeBoolean(slot, byte === 0xf5) ? at + 1 : GAVE_UP;
  }

  /** A float of 2, 4 or 8 bytes, most significant first. */
  #float(bytes: Uint8Array, at: number, length: number): number {
    if (length === 2) return float16(bytes[at]!, bytes[at + 1]!);
    for (let i = 0; i < length; i++) this.#floatBytes[length - 1 - i] = bytes[at + i]!;
    return length === 8 ? this.#float64[0]! : this.#float32[0]!;
  }

  /** Past the head at `bytes[at]`, its argument in `#argument`; gives up on what is indefinite or cut. */
  #head(bytes: Uint8Array, at: number, end: number): number {
    const low = bytes[at]! & 0x1f;
    if (low < 24) {
      this.#argument = low;
      return at + 1;
    }
    if (low > 27) return GAVE_UP;
    const length = 1 << (low - 24);
    if (length > end - at - 1) return GAVE_UP;
    let argument = 0;
    for (let i = 1; i <= length; i++) argument = argument * 256 + bytes[at + i]!;
    this.#argument = argument;
    return at + 1 + length;
  }
}

/** RFC 8949 appendix D. */
function float16(high: number, low: number): number {
  const exponent = (high >> 2) & 0x1f;
  const fraction = ((high & 3) << 8) | low;
  let size = 0;
  if (exponent === 0) size = fraction * 2 ** -24;
  else if (exponent < 31) size = (fraction + 1024) * 2 ** (exponent - 25);
  else size = fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
  return (high & 0x80) === 0 ? size : -size;
}

function isAsciiText(bytes: Uint8Array, from: number, to: number): boolean {
  let bits = 0;
  for (let p = from; p < to; p++) bits |= bytes[p]!;
  return bits < 0x80;
}

const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const SIMPLE = 7;
