/**
 * Pictures for the documents, made by the test of Node-RED 5 where `WEIR_SCREENSHOTS=1`: each node's form
 * beside its example, and the editor as a whole. A test holds that every node has its picture.
 */

import { mkdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { nodeNames } from "../../../flows/build.ts";
import type { Editor, Imported } from "./editor.ts";

const folder = resolve(import.meta.dirname, "../../../docs/images/flows");

export const arePicturesWanted: boolean = process.env["WEIR_SCREENSHOTS"] === "1";

/** A repository keeps every version of a picture for ever. */
const bytesMax = 60_000;

/** Of the agent that `npm start` runs. */
const address = "http://127.0.0.1:8080";

export const overview = "overview";

/** Names of the pictures that the documents show. */
export function pictureNames(): readonly string[] {
  return [overview, ...nodeNames()];
}

/** Pictures that are missing or too large, a sentence each. */
export function pictureFindings(): readonly string[] {
  return pictureNames().flatMap((name) => {
    const found = statSync(pathOf(name), { throwIfNoEntry: false });
    if (found === undefined) return [`${name}: no picture (WEIR_SCREENSHOTS=1 makes it)`];
    return found.size > bytesMax ? [`${name}: ${found.size} bytes, over ${bytesMax}`] : [];
  });
}

/** Takes all of them, of flows that show results. `examples`: each by its name. */
export async function takePictures(
  editor: Editor,
  examples: ReadonlyMap<string, Imported>,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const { page } = editor;
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.addStyleTag({ content: ".red-ui-notification { display: none }" });
  await editor.invoke("core:toggle-sidebar");
  await editor.invoke("core:toggle-palette");
  await page.setViewportSize({ width: 900, height: 420 });
  const shownFirst = examples.get("pump-monitoring") ?? examples.get("window");
  if (shownFirst !== undefined) await editor.show(shownFirst.tab);
  await editor.settled();
  await page.screenshot({ path: pathOf(overview) });

  // Not the port of the test.
  await editor.changeConfigs("weir-agent", { address });
  await page.setViewportSize({ width: 900, height: 560 });
  for (const name of nodeNames()) {
    const imported = examples.get(name === "agent" ? "summaries" : name);
    if (imported === undefined) throw new Error(`no example is named after the node ${name}`);
    await editor.show(imported.tab);
    await editor.openForm(name === "agent" ? "weir-agent" : `weir-${name}`, imported);
    await page.screenshot({ path: pathOf(name), clip: { x: 0, y: 48, width: 900, height: 512 } });
    await editor.closeForms();
  }
  await editor.invoke("core:toggle-palette");
  await editor.invoke("core:toggle-sidebar");
}

function pathOf(name: string): string {
  return join(folder, `${name}.png`);
}
