/** `weir sim`: hands everything to the simulator and becomes its exit code. */

import { startFleet } from "./fleet-process.ts";

export async function run(args: readonly string[]): Promise<number> {
  const passed = args[0] === "--" ? args.slice(1) : args;
  return await startFleet(passed, { stdio: "inherit" }).ended;
}
