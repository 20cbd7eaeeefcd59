/**
 * Does a month of readings fit, and is it answered at once? A thousand series, a reading a second
 * each, made at speed and given straight to the table store; then a fresh process opens what is
 * there and asks for single series. See month-process.ts for both.
 *
 * A query is timed to its last row, in a process that did not write the tables; files are in the page
 * cache as far as the machine has kept them there. Speeds are million readings a second of CPU.
 */

import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeFlags } from "../src/agent/node-flags.ts";
import type { IngestFigures, MonthProcess, QueryFigures } from "./month-process.ts";
import { bundleProcesses, start } from "./process.ts";

export type MonthOptions = Omit<MonthProcess, "directory">;

export const defaults: MonthOptions = { days: 30, series: 1_000, bytesMax: 6e9 };
export const tinyOptions: MonthOptions = { days: 1, series: 200, bytesMax: 6e9 };

export type MonthFigures = { readonly days: number } & IngestFigures & QueryFigures;

export async function runMonth(options: MonthOptions): Promise<MonthFigures> {
  using bundles = await bundleProcesses(["month-process"]);
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-bench-"));
  const args = JSON.stringify({ ...options, directory: folder.path } satisfies MonthProcess);
  const run = async (role: string): Promise<unknown> => {
    await using running = start(nodeFlags, bundles.file("month-process"), [role, args]);
    return await running.event("done");
  };
  const ingested = (await run("ingest")) as IngestFigures & { event: string };
  const queried = (await run("query")) as QueryFigures & { event: string };
  const { event: _, ...figures } = { days: options.days, ...ingested, ...queried };
  return figures;
}
