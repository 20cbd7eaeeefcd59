/**
 * After a week without an uplink: when is an alert and what is fresh upstream, how much of its link's
 * bandwidth does the backlog take, and does memory stay flat? See outage-process.ts for what is real.
 *
 * Times and bytes are of a simulated clock and are the same in every run; memory is that of a process
 * of its own with the agent's Node flags, after a full collection.
 */

import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeFlags } from "../src/agent/node-flags.ts";
import type { OutageFigures, OutageProcess } from "./outage-process.ts";
import { bundleProcesses, start } from "./process.ts";

export type OutageOptions = Omit<OutageProcess, "directory">;

export const defaults: OutageOptions = {
  days: 7,
  keys: 50,
  freshKeys: 400,
  bandwidth: 16_000,
};
export const tinyOptions: OutageOptions = { ...defaults, days: 1, keys: 20 };

export async function runOutage(options: OutageOptions): Promise<OutageOptions & OutageFigures> {
  using bundles = await bundleProcesses(["outage-process"]);
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-bench-"));
  const args = JSON.stringify({ ...options, directory: folder.path } satisfies OutageProcess);
  const flags = [...nodeFlags, "--expose-gc"];
  await using running = start(flags, bundles.file("outage-process"), [args]);
  const { event: _, ...figures } = (await running.event("done")) as OutageFigures & {
    readonly event: string;
  };
  return { ...options, ...figures };
}
