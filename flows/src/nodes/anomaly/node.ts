/** The `weir-anomaly` node. */

import { registerMachine } from "../../node/machine-node.ts";
import { startAnomaly } from "../../operators/anomaly-machine.ts";
import type { Red } from "../../red.ts";
import { migrations } from "./migrations.ts";

export function register(RED: Red): void {
  registerMachine(RED, { type: "weir-anomaly", migrations, start: startAnomaly });
}
