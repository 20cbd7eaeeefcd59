/**
 * How much later is a PUBACK while tables are merged? A hundred clients publish ten readings a second
 * each with QoS 1; phases without and with a merge alternate on one server. See compaction-server.ts.
 * The server has one processor for all its threads, the load the other.
 */

import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { nodeFlags } from "../src/agent/node-flags.ts";
import { limits } from "../src/core/limits.ts";
import type { CompactionServer } from "./compaction-server.ts";
import type { Phase } from "./fairness-load.ts";
import { bundleProcesses, median, rounded, type Running, start } from "./process.ts";

export type CompactionOptions = Omit<CompactionServer, "directory" | "waitMs"> & {
  readonly clients: number;
  /** Messages per second of all clients together. */
  readonly rate: number;
  readonly rounds: number;
  readonly phaseMs: number;
};

export const defaults: CompactionOptions = {
  series: 1_000,
  tables: 16,
  readingsPerTable: 524_288,
  clients: 100,
  rate: 1_000,
  rounds: 5,
  phaseMs: 3_000,
};
export const tinyOptions: CompactionOptions = {
  series: 200,
  tables: 4,
  readingsPerTable: 262_144,
  clients: 10,
  rate: 100,
  rounds: 1,
  phaseMs: 700,
};

export type CompactionFigures = {
  readonly p99_ratio: number;
  readonly without: { readonly p50: number; readonly p99: number };
  readonly during: { readonly p50: number; readonly p99: number };
  /** Of one merge beside the load. */
  readonly merge_s: number;
  readonly merged_readings: number;
};

export type CompactionResult = {
  /** With the default commit wait. */
  readonly puback_p99_compaction_ratio: number;
  readonly compaction: {
    readonly default_latency: CompactionFigures;
    /** With `commit.latency: low`: what is left when nothing waits for its sync. */
    readonly low_latency: CompactionFigures;
  };
};

export async function runCompaction(options: CompactionOptions): Promise<CompactionResult> {
  const default_latency = await compare(options, limits.commitWaitMs);
  const low_latency = await compare(options, 0);
  return {
    puback_p99_compaction_ratio: default_latency.p99_ratio,
    compaction: { default_latency, low_latency },
  };
}

async function compare(options: CompactionOptions, waitMs: number): Promise<CompactionFigures> {
  const { series, tables, readingsPerTable, clients, rate, rounds, phaseMs } = options;
  using bundles = await bundleProcesses(["compaction-server"]);
  using folder = mkdtempDisposableSync(`${tmpdir()}/weir-bench-`);
  const of: CompactionServer = { directory: folder.path, series, tables, readingsPerTable, waitMs };
  await using server = start(nodeFlags, bundles.file("compaction-server"), [JSON.stringify(of)]);
  const { port } = (await server.event("listening")) as { port: number };
  const loadFile = fileURLToPath(new URL("./fairness-load.ts", import.meta.url));
  const args = [JSON.stringify({ port, clients, rate })];
  await using load = start([], loadFile, args, { processor: 1 });
  await load.event("ready");
  await sleep(phaseMs);
  const pairs: { readonly without: Phase; readonly during: Phase }[] = [];
  const mergeMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const without = await phase(load, `without-${round}`, sleep(phaseMs));
    server.say("merge");
    await server.event(`merging-${round}`);
    const merged = server.event(`merged-${round}`);
    const during = await phase(load, `during-${round}`, Promise.race([sleep(phaseMs), merged]));
    pairs.push({ without, during });
    mergeMs.push(((await merged) as { ms: number }).ms);
    await sleep(phaseMs / 3);
  }
  const over = (side: "without" | "during"): { readonly p50: number; readonly p99: number } => ({
    p50: rounded(median(pairs.map((pair) => pair[side].p50))),
    p99: rounded(median(pairs.map((pair) => pair[side].p99))),
  });
  return {
    p99_ratio: rounded(median(pairs.map(({ without, during }) => during.p99 / without.p99))),
    without: over("without"),
    during: over("during"),
    merge_s: rounded(median(mergeMs) / 1_000),
    merged_readings: tables * readingsPerTable,
  };
}

/** What was acknowledged in a while, without what was on its way before. */
async function phase(load: Running, name: string, over: Promise<unknown>): Promise<Phase> {
  load.say(`before-${name}`);
  await load.event(`before-${name}`);
  await over;
  load.say(name);
  return (await load.event(name)) as Phase;
}
