/** Every world that once broke a promise, shrunk: none does any more. docs/testing.md says how one gets here. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { readRegression } from "../simulation/regression.ts";
import { PlanRunner } from "../simulation/run-plans.ts";

const names = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".json"));

const runner = new PlanRunner();
after(() => runner[Symbol.dispose]());

for (const name of names) {
  const path = join(import.meta.dirname, name);
  const { promise, note, plan } = readRegression(readFileSync(path, "utf8"), name);
  test(`${name}: ${promise}: ${note}`, async () => {
    const { violations } = await runner.run(plan);
    assert.deepEqual(violations, []);
  });
}
