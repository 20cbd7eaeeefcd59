/**
 * How weir starts itself and the simulator as processes of their own: as the sources they are run
 * from, or as the one packed file that they all are in (tools/package/entry.ts).
 */

import { existsSync } from "node:fs";
import { isSea } from "node:sea";
import { fileURLToPath } from "node:url";
import { nodeFlags } from "../node-flags.ts";

/** What to start, without the words of its command line. */
export type Program = { readonly file: string; readonly args: readonly string[] };

/** First word of the packed file's command line that makes it the simulator. */
export const simulatorWord = "simulator";

/** Collect garbage early: the fleet shares a small machine with the agent. */
const simulatorHeapMb = 96;

/** weir itself: `[...args, "run", …]` is what a person types. */
export function weirProgram(): Program {
  const args = isSea() ? [] : [...nodeFlags, sourceOf("./main.ts")];
  return { file: process.execPath, args };
}

/** The simulated fleet; a string says where it should be and is not. */
export function simulatorProgram(): Program | string {
  if (isSea()) return { file: process.execPath, args: [simulatorWord] };
  const source = sourceOf("../../../firmware-sim/main.ts");
  if (!existsSync(source)) return source;
  return { file: process.execPath, args: [`--max-old-space-size=${simulatorHeapMb}`, source] };
}

function sourceOf(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
