/**
 * The oldest line of Node that weir runs on, for tests that compare it with the pinned one: fetched
 * once by npm into node_modules/.cache/weir-node.
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { lacking } from "./require-tool.ts";

const version = "24.21.0";
const packageName = `node-${process.platform}-${process.arch}`;
const cache = resolve(import.meta.dirname, `../../node_modules/.cache/weir-node/${version}`);
const program = join(cache, "node_modules", packageName, "bin/node");

/** Its path; `undefined` where it was not fetched, and then the test is skipped or failed. */
export function requireOtherNode(t: TestContext): string | undefined {
  if (hasOtherNode()) return program;
  lacking(t, `needs Node ${version} (npm package ${packageName}; npm test fetches it)`);
  return undefined;
}

export function hasOtherNode(): boolean {
  return existsSync(program);
}

/** What npm said where it fails, `undefined` on success. Takes seconds. */
export function fetchOtherNode(): string | undefined {
  mkdirSync(cache, { recursive: true });
  writeFileSync(join(cache, "package.json"), "{}");
  const { status, stderr } = spawnSync(
    "npm",
    ["install", "--no-audit", "--no-fund", "--ignore-scripts", `${packageName}@${version}`],
    { cwd: cache, encoding: "utf8" },
  );
  return status === 0 ? undefined : (stderr ?? "npm is missing").trim().split("\n").at(-1);
}
