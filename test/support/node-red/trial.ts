/** What a user does who tries the examples of the package: import each, deploy, and look. */

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { nodeNames } from "../../../flows/build.ts";
import { DemoAgent } from "./demo-agent.ts";
import { type Editor, type Imported, type ImportedNode, openEditor } from "./editor.ts";
import { allExamples, type Example } from "./examples.ts";
import { type NodeRed, startNodeRed } from "./node-red-process.ts";
import { type NodeRedLine, requireNodeRed } from "./programs.ts";

export type Trial = {
  readonly nodeRed: NodeRed;
  readonly agent: DemoAgent;
  readonly editor: Editor;
};

/** Once a minute is the rarest that an example shows something. */
const resultMsMax = 75_000;

/** All of it runs, the editor is open; `undefined` where something is missing on this machine. */
export async function startTrial(t: TestContext, line: NodeRedLine): Promise<Trial | undefined> {
  const program = requireNodeRed(t, line);
  if (program === undefined) return undefined;
  const nodeRed = await startNodeRed({ program });
  t.after(() => nodeRed[Symbol.asyncDispose]());
  const agent = await DemoAgent.start(t, nodeRed.folder);
  const editor = await openEditor(t, nodeRed.url);
  return editor && { nodeRed, agent, editor };
}

export async function seePalette(t: TestContext, { nodeRed, editor }: Trial): Promise<void> {
  await t.test("it loads with no warning, and each node is in the palette", async () => {
    assert.deepEqual(nodeRed.warnings(), []);
    const inPalette = nodeNames().filter((name) => name !== "agent");
    assert.deepEqual(
      await editor.palette(),
      inPalette.map((name) => `weir-${name}`),
    );
  });
}

export type Tried = { readonly example: Example; readonly imported: Imported };

/** Each is deployed before the next one comes. */
export async function importExamples(
  t: TestContext,
  { agent, editor }: Trial,
): Promise<readonly Tried[]> {
  const all: Tried[] = [];
  for (const example of allExamples()) {
    await t.test(`the example ${example.name} is imported by the dialog and deployed`, async () => {
      const imported = await editor.import(agent.addressed(example.text));
      await editor.deploy();
      all.push({ example, imported });
    });
  }
  await agent.alarm("pump-of-the-test");
  await agent.alarm("meter-of-the-test");
  return all;
}

/** Those that show something once a minute only where `all` is asked for. */
export async function seeResults(
  t: TestContext,
  { editor }: Trial,
  { tried, all }: { readonly tried: readonly Tried[]; readonly all: boolean },
): Promise<void> {
  for (const { example, imported } of tried.filter((one) => all || !one.example.isRare)) {
    await t.test(`the example ${example.name} shows results`, async () => {
      for (const step of example.steps) {
        if (step.kind === "press") await editor.press(named(imported, step.name, "inject"));
        else {
          const { like } = step;
          await editor.said(named(imported, step.name, "debug"), { like, msMax: resultMsMax });
        }
      }
    });
  }
  await t.test("no node says that something is wrong", async () => {
    assert.deepEqual(await editor.troubles(), []);
  });
}

export async function seeNoErrors(t: TestContext, { editor, nodeRed }: Trial): Promise<void> {
  await t.test("nothing goes wrong in the page, and it asks this machine only", () => {
    assert.deepEqual(editor.errors, []);
    assert.deepEqual(editor.requestsOutside, []);
    assert.deepEqual(
      nodeRed.warnings().filter((text) => !isOfKill(text)),
      [],
    );
  });
}

/** Where the agent is killed, all nodes but the one that gathers its summaries are disabled. */
function isOfKill(warning: string): boolean {
  return warning.startsWith("[weir-summaries:gathered]") && warning.includes(" is away: ");
}

export function named({ nodes }: Imported, name: string, type: string): ImportedNode {
  const found = nodes.find((node) => node.name === name && node.type === type);
  assert.ok(found, `there is no ${type} node "${name}"`);
  return found;
}
