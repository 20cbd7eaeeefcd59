/**
 * What floating point loses in one addition or multiplication, as a number: the error-free
 * transformations of Dekker 1971, "A floating-point technique for extending the available
 * precision". Compensated sums and differences are made of them.
 *
 * Exact for finite doubles unless the result overflows (then NaN) or, in a product, falls below
 * 2^-969 (then to within the smallest double).
 */

/** a + b = sum + the result, where `sum` is the rounded a + b. */
export function errorOfSum(a: number, b: number, sum: number): number {
  return Math.abs(a) >= Math.abs(b) ? a - sum + b : b - sum + a;
}

/** a * b = product + the result, where `product` is the rounded a * b; both below 2^996. */
export function errorOfProduct(a: number, b: number, product: number): number {
  const aHigh = roundedTo(a, SPLITTER_26_BITS);
  const aLow = a - aHigh;
  const bHigh = roundedTo(b, SPLITTER_26_BITS);
  const bLow = b - bHigh;
  return aHigh * bHigh - product + aHigh * bLow + aLow * bHigh + aLow * bLow;
}

const SPLITTER_26_BITS = 2 ** 27 + 1;
const SPLITTER_24_BITS = 2 ** 29 + 1;
/** Above this the splitting multiplication may overflow. */
const SPLIT_MAX = 2 ** 990;

/**
 * `value` with the 24 significant bits of a float32 but the exponents of a double, to nearest:
 * relative error at most 2^-24. What is too large to split stays as it is, NaN too.
 */
export function roundedTo24Bits(value: number): number {
  return Math.abs(value) < SPLIT_MAX ? roundedTo(value, SPLITTER_24_BITS) : value;
}

/** Veltkamp 1968: with a splitter of 2^s + 1 the 53 - s leading bits of `value`. */
function roundedTo(value: number, splitter: number): number {
  const scaled = splitter * value;
  return scaled - (scaled - value);
}
