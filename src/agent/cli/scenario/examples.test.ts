import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parseScenario } from "./scenario-file.ts";

const folder = resolve(import.meta.dirname, "../../../../docs/scenarios");

test("the scenarios of the documentation are right", async () => {
  const names = readdirSync(folder);
  assert.ok(names.length >= 3);
  for (const name of names) {
    const file = join(folder, name);
    const parsed = await parseScenario(readFileSync(file, "utf8"), file);
    assert.ok(parsed.kind === "scenario", JSON.stringify(parsed));
  }
});
