/** What the packed file runs: weir, or, where its first word says so, the simulator as a child of weir. */

import { simulatorWord } from "../../src/agent/cli/own-program.ts";

if (process.argv[2] === simulatorWord) {
  process.argv.splice(2, 1);
  void import("../../firmware-sim/main.ts");
} else void import("../../src/agent/cli/main.ts");
