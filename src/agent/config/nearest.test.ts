import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nearestOf, suggestion } from "./nearest.ts";

const known = ["sources", "pipelines", "uplinks", "commit", "limits", "mqtt", "http"];

test("a slip of one letter finds the word that was meant", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...known),
      fc.nat(),
      fc.constantFrom("drop", "swap", "add"),
      (word, seed, slip) => {
        const at = seed % (word.length - 1);
        const [before, here, next, rest] = [
          word.slice(0, at),
          word[at]!,
          word[at + 1]!,
          word.slice(at + 2),
        ];
        const mistyped = {
          drop: before + next + rest,
          swap: before + next + here + rest,
          add: `${before}${here}x${next}${rest}`,
        }[slip];
        assert.equal(nearestOf(mistyped ?? "", known), word);
      },
    ),
  );
});

test("where no word is near, the known ones are listed", () => {
  assert.equal(nearestOf("retention", known), undefined);
  assert.equal(suggestion("retention", ["a", "b"]), "known are a, b");
  assert.equal(suggestion("retention", []), "there is none");
  assert.equal(suggestion("Limits", known), 'did you mean "limits"?');
});
