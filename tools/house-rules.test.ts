import assert from "node:assert/strict";
import { test } from "node:test";
import { checkTree, rules } from "./house-rules.ts";

/** Files by path; each tree breaks one rule, at the lines given as `path:line`. */
type Tree = Readonly<Record<string, string>>;
type Case = { readonly rule: string; readonly tree: Tree; readonly at: readonly string[] };

// Joined, so that this file does not break the rules it tests.
const join = (...parts: readonly string[]): string => parts.join("");

const broken: readonly Case[] = [
  {
    rule: "pure-is-synchronous",
    tree: { "src/edge-ops/a.ts": "// no async here\nexport async function a() {}\n" },
    at: ["src/edge-ops/a.ts:2"],
  },
  {
    rule: "pure-is-synchronous",
    tree: { "src/core/a.ts": 'const word = "await";\nawait word;\n' },
    at: ["src/core/a.ts:2"],
  },
  {
    rule: "one-adapter-per-client",
    tree: {
      "src/store/kv.ts": 'import { open } from "lmdb";\n',
      "src/store/log/log.ts": '\nimport type { Database } from "lmdb";\n',
    },
    at: ["src/store/kv.ts:1", "src/store/log/log.ts:2"],
  },
  {
    rule: "heavy-clients-are-loaded-late",
    tree: {
      "src/sync/a.ts": 'import type { A } from "avsc";\nimport avro from "avsc";\n',
      "src/sync/b.ts": 'const { b } = await import("@platformatic/kafka");\n',
    },
    at: ["src/sync/a.ts:2"],
  },
  {
    rule: "relative-imports-name-their-file",
    tree: { "src/store/a.ts": 'import { b } from "./b";\n', "src/store/b.ts": "" },
    at: ["src/store/a.ts:1"],
  },
  {
    rule: "imports-go-one-way",
    tree: { "src/store/a.ts": 'import { b } from "../agent/b.ts";\n', "src/agent/b.ts": "" },
    at: ["src/store/a.ts:1"],
  },
  {
    rule: "no-circles-across-folders",
    tree: {
      "src/store/log/a.ts": 'import type { B } from "./b.ts";\n',
      "src/store/log/b.ts": '\nimport { c } from "../c.ts";\nimport { d } from "../d.ts";\n',
      "src/store/c.ts": 'import type { A } from "./log/a.ts";\n',
      "src/store/d.ts": "",
    },
    at: ["src/store/c.ts:1", "src/store/log/b.ts:2"],
  },
  {
    rule: "imports-go-one-way",
    tree: { "src/core/a.ts": 'import * as v from "valibot";\n' },
    at: ["src/core/a.ts:1"],
  },
  {
    rule: "imports-go-one-way",
    tree: { "src/agent/a.ts": 'const b = await import("../../firmware-sim/b.ts");\n' },
    at: ["src/agent/a.ts:1"],
  },
  {
    rule: "imports-go-one-way",
    tree: { "src/agent/a.ts": 'import { b } from "@weir/firmware-sim";\n' },
    at: ["src/agent/a.ts:1"],
  },
  {
    rule: "imports-go-one-way",
    tree: { "firmware-sim/a.ts": 'import { b } from "../src/core/b.ts";\n' },
    at: ["firmware-sim/a.ts:1"],
  },
  {
    rule: "imports-go-one-way",
    tree: { "src/core/a.ts": 'import { b } from "../../test/support/b.ts";\n' },
    at: ["src/core/a.ts:1"],
  },
  {
    rule: "imports-go-one-way",
    tree: {
      "flows/src/a.ts":
        'import { b } from "../../src/edge-ops/b.ts";\nimport { c } from "../../src/store/c.ts";\n',
    },
    at: ["flows/src/a.ts:2"],
  },
  {
    rule: "the-oracle-knows-nobody",
    tree: {
      "test/simulation/oracle/a.ts": 'import { b } from "../../../src/core/b.ts";\n',
      "test/simulation/oracle/c.ts":
        'import { a } from "./a.ts";\nimport assert from "node:assert";\n',
      "src/core/b.ts": "",
    },
    at: ["test/simulation/oracle/a.ts:1"],
  },
  {
    rule: "document-links-resolve",
    tree: { "docs/a.md": "[there](b.md#part)\n\n[gone](../c.md)\n", "docs/b.md": "" },
    at: ["docs/a.md:3"],
  },
  {
    rule: "nothing-is-left-for-later",
    tree: { "src/core/a.ts": join("\n// TO", "DO: later\n") },
    at: ["src/core/a.ts:2"],
  },
  {
    rule: "no-narrowed-test-runs",
    tree: { "src/core/a.test.ts": join("test.", "only('a', () => {});\n") },
    at: ["src/core/a.test.ts:1"],
  },
  {
    rule: "no-silenced-types",
    tree: { "src/core/a.ts": join("// @ts", "-ignore\n") },
    at: ["src/core/a.ts:1"],
  },
  {
    rule: "no-enum",
    tree: { "src/core/a.ts": "\nexport const enum Colour { red }\n" },
    at: ["src/core/a.ts:2"],
  },
  {
    rule: "one-noun-per-file",
    tree: { "src/core/a.ts": "a();\n".repeat(501) },
    at: ["src/core/a.ts:501"],
  },
  {
    rule: "no-machine-of-ours",
    tree: { "deploy/a.yml": join("\npath: /", "home/me/weir\n") },
    at: ["deploy/a.yml:2"],
  },
  {
    rule: "no-machine-of-ours",
    tree: { ".npmrc": join("registry=http", "://registry.example.org/\n") },
    at: [".npmrc:1"],
  },
  {
    rule: "files-are-named-by-their-noun",
    tree: { "src/store/log-utils.ts": "" },
    at: ["src/store/log-utils.ts:1"],
  },
  {
    rule: "lockfile-is-complete",
    tree: {
      "package-lock.json": JSON.stringify({
        packages: { "node_modules/a": {}, "node_modules/b/node_modules/c": { inBundle: true } },
      }),
    },
    at: ["package-lock.json:1"],
  },
  {
    rule: "lockfile-is-complete",
    tree: {
      "package-lock.json": JSON.stringify({
        packages: {
          "node_modules/a": { integrity: "sha512-", optionalDependencies: { "a-arm64": "1.0.0" } },
        },
      }),
    },
    at: ["package-lock.json:1"],
  },
];

for (const { rule, tree, at } of broken) {
  test(`${rule} finds ${at.join(" and ")} in ${Object.values(tree)[0]?.trim().slice(0, 40)}`, () => {
    const findings = checkTree(filesOf(tree));
    assert.deepEqual(
      findings.map(({ path, line }) => `${path}:${line}`),
      at,
    );
    for (const { message } of findings) assert.ok(message.endsWith(`(${rule})`), message);
  });
}

test("every rule has a case that breaks it", () => {
  assert.deepEqual(
    rules.map(({ name }) => name).filter((name) => broken.every(({ rule }) => rule !== name)),
    [],
  );
});

test("a tree that keeps the rules has no findings", () => {
  const tree: Tree = {
    "README.md": "[docs](docs/) [page](docs/a.md) [web](https://example.org/home/) `[x](y)`\n",
    "docs/a.md": "[up](../README.md)\n```\n[in code](nowhere.md)\n```\n",
    "src/core/units.ts": "// async work waits outside\nexport const quote = /[`\"']/; // await\n",
    "src/core/units.test.ts":
      'import fc from "fast-check";\nimport { requireTool } from "../../test/support/require-tool.ts";\n',
    "src/store/kv.ts": 'import { open } from "lmdb";\nimport { quote } from "../core/units.ts";\n',
    "src/store/kv.test.ts": 'import { open } from "lmdb";\n',
    "test/support/require-tool.ts": 'import { quote } from "../../src/core/units.ts";\n',
    "test/whole.test.ts": 'import { fleet } from "@weir/firmware-sim";\n',
  };
  assert.deepEqual(checkTree(filesOf(tree)), []);
});

function filesOf(tree: Tree): { path: string; text: string }[] {
  return Object.entries(tree).map(([path, text]) => ({ path, text }));
}
