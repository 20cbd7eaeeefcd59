/**
 * The package as npm packs it, installed into a fresh user directory of the real Node-RED: it loads
 * without a warning, its nodes are in the palette, and every example starts.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type FlowNode, startNodeRed } from "../../test/support/node-red/node-red-process.ts";
import { nodeNames, packageDir } from "../build.ts";

test("the packed package loads in a fresh Node-RED, and its examples start", async () => {
  const examples = readdirSync(join(packageDir, "examples"));
  const flow = examples.flatMap((name): FlowNode[] =>
    JSON.parse(readFileSync(join(packageDir, "examples", name), "utf8")),
  );
  await using nodeRed = await startNodeRed({ flow });
  // No agent and no broker is there for the examples: that is said, and nothing else.
  const others = nodeRed.warnings().filter((text) => !/ is away: |Connection failed/.test(text));
  assert.deepEqual(others, []);

  const published = /^(dist|examples)\/|^(LICENSE|README\.md|package\.json)$/;
  assert.deepEqual(
    nodeRed.published.filter((path) => !published.test(path)),
    [],
    "what is published is built code, examples and texts, and no more",
  );

  const response = await fetch(`${nodeRed.url}/nodes`, { headers: { accept: "application/json" } });
  const sets = (await response.json()) as { module: string; types: string[]; err?: string }[];
  const ours = sets.filter(({ module }) => module === "@weir-edge/node-red-weir");
  assert.deepEqual(
    ours.flatMap(({ types }) => types).toSorted(),
    nodeNames().map((name) => `weir-${name}`),
  );
  assert.deepEqual(
    ours.filter(({ err }) => err !== undefined),
    [],
  );
});
