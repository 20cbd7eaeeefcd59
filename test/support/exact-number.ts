/** Doubles as exact integers, for references that must not round: every double times 2^1074 is one. */

const view = new DataView(new ArrayBuffer(8));

/** The finite `value` times 2^1074. */
export function scaledOf(value: number): bigint {
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = (bits >> 52n) & 0x7ffn;
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const size = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
  return bits >> 63n === 0n ? size : -size;
}

/** What 1 is in the scale of `scaledOf`. */
export const scaledOne: bigint = 1n << 1074n;

export function sizeOf(value: bigint): bigint {
  return value < 0n ? -value : value;
}
