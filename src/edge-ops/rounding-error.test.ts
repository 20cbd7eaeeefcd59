import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { scaledOf, scaledOne, sizeOf } from "../../test/support/exact-number.ts";
import { errorOfProduct, errorOfSum, roundedTo24Bits } from "./rounding-error.ts";

const arbDouble = fc.oneof(
  fc.double({ min: -1e140, max: 1e140, noNaN: true }),
  fc.integer({ min: -1_000_000, max: 1_000_000 }).map((n) => n / 1_000),
);

test("a rounded sum and its error are the exact sum", () => {
  fc.assert(
    fc.property(arbDouble, arbDouble, (a, b) => {
      const sum = a + b;
      const error = errorOfSum(a, b, sum);
      assert.equal(scaledOf(sum) + scaledOf(error), scaledOf(a) + scaledOf(b));
    }),
  );
});

test("a rounded product and its error are the exact product, unless it is too small for doubles", () => {
  fc.assert(
    fc.property(arbDouble, arbDouble, (a, b) => {
      const product = a * b;
      fc.pre(Math.abs(product) > 2 ** -969);
      const error = errorOfProduct(a, b, product);
      assert.equal((scaledOf(product) + scaledOf(error)) * scaledOne, scaledOf(a) * scaledOf(b));
    }),
  );
});

test("24 bits are the float32 where it has the exponent, and as near where it has not", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      fc.pre(Math.abs(value) < 1e297 && Math.abs(value) > 1e-290);
      const rounded = roundedTo24Bits(value);
      const apart = sizeOf(scaledOf(rounded) - scaledOf(value));
      assert.ok(apart << 24n <= sizeOf(scaledOf(value)));
      assert.equal(roundedTo24Bits(rounded), rounded);
      if (Math.abs(value) < 1e38 && Math.abs(value) > 1e-37) {
        assert.equal(Math.fround(rounded), rounded);
      }
    }),
  );
});

test("what is not a number of ordinary size stays as it is when rounded to 24 bits", () => {
  const values = [0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MAX_VALUE];
  for (const value of values) assert.ok(Object.is(roundedTo24Bits(value), value), String(value));
  assert.ok(Number.isNaN(roundedTo24Bits(Number.NaN)));
});
