import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { titleOf } from "./case.ts";
import { deviations } from "./deviations.ts";
import { casesOf } from "./judge.ts";
import { leftOut } from "./not-applicable.ts";
import { reportFile, reportText, versions } from "./report.ts";
import { statementsOf } from "./statements.ts";

describe("the conformance cases", () => {
  for (const version of versions) {
    it(`of ${version}: each normative statement is shown by a case or left out with a reason`, () => {
      const shown = new Set(casesOf(version).flatMap(({ clauses }) => clauses[version]));
      const left = leftOut(version);
      const statements = statementsOf(version);
      assert.deepEqual(
        statements.filter((clause) => !shown.has(clause) && !left.has(clause)),
        [],
        "neither shown nor left out",
      );
      assert.deepEqual(
        statements.filter((clause) => shown.has(clause) && left.has(clause)),
        [],
        "shown and left out",
      );
      const known = new Set(statements);
      const named = [...shown, ...left.keys()].filter((clause) => !clause.startsWith("§"));
      assert.deepEqual(
        named.filter((clause) => !known.has(clause) && !clause.includes(":")),
        [],
        "no such statement",
      );
    });

    it(`of ${version}: no two have one title`, () => {
      const titles = casesOf(version).map((each) => titleOf(each, version));
      assert.equal(new Set(titles).size, titles.length);
    });
  }

  it("each deviation is of a case", () => {
    for (const { versions: where, claim } of deviations) {
      for (const version of where) {
        assert.ok(
          casesOf(version).some((each) => each.claim === claim),
          `${version}: ${claim}`,
        );
      }
    }
  });
});

it("docs/mqtt-conformance.md is what the cases say: run `node test/conformance/report.ts`", () => {
  assert.equal(readFileSync(reportFile, "utf8"), reportText());
});
