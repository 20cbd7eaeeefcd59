/** The `weir-report` node. */

import { registerMachine } from "../../node/machine-node.ts";
import { startReport } from "../../operators/report-machine.ts";
import type { Red } from "../../red.ts";
import { migrations } from "./migrations.ts";

export function register(RED: Red): void {
  registerMachine(RED, { type: "weir-report", migrations, start: startReport });
}
