/** `weir bench`: the benchmarks, on this machine. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Fault } from "../../core/faults.ts";
import { exitCodes } from "./command.ts";

const bench = fileURLToPath(new URL("../../../bench/main.ts", import.meta.url));

export async function run(args: readonly string[]): Promise<number> {
  if (!existsSync(bench)) {
    throw new Fault("INPUT_INVALID", `the benchmarks are not part of this installation (${bench})`);
  }
  const child = spawn(process.execPath, [bench, ...args], { stdio: "inherit" });
  await once(child, "exit");
  return child.exitCode ?? exitCodes.failed;
}
