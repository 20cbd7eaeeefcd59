/** `weir check`: every error of a configuration with its place, or what the configuration means. */

import { Fault } from "../../core/faults.ts";
import type { Config } from "../config/config.ts";
import { explain } from "../config/explain.ts";
import { systemClock } from "../doors/clock.ts";
import { exitCodes, parseOptions } from "./command.ts";
import { readConfig } from "./configured.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c" },
  });
  const config = await readConfig(values.config ?? positionals[0] ?? "weir.yaml");
  console.log(explain(config));
  const problems = await tlsProblems(config);
  for (const problem of problems) console.error(`weir: ${problem}`);
  return problems.length === 0 ? exitCodes.ok : exitCodes.configuration;
}

/** Why listeners would not open: files that are not there, expired, or do not fit each other. */
async function tlsProblems({ mqtt, http }: Config): Promise<readonly string[]> {
  const all = [...(mqtt.listeners ?? []).map(({ tls }) => tls), http?.tls].filter(
    (tls) => tls !== undefined,
  );
  if (all.length === 0) return [];
  const { watchListenFiles } = await import("../doors/tls-files.ts");
  const problems: string[] = [];
  for (const tls of all) {
    try {
      (await watchListenFiles(tls, systemClock())).close();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      problems.push(error.message);
    }
  }
  return problems;
}
