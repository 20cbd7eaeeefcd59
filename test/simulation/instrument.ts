/**
 * Loaded before anything else (`node --import`) by every process that simulates: the marks, the
 * canary that WEIR_CANARY names, small limits, and globals that belong to the world.
 */

import { canaries } from "./canaries.ts";
import { markEdits } from "./marks.ts";
import { editSources, type SourceEdit } from "./source-edits.ts";
import { tameGlobals } from "./world/tamed-globals.ts";

const wanted = process.env["WEIR_CANARY"] ?? "";
const canary = canaries.find(({ name }) => name === wanted);
if (wanted !== "" && canary === undefined) throw new Error(`there is no canary ${wanted}`);

/** Bounds that no world would reach in its two minutes. */
const smallLimits: readonly SourceEdit[] = [
  { file: "src/core/limits.ts", from: "outboxBytesMax: 536_870_912", to: "outboxBytesMax: 24_576" },
];

editSources([...smallLimits, ...(canary?.edits ?? []), ...markEdits]);
tameGlobals();
