import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { scenarioSchemaFile, scenarioSchemaText, schemaFile, schemaText } from "./schema.ts";

test("the published JSON Schema is what the agent checks with", () => {
  const hint = "run node tools/schema.ts";
  assert.equal(readFileSync(schemaFile, "utf8"), schemaText(), hint);
});

test("that of scenarios is what they are checked with, and each of its own keys is documented", () => {
  assert.equal(readFileSync(scenarioSchemaFile, "utf8"), scenarioSchemaText());
  const text = readFileSync(resolve(import.meta.dirname, "../docs/scenarios.md"), "utf8");
  const all = JSON.parse(scenarioSchemaText()) as { properties: { upstream: object } };
  const ofKafka = new Set(keysOf(all.properties.upstream));
  const keys = [...new Set(keysOf(all))].filter((key) => !ofKafka.has(key));
  assert.ok(keys.length > 20);
  assert.deepEqual(
    keys.filter((key) => !new RegExp(`\\b${key}\\b`).test(text)),
    [],
  );
});

test("every key of the schema is in the documentation", () => {
  const text = readFileSync(resolve(import.meta.dirname, "../docs/configuration.md"), "utf8");
  const keys = [...keysOf(JSON.parse(schemaText()))];
  assert.ok(keys.length > 50);
  assert.deepEqual(
    keys.filter((key) => !text.includes(`\`${key}\``)),
    [],
  );
});

function* keysOf(node: unknown): Generator<string> {
  if (typeof node !== "object" || node === null) return;
  for (const [name, value] of Object.entries(node)) {
    if (name === "properties") yield* Object.keys(value);
    if (name !== "$defs") yield* keysOf(value);
  }
}
