import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { substitute } from "./substitute.ts";
import { plainOf, type Tree } from "./tree.ts";

const place = { line: 1, column: 1 };
const surroundings = {
  env: { HOST: "gateway", EMPTY: "", DOLLAR: "${HOST}" },
  readFile: (path: string): string => {
    if (path === "/etc/weir/secret") return "two\nlines\n";
    throw Object.assign(new Error(path), { code: "EACCES" });
  },
  directory: "/etc/weir",
};

function outcome(text: string): unknown {
  const tree: Tree = { kind: "scalar", place, value: text };
  const { tree: replaced, findings } = substitute(tree, surroundings);
  return findings.length > 0 ? findings.map(({ message }) => message) : plainOf(replaced);
}

test("variables, defaults and files are put in, also several in one text", () => {
  assert.equal(outcome("${HOST}"), "gateway");
  assert.equal(outcome("mqtt://${HOST}:${PORT:-1883}/"), "mqtt://gateway:1883/");
  assert.equal(outcome("${EMPTY}"), "");
  assert.equal(outcome("${EMPTY:-x}"), "x");
  assert.equal(outcome("${PORT:-}"), "");
});

test("a file loses its last line break only", () => {
  assert.equal(outcome("${file:secret}"), "two\nlines");
  assert.equal(outcome("${file:/etc/weir/secret}"), "two\nlines");
});

test("two dollars are one, a single one stands for itself, what was put in is not looked at again", () => {
  assert.equal(outcome("$${HOST}"), "${HOST}");
  assert.equal(outcome("$SYS/broker $"), "$SYS/broker $");
  assert.equal(outcome("${DOLLAR}"), "${HOST}");
});

test("what cannot be put in is named", () => {
  assert.deepEqual(outcome("${PORT}"), [
    'the environment variable PORT is not set here; set it (the service reads /etc/default/weir, a shell after "set -a; . /etc/default/weir"), or write ${PORT:-default}',
  ]);
  assert.deepEqual(outcome("${toString}"), [
    'the environment variable toString is not set here; set it (the service reads /etc/default/weir, a shell after "set -a; . /etc/default/weir"), or write ${toString:-default}',
  ]);
  assert.deepEqual(outcome("${HOST"), ["`${` has no closing `}`; write $$ for a dollar sign"]);
  assert.deepEqual(
    outcome("${1}${}"),
    Array(2).fill("expected ${NAME}, ${NAME:-default} or ${file:/path} between the braces"),
  );
  assert.deepEqual(outcome("${file:/key}"), [
    "cannot read the file /key (EACCES); create it, or correct the path",
  ]);
});

test("any text can be written: with its dollars doubled it comes back as it was", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("$", "{", "}", "a", ":", "-") }), (text) => {
      assert.equal(outcome(text.replaceAll("$", "$$$$")), text);
    }),
  );
});

test("keys are left alone", () => {
  const entry = {
    key: "${HOST}",
    place,
    value: { kind: "scalar", place, value: "${HOST}" },
  } as const;
  const { tree } = substitute({ kind: "section", place, entries: [entry] }, surroundings);
  assert.deepEqual(plainOf(tree), { "${HOST}": "gateway" });
});
