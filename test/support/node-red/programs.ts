/**
 * The lines of Node-RED that the package is for. The newest is a development dependency of flows; the one
 * before it is fetched once by npm into node_modules/.cache/node-red.
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { lacking } from "../require-tool.ts";

export type NodeRedLine = 4 | 5;

const version4 = "4.1.8";
const cache = resolve(import.meta.dirname, "../../../node_modules/.cache/node-red");
const program4 = join(cache, version4, "node_modules/node-red/red.js");

/** The script that starts it; `undefined` where it was not fetched, and then the test is skipped or failed. */
export function requireNodeRed(t: TestContext, line: NodeRedLine): string | undefined {
  if (line === 5) return createRequire(import.meta.url).resolve("node-red/red.js");
  if (hasNodeRed4()) return program4;
  lacking(t, `needs Node-RED ${version4} (npm test fetches it)`);
  return undefined;
}

export function hasNodeRed4(): boolean {
  return existsSync(program4);
}

/**
 * What npm said where it fails, `undefined` on success. Fetched beside its place and renamed into it, so that
 * half of it is never used. Takes up to a minute.
 */
export function fetchNodeRed4(): string | undefined {
  mkdirSync(cache, { recursive: true });
  const fetched = mkdtempSync(join(cache, "fetching-"));
  try {
    writeFileSync(join(fetched, "package.json"), "{}");
    const { status, stderr } = spawnSync(
      "npm",
      ["install", "--no-audit", "--no-fund", "--ignore-scripts", `node-red@${version4}`],
      { cwd: fetched, encoding: "utf8" },
    );
    if (status !== 0) return (stderr ?? "npm is missing").trim().split("\n").at(-1);
    rmSync(join(cache, version4), { recursive: true, force: true });
    renameSync(fetched, join(cache, version4));
    return undefined;
  } finally {
    rmSync(fetched, { recursive: true, force: true });
  }
}
