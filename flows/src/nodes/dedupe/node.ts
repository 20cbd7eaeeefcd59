/** The `weir-dedupe` node. */

import { registerMachine } from "../../node/machine-node.ts";
import { startDedupe } from "../../operators/dedupe-machine.ts";
import type { Red } from "../../red.ts";
import { migrations } from "./migrations.ts";

export function register(RED: Red): void {
  registerMachine(RED, { type: "weir-dedupe", migrations, start: startDedupe });
}
