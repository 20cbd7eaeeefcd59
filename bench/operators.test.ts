import assert from "node:assert/strict";
import { test } from "node:test";
import { caseNames } from "./operator-cases.ts";
import { run, textOf, tinyOptions } from "./operators.ts";

test("the operators benchmark gives figures for every case and size", () => {
  const result = run(tinyOptions);
  for (const name of caseNames) {
    for (const seriesCount of tinyOptions.seriesCounts) {
      const cost = result[name][seriesCount];
      assert.ok(cost && cost.ns_per_reading >= 0 && cost.bytes_per_series > 0, name);
    }
    assert.notEqual(result.hashes[name], "00000000");
  }
  assert.equal(textOf(result).split("\n").length, caseNames.length + 4);
});

test("the tumbling windows measured are those of the rival", () => {
  const { hashes } = run(tinyOptions);
  assert.equal(hashes.tumbling, hashes.naive_map);
  assert.notEqual(hashes.tumbling, hashes.sliding);
});

test("the same options give the same results", () => {
  assert.equal(run(tinyOptions).hash, run(tinyOptions).hash);
});
