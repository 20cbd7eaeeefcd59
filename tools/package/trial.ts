/** A packed file as people run it: a minute of sensors with two power cuts, and proof that all is there. */

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeFlags } from "../../src/agent/node-flags.ts";
import { root } from "./bundle.ts";

const scenario = join(import.meta.dirname, "trial.yaml");
const weir = join(root, "src/agent/cli/main.ts");

/**
 * `runner`: what makes the file run here (foreign.ts). `work`: a folder for what the agent keeps. The
 * fleet and the comparison are those of the sources. Throws where anything is missing or there twice.
 */
export function runTrial(
  file: string,
  { runner, work }: { readonly runner: readonly string[]; readonly work: string },
): void {
  const program = join(work, "weir");
  const command = [...runner, file].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  writeFileSync(program, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  const words = ["sim", "--scenario", scenario, "--verify", "--program", program];
  execFileSync(process.execPath, [...nodeFlags, weir, ...words, "--data", join(work, "data")], {
    stdio: "inherit",
  });
}
