import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DecimalScanner, NO_NUMBER } from "./decimal.ts";

const scanner = new DecimalScanner();

function scan(text: string): { readonly end: number; readonly value: number } {
  const bytes = Buffer.from(`7${text}7`);
  const end = scanner.scan(bytes, 1, bytes.length - 1);
  return { end: end === NO_NUMBER ? NO_NUMBER : end - 1, value: scanner.value };
}

const digits = (max: number): fc.Arbitrary<string> =>
  fc.array(fc.nat(9), { minLength: 1, maxLength: max }).map((all) => all.join(""));

test("every number is the double that JSON.parse gives, bit for bit", () => {
  const whole = fc.oneof(
    fc.constant("0"),
    digits(20).map((text) => text.replace(/^0+/, "") || "0"),
  );
  const part = fc.option(digits(25), { nil: undefined });
  const exponent = fc.option(fc.integer({ min: -330, max: 330 }), { nil: undefined });
  fc.assert(
    fc.property(fc.boolean(), whole, part, exponent, (isNegative, w, p, e) => {
      const decimals = p === undefined ? "" : `.${p}`;
      const text = `${isNegative ? "-" : ""}${w}${decimals}${e === undefined ? "" : `e${e}`}`;
      const { end, value } = scan(text);
      assert.equal(end, text.length, text);
      assert.ok(Object.is(value, JSON.parse(text)), text);
    }),
    { numRuns: 20_000 },
  );
});

test("doubles as JavaScript prints them come back the same", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      // JavaScript prints -0 as 0.
      assert.ok(Object.is(scan(String(value)).value, value === 0 ? 0 : value));
    }),
    { numRuns: 5_000 },
  );
});

test("a number ends where its grammar ends", () => {
  for (const [text, end] of [
    ["01", 1],
    ["1.2.3", 3],
    ["-5-", 2],
    ["12,", 2],
    ["1e5e5", 3],
  ] as const) {
    assert.equal(scan(text).end, end, text);
  }
});

test("what is no number is none", () => {
  for (const text of ["", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "-x", "Infinity", "NaN"]) {
    const expected = NO_NUMBER;
    assert.equal(scanner.scan(Buffer.from(text), 0, text.length), expected, text);
  }
});
