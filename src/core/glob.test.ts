import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { globOf } from "./glob.ts";

/** What a glob means, without bound on its time. */
function expressionOf(pattern: string): RegExp {
  const parts = pattern.split("*").map((part) => RegExp.escape(part));
  return new RegExp(`^${parts.join("[^]*")}$`);
}

test("a glob is the expression that its stars say", () => {
  const texts = fc.string({ unit: fc.constantFrom("a", "b", "\n", "."), maxLength: 12 });
  const patterns = fc.string({ unit: fc.constantFrom("a", "b", "*", "."), maxLength: 8 });
  fc.assert(
    fc.property(patterns, texts, (pattern, text) => {
      assert.equal(globOf(pattern)(text), expressionOf(pattern).test(text));
    }),
    { numRuns: 5_000 },
  );
});

test("a pattern that is made to take long does not", () => {
  const glob = globOf(`${"a*".repeat(500)}b`);
  assert.equal(glob("a".repeat(5_000)), false);
  assert.equal(glob(`${"a".repeat(5_000)}b`), true);
});
