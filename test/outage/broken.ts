/**
 * Loaded before anything else (`node --import`): the agent with the fault that WEIR_CANARY names. Most are
 * canaries of the simulator. A SIGKILL takes nothing from the system's caches, so what is acknowledged
 * too early has to be so by more than the time of a sync to be lost here.
 */

import { canaries } from "../simulation/canaries.ts";
import { editSources, type SourceEdit } from "../simulation/source-edits.ts";

const own: Readonly<Record<string, readonly SourceEdit[]>> = {
  "acknowledge-before-append": [
    {
      file: "src/agent/loop.ts",
      from: "    const at = await this.#append(frame);",
      to: `    for (const gate of this.#gates) gate.release();
    await new Promise((resolve) => setTimeout(resolve, 600));
    const at = await this.#append(frame);`,
    },
  ],
  "deliver-twice": [
    {
      file: "src/sync/file-lane.ts",
      from: "    const lines = linesOf(records);",
      to: "    const lines = linesOf([...records, ...records.slice(-1)]);",
    },
  ],
};

const wanted = process.env["WEIR_CANARY"] ?? "";
const edits = own[wanted] ?? canaries.find(({ name }) => name === wanted)?.edits;
if (edits === undefined) throw new Error(`there is no canary ${wanted}`);
editSources(edits);
