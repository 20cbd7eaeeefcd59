import assert from "node:assert/strict";
import { test } from "node:test";
import type { Path } from "./fault.ts";
import { configSchema } from "./schema.ts";
import { isSecret } from "./secrets.ts";

const secret: readonly Path[] = [
  ["mqtt", "users", 0, "password"],
  ["mqtt", "users", 0, "passwordHash"],
  ["http", "tokens", 3, "token"],
  ["http", "tokens", 3, "tokenHash"],
  ["brokers", 0, "password"],
  ["uplinks", 0, "kafka", "sasl", "password"],
  ["uplinks", 0, "kafka", "tls", "passphrase"],
  ["uplinks", 0, "kafka", "registry", "password"],
  ["uplinks", 0, "mqtt", "password"],
  ["uplinks", 0, "http", "token"],
  ["uplinks", 0, "http", "headers", "X-Key"],
];

test("what the schema marks is secret, and all that stands in its place by mistake", () => {
  for (const path of secret) {
    assert.ok(isSecret(path), path.join("."));
    assert.ok(isSecret([...path, 0, "x"]), path.join("."));
    assert.ok(!isSecret(path.slice(0, -1)), path.join("."));
  }
});

test("a name of the user's own makes no secret, nor does its section", () => {
  for (const path of [
    ["pipelines", 0, "where", "tags", "token"],
    ["pipelines", 0, "where", "tags", "password"],
    ["mqtt", "publish", "homeAssistant", "units", "token"],
    ["uplinks", 0, "http", "tokenFile"],
    ["http", "tokens", 0, "name"],
    ["sources", 0, "topics", 1],
  ]) {
    assert.ok(!isSecret(path), path.join("."));
  }
});

test("where the schema knows no such place, names decide", () => {
  assert.ok(isSecret(["password"]));
  assert.ok(isSecret(["mqtt", "password", "x"]));
  assert.ok(isSecret(["sources", 0, "token"]));
  assert.ok(!isSecret(["mqtt", "pasword"]));
});

/** So that none is added without a mark. */
test("every key of the schema that is called as a secret is marked as one", () => {
  const named = /^(?:password|passwordHash|passphrase|token|tokenHash)$/;
  const paths: Path[] = [];
  const walk = (schema: unknown, path: Path): void => {
    const { wrapped, options, entries, item } = schema as Record<string, unknown>;
    if (wrapped !== undefined) walk(wrapped, path);
    if (Array.isArray(options)) for (const option of options) walk(option, path);
    if (item !== undefined) walk(item, [...path, 0]);
    for (const [key, value] of Object.entries(entries ?? {})) {
      if (named.test(key)) paths.push([...path, key]);
      walk(value, [...path, key]);
    }
  };
  walk(configSchema, []);
  assert.ok(paths.length >= secret.length - 1, paths.map((path) => path.join(".")).join(" "));
  for (const path of paths) assert.ok(isSecret(path), path.join("."));
});
