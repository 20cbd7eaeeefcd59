/**
 * Decimal numbers in bytes, by the grammar of JSON (RFC 8259 section 6), correctly rounded.
 *
 * Up to 15 significant digits without an exponent are an integer m < 10^15 < 2^53 and a power of ten
 * 10^f with f <= 22. Both are exact in a double, and IEEE 754 division rounds the exact quotient
 * once, so m / 10^f is the double nearest to the written number: what JSON.parse gives (W. Clinger,
 * "How to Read Floating Point Numbers Accurately", PLDI 1990, the fast path). Everything else is
 * left to Number(), which is correctly rounded too.
 */

import { latin1Of } from "./text.ts";

/** No number stands there. */
export const NO_NUMBER = -1;

const powersOfTen = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));
const mantissaMax = 1e15;

export class DecimalScanner {
  /** The number that `scan` found. */
  value = 0;
  /** The digits that `#digits` went over, as an integer; more than 15 are inexact but not smaller. */
  #mantissa = 0;

  /** The end of the longest number that starts at `bytes[start]`, its value in `value`; or NO_NUMBER. */
  scan(bytes: Uint8Array, start: number, end: number): number {
    const isNegative = bytes[start] === MINUS;
    const first = isNegative ? start + 1 : start;
    if (first >= end) return NO_NUMBER;
    this.#mantissa = 0;
    let p = bytes[first] === ZERO ? first + 1 : this.#digits(bytes, first, end);
    if (p === first) return NO_NUMBER;

    let decimals = 0;
    if (p < end && bytes[p] === POINT) {
      const point = p;
      p = this.#digits(bytes, point + 1, end);
      decimals = p - point - 1;
      if (decimals === 0) return NO_NUMBER;
    }
    if (p < end && (bytes[p]! | 0x20) === 0x65) {
      return this.#long(bytes, start, pastExponent(bytes, p, end));
    }
    const mantissa = this.#mantissa;
    if (mantissa >= mantissaMax || decimals > 22) return this.#long(bytes, start, p);

    const size = decimals === 0 ? mantissa : mantissa / powersOfTen[decimals]!;
    this.value = isNegative ? -size : size;
    return p;
  }

  /**
   * Goes on with the mantissa over all digits from `bytes[from]`; their end. Eight at a time in
   * 32-bit integers, which is several times faster than a double per digit.
   */
  #digits(bytes: Uint8Array, from: number, end: number): number {
    let p = from;
    for (;;) {
      const first = p;
      const stop = p + 8 < end ? p + 8 : end;
      let part = 0;
      for (; p < stop; p++) {
        const digit = bytes[p]! - ZERO;
        if (digit < 0 || digit > 9) break;
        part = (Math.imul(part, 10) + digit) | 0;
      }
      this.#mantissa = this.#mantissa * powersOfTen[p - first]! + part;
      if (p < stop || p === end) return p;
    }
  }

  #long(bytes: Uint8Array, start: number, end: number): number {
    if (end !== NO_NUMBER) this.value = Number(latin1Of(bytes, start, end));
    return end;
  }
}

function pastExponent(bytes: Uint8Array, at: number, end: number): number {
  let p = at + 1;
  if (p < end && (bytes[p] === MINUS || bytes[p] === PLUS)) p++;
  const first = p;
  while (p < end && bytes[p]! >= ZERO && bytes[p]! <= NINE) p++;
  return p > first ? p : NO_NUMBER;
}

const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
