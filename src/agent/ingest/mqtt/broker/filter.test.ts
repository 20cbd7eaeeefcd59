import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { filterMatches } from "./filter.ts";
import { Subscriptions } from "./subscriptions.ts";

const level = fc.constantFrom("a", "b", "aa", "", "$s", "é");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, all]) => [...levels, ...(all ? ["#"] : [])].join("/"));

describe("filterMatches", () => {
  it("agrees with the trie of subscriptions", () => {
    fc.assert(
      fc.property(filter, topic, (some, name) => {
        const trie = new Subscriptions();
        trie.add(some);
        assert.equal(filterMatches(some, name), trie.matches(name), `${some} ${name}`);
      }),
      { numRuns: 2_000 },
    );
  });

  for (const [some, name, expected] of [
    ["#", "a/b", true],
    ["#", "$SYS/a", false],
    ["+/a", "$SYS/a", false],
    ["$SYS/#", "$SYS/a", true],
    ["a/#", "a", true],
    ["a/#", "ab", false],
    ["a/+", "a", false],
    ["a/+", "a/", true],
    ["+", "/a", false],
    ["/+", "/a", true],
    ["a/+/#", "a/b", true],
  ] as const) {
    it(`${some} ${expected ? "matches" : "does not match"} ${name}`, () => {
      assert.equal(filterMatches(some, name), expected);
    });
  }
});
