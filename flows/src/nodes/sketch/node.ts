/** The `weir-sketch` node. */

import { registerMachine } from "../../node/machine-node.ts";
import { startSketch } from "../../operators/sketch-machine.ts";
import type { Red } from "../../red.ts";
import { migrations } from "./migrations.ts";

export function register(RED: Red): void {
  registerMachine(RED, { type: "weir-sketch", migrations, start: startSketch });
}
