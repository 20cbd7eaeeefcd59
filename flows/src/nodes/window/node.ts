/** The `weir-window` node. */

import { registerMachine } from "../../node/machine-node.ts";
import { startWindow } from "../../operators/window-machine.ts";
import type { Red } from "../../red.ts";
import { migrations } from "./migrations.ts";

export function register(RED: Red): void {
  registerMachine(RED, { type: "weir-window", migrations, start: startWindow });
}
