import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { nodeFlags } from "./node-flags.ts";
import { version } from "./version.ts";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

test("whoever starts weir starts Node with its flags", () => {
  const flags = nodeFlags.join(" ");
  const { scripts } = JSON.parse(read("../../package.json")) as { scripts: Record<string, string> };
  assert.match(read("./cli/main.ts"), new RegExp(`^#!/usr/bin/env -S node ${flags}\n`));
  assert.equal(scripts["start"], `node ${flags} src/agent/cli/main.ts demo`);
  assert.equal(scripts["weir"], `node ${flags} src/agent/cli/main.ts`);
});

test("the version is the package's", () => {
  assert.equal(version, (JSON.parse(read("../../package.json")) as { version: string }).version);
});
