import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { canaries } from "./canaries.ts";
import { markEdits } from "./marks.ts";
import { edited, type SourceEdit } from "./source-edits.ts";

const root = resolve(import.meta.dirname, "../..");

test("an edit replaces the one place that it names", () => {
  assert.equal(edited("a b c", [{ file: "f", from: "b", to: "d" }]), "a d c");
});

test("a place that is not there, or there twice, is an error that names it", () => {
  assert.throws(() => edited("a b", [{ file: "f", from: "x", to: "" }]), /f: .* is not there: x/);
  assert.throws(() => edited("b b", [{ file: "f", from: "b", to: "" }]), /more than once: b/);
});

test("marks and every canary fit the source as it is", () => {
  for (const { edits } of canaries) {
    for (const [file, of] of Map.groupBy(
      [...edits, ...markEdits],
      (edit: SourceEdit) => edit.file,
    )) {
      edited(readFileSync(join(root, file), "utf8"), of);
    }
  }
});
