/**
 * Loaded before anything else (`node --import`) by every process that simulates: the marks, the
 * canary that WEIR_CANARY names, and globals that belong to the world.
 */

import { canaries } from "./canaries.ts";
import { markEdits } from "./marks.ts";
import { editSources } from "./source-edits.ts";
import { tameGlobals } from "./world/tamed-globals.ts";

const wanted = process.env["WEIR_CANARY"] ?? "";
const canary = canaries.find(({ name }) => name === wanted);
if (wanted !== "" && canary === undefined) throw new Error(`there is no canary ${wanted}`);

editSources([...(canary?.edits ?? []), ...markEdits]);
tameGlobals();
