import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { offsetOfJsonFault } from "./json-fault.ts";

function fault(text: string): number {
  const bytes = Buffer.from(`[${text}]`);
  return offsetOfJsonFault(bytes, 1, bytes.length - 1) - 1;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("the fault is at the first byte that no JSON could have there", () => {
  for (const [text, offset] of [
    ['{"a":}', 5],
    ['{"a":1,}', 7],
    ['{"a" 1}', 5],
    ["[1,2", 4],
    ["[1 2]", 3],
    ['{"a":tru}', 8],
    ['"a\\x"', 3],
    ['"a\\u12g4"', 6],
    ["{a:1}", 1],
    ["1]", 1],
    ["", 0],
  ] as const) {
    assert.equal(fault(text), offset, text);
  }
});

test("what JSON.parse accepts has no fault", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.equal(fault(text), Buffer.byteLength(text));
    }),
  );
});

test("no JSON begins like a text up to its fault", () => {
  const alphabet = fc.constantFrom(
    ...'{}[]:,"\\u0e1-+. tnrf'.split(""),
    "true",
    "null",
    '"a"',
    "12",
  );
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 12 }), (parts) => {
      const text = parts.join("");
      const offset = fault(text);
      if (isJson(text)) assert.equal(offset, text.length);
      else if (offset < text.length && !/[-0-9]/.test(text.charAt(offset))) {
        // The byte at the fault is to blame: no text that begins like this is JSON. (Of a number that
        // is none the beginning is given, and that could have gone on otherwise.)
        for (const rest of ["", "0", '"', "}", "]", "1}", '":1}', "]]]"]) {
          assert.equal(isJson(text.slice(0, offset + 1) + rest), false, text);
        }
      }
    }),
    { numRuns: 3_000 },
  );
});
