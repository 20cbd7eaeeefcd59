import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { limits } from "../../core/limits.ts";
import { closerOf, unclosedIn } from "./brackets.ts";
import { readYaml } from "./yaml.ts";

/** What is said of a text, with its place. */
async function said(text: string): Promise<readonly string[]> {
  const read = await readYaml(text);
  if (read.kind === "tree") return [];
  return read.findings.map(({ place, message }) => `${place?.line}:${place?.column} ${message}`);
}

test("a bracket or quote that is missing is told where it was opened, and nothing that follows from it", async () => {
  for (const [text, ...expected] of [
    [
      "a: 1\nb:\n  - { c: d, e: [f, g }\n  - { c: d }\n",
      "3:16 this [ is not closed before line 3, column 22: write the ] that is missing, or remove the } there",
    ],
    [
      'a:\n  - c: d\n    e: ["f/{g}"\n    h: 1\nb: 2\n',
      "3:8 this [ is not closed before line 4, column 5: write the ] that is missing",
    ],
    [
      "a:\n  - { c: d, e: [f]\n  - { c: d }\n",
      "2:5 this { is not closed before line 3, column 3: write the } that is missing",
    ],
    ["a: [\n", "1:4 this [ is not closed before the end of the file: write the ] that is missing"],
    [
      'a: "b\nc: d\n',
      '1:4 this " is not closed before the end of the file: write the " that is missing',
    ],
    ["a: [b]]\n", "1:7 nothing is open that this ] closes: remove it"],
    [
      "a: 1\na: 2\nb: [\n",
      "2:1 this key stands here twice",
      "3:4 this [ is not closed before the end of the file: write the ] that is missing",
    ],
  ] as const) {
    assert.deepEqual(await said(text), expected, text);
  }
});

test("brackets in quotes, comments and words, and lists over several lines, are none", () => {
  for (const text of [
    "a: \"[\" # {\nb: 'it''s [ '\nc: [1,\n  { d: 2 },\n]\n",
    "a: x[1\nb: it's {\n",
    'a: ["\\"[", 1]\n',
  ]) {
    assert.equal(unclosedIn(text), undefined, text);
  }
});

test("whatever a text is, the answer lies in it, and comes at once however long it is", () => {
  const characters = fc.constantFrom(...Array.from("[]{}\"'#:,-\\ \n\ta"));
  fc.assert(
    fc.property(fc.array(characters, { maxLength: 60 }), (parts) => {
      const text = parts.join("");
      const found = unclosedIn(text);
      if (found === undefined) return;
      assert.ok(found.opened < found.by && found.by <= text.length, JSON.stringify(text));
      assert.notEqual(closerOf(text[found.opened]!), "a");
      assert.match(text[found.opened]!, /[[{"']/);
    }),
  );
  assert.equal(unclosedIn(`[${"\n".repeat(limits.configCharactersMax)}`)?.opened, 0);
  for (const long of ["[],", "[ ", "'',", "\n  "]) {
    const text = long.repeat(limits.configCharactersMax / long.length);
    // Were it quadratic, this would take minutes.
    const found = unclosedIn(text);
    assert.equal(found?.opened, long.startsWith("[ ") ? text.length - 2 : undefined);
  }
});
