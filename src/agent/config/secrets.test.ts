import assert from "node:assert/strict";
import { test } from "node:test";
import type { Path } from "./fault.ts";
import { overlayFaults } from "./overlay-check.ts";
import { parseConfig } from "./parse.ts";
import { configSchema } from "./schema.ts";
import { isSecret, mayHoldSecret } from "./secrets.ts";

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
    assert.ok(mayHoldSecret([...path, 0, "x"]), path.join("."));
    // `sasl: word`: the word may be the password, and the section is none.
    for (let end = path.length - 1; end > 0; end--) {
      assert.ok(mayHoldSecret(path.slice(0, end)), path.join("."));
      assert.ok(!isSecret(path.slice(0, end)), path.join("."));
    }
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
    assert.ok(!isSecret(path) && !mayHoldSecret(path), path.join("."));
  }
});

test("where the schema knows no such place, names decide", () => {
  assert.ok(isSecret(["password"]));
  assert.ok(isSecret(["mqtt", "password", "x"]));
  assert.ok(isSecret(["sources", 0, "token"]));
  assert.ok(mayHoldSecret(["mqtt", "password", "x"]));
  assert.ok(!isSecret(["mqtt", "pasword"]));
});

/** Every place of the schema; a name of the user's own is `X`. */
function places(): readonly Path[] {
  const found = new Map<string, Path>();
  const walk = (schema: unknown, path: Path): void => {
    const { wrapped, options, entries, item, value, type } = schema as Record<string, unknown>;
    found.set(JSON.stringify(path), path);
    if (wrapped !== undefined) walk(wrapped, path);
    if (Array.isArray(options)) {
      for (const option of options) if (typeof option === "object") walk(option, path);
    }
    if (item !== undefined) walk(item, [...path, 0]);
    if (type === "record") walk(value, [...path, "X"]);
    for (const [key, part] of Object.entries(entries ?? {})) walk(part, [...path, key]);
  };
  walk(configSchema, []);
  return [...found.values()];
}

/** A list of sections, names of files, public keys, counts, and the fields that an aggregate is kept by. */
const harmless =
  /(?:http\.tokens|tls\.key|tokenFile|pipelines\.0\.key|limits\.keys|remote\.keys(?:\.0\.key)?)$/;

/** So that none is added without a mark. */
test("every key of the schema that sounds like a secret is marked, or known to hold none", () => {
  const sounds = /pass|secret|token|key|credential|auth|private|bearer|cookie|signature|pin$/i;
  const unmarked = places().filter(
    (path) => sounds.test(String(path.at(-1))) && !isSecret(path) && !harmless.test(path.join(".")),
  );
  assert.deepEqual(
    unmarked.map((path) => path.join(".")),
    [],
  );
  for (const path of secret) {
    const known = path.map((part) =>
      typeof part === "number" ? 0 : part === "X-Key" ? "X" : part,
    );
    assert.ok(
      places().some((place) => place.join(".") === known.join(".")),
      path.join("."),
    );
  }
});

const word = "hush-it-is-in-clear";

/** The file that has only what stands at the path. */
function fileWith(path: Path, value: unknown): string {
  const whole = path.reduceRight<unknown>(
    (inner, part) => (typeof part === "number" ? [inner] : { [part]: inner }),
    value,
  );
  return JSON.stringify(whole);
}

async function saidOf(text: string): Promise<string> {
  const parsed = await parseConfig(text, { file: "f", cwd: "/", env: {}, readFile: () => "" });
  return parsed.kind === "faults" ? parsed.faults.map((fault) => fault.text).join("\n") : "";
}

/** A secret's place, or that of something it is in. */
function isAround(path: Path): boolean {
  return secret.some((place) =>
    path.every((part, index) => typeof part === "number" || part === place[index] || part === "X"),
  );
}

test("a value in the wrong shape is told in our words, and no secret with it", async () => {
  for (const path of places()) {
    for (const value of [word, [word], [[word]], { X: word }, [{ X: word }], { X: [word] }]) {
      const text = fileWith(path, value);
      for (const said of [
        await saidOf(text),
        ...(await overlayFaults(text, "f")).map((fault) => fault.text),
      ]) {
        assert.doesNotMatch(said, /Invalid/, text);
        if (isAround(path)) assert.doesNotMatch(said, new RegExp(word), text);
      }
    }
  }
});

test("headers are no list", async () => {
  const text = fileWith(["uplinks", 0, "http"], { url: "https://a", headers: [`Key: ${word}`] });
  assert.match(await saidOf(text), /headers: expected a section of keys, found a list of 1$/m);
  const [fault] = await overlayFaults(text, "f");
  assert.match(fault?.text ?? "", /headers\[0\]: a secret does not travel/);
});
