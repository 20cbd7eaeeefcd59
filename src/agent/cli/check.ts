/** `weir check`: every error of a configuration with its place, or what the configuration means. */

import { explain } from "../config/explain.ts";
import { exitCodes, parseOptions } from "./command.ts";
import { readConfig } from "./configured.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c" },
  });
  console.log(explain(await readConfig(values.config ?? positionals[0] ?? "weir.yaml")));
  return exitCodes.ok;
}
