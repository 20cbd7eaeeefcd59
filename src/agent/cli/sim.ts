/** `weir sim`: plays a scenario, or hands everything to the simulator and becomes its exit code. */

import { startFleet } from "./fleet-process.ts";

export async function run(args: readonly string[]): Promise<number> {
  if (args.some((arg) => /^--scenario(=|$)/.test(arg))) {
    const { runScenario } = await import("./scenario/run-scenario.ts");
    return await runScenario(args);
  }
  const passed = args[0] === "--" ? args.slice(1) : args;
  return await startFleet(passed, { stdio: "inherit" }).ended;
}
