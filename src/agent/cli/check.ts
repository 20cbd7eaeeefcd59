/** `weir check`: every error of a configuration with its place, or what the configuration means. */

import { exitCodes, parseOptions, refusePositionals } from "./command.ts";
import { explain } from "../config/explain.ts";
import { unfitDirectory } from "../doors/data-directory.ts";
import { checkFiles } from "./checked-files.ts";
import { readConfig } from "./configured.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c" },
  });
  const [named, ...rest] = values.config === undefined ? positionals : ["", ...positionals];
  refusePositionals(rest);
  const config = await readConfig(values.config ?? named ?? "weir.yaml");
  console.log(explain(config));
  const { problems: ofFiles, warnings } = await checkFiles(config);
  const problems = [...ofFiles];
  const unfit = await unfitDirectory(config.dataDirectory);
  if (unfit !== undefined) problems.push(`data: ${unfit}; set another directory`);
  for (const warning of warnings) console.error(`weir: warning: ${warning}`);
  for (const problem of problems) console.error(`weir: ${problem}`);
  return problems.length === 0 ? exitCodes.ok : exitCodes.configuration;
}
