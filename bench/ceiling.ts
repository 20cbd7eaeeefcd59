/**
 * Does the agent keep a ceiling on memory? The packed file in a control group of 96 MiB, on a file system
 * of its own that reads ahead as a memory card does (128 KiB): thousands of messages a second at QoS 1,
 * Kafka configured and nobody there. In the end it is killed, started again in the same group, and all
 * that was acknowledged is counted.
 *
 *   load (outside) ── QoS 1 ──> | group: weir run, packed | ──x Kafka
 *                               kill -9 ── weir run ── ledger, weir query
 */

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { version } from "../src/agent/version.ts";
import { freePorts } from "../test/support/ports.ts";
import { root } from "../tools/package/bundle.ts";
import type { LoadOptions, LoadResult } from "./load.ts";
import { makeDevices } from "./loop-device.ts";
import { type GroupUsage, makeMemoryGroup, type MemoryGroup } from "./memory-group.ts";
import { forgetCached } from "./packed.ts";
import { bundleProcesses, cpuMicros, rounded, start } from "./process.ts";

export type CeilingOptions = {
  readonly limitBytes: number;
  readonly minutes: number;
  /** Messages a second over all connections. */
  readonly rate: number;
  readonly series: number;
  readonly connections: number;
  /** What the device reads at a time when a page is missing. */
  readonly readAheadKb: number;
};

export const defaults: CeilingOptions = {
  limitBytes: 96 * 2 ** 20,
  minutes: 10,
  rate: 5_000,
  series: 1_000,
  connections: 50,
  readAheadKb: 128,
};

export const tinyOptions: CeilingOptions = { ...defaults, minutes: 0.1 };

export type CeilingResult = {
  readonly limit_mb: number;
  /** Of control groups. */
  readonly version: 1 | 2;
  readonly minutes: number;
  readonly series: number;
  readonly connections: number;
  readonly msgs_per_s: number;
  readonly puback_ms: { readonly p50: number; readonly p99: number };
  readonly cpu_us_per_msg: number;
  /** Processes that the kernel killed for the limit, of both lives. */
  readonly killed: number;
  /** PUBACKs that came, and what is there after the kill: in the ledger, and by a query. */
  readonly acknowledged: number;
  readonly accepted: number;
  readonly counted: number;
  /** Looked at every second. */
  readonly memory_mb: {
    readonly anonymous: { readonly median: number; readonly most: number };
    readonly file: { readonly median: number; readonly least: number };
    readonly kernel_most: number;
  };
  /** While it was measured: pages that had to be read again. */
  readonly major_faults_per_s: number;
  /** As the agent says. */
  readonly agent: {
    readonly level: string;
    readonly flushes: number;
    readonly collections: number;
  };
  /** From the start after the kill until it listens. */
  readonly restart_ms: number;
};

export type Skipped = { readonly kind: "skipped"; readonly reason: string };

/** The last seconds of an agent's start are not measured. */
const warmupMs = 5_000;

export async function runCeiling(
  options: CeilingOptions,
): Promise<{ readonly kind: "done"; readonly figures: CeilingResult } | Skipped> {
  const made = makeMemoryGroup(options.limitBytes);
  if (made.kind === "none") return { kind: "skipped", reason: made.reason };
  using group = made.group;
  const mounted = makeDevices([], { isDirect: true });
  if (mounted.kind === "none") return { kind: "skipped", reason: mounted.reason };
  using devices = mounted.devices;
  const queue = join(dirname(devices.statFiles[""] ?? ""), "queue/read_ahead_kb");
  writeFileSync(queue, String(options.readAheadKb));
  const file = packedOn(devices.directory);
  return { kind: "done", figures: await measured(options, { group, file, devices }) };
}

/** Made elsewhere, so that nothing of the making is in the caches of the device. */
function packedOn(directory: string): string {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-bench-ceiling-"));
  const words = [join(root, "tools/package/main.ts"), "--out", folder.path, "--arch", process.arch];
  execFileSync(process.execPath, words, { stdio: ["ignore", "ignore", "inherit"] });
  const file = join(directory, "weir");
  copyFileSync(join(folder.path, `weir-${version}-linux-${process.arch}`), file);
  forgetCached(file);
  return file;
}

type Stage = {
  readonly group: MemoryGroup;
  readonly file: string;
  readonly devices: { readonly directory: string };
};

async function measured(options: CeilingOptions, of: Stage): Promise<CeilingResult> {
  const { group } = of;
  const [port = 0, http = 0] = await freePorts(2);
  const config = join(of.devices.directory, "weir.yaml");
  writeFileSync(config, configText({ port, http }));
  using bundles = await bundleProcesses(["load"]);
  const measureMs = options.minutes * 60_000;
  const load: LoadOptions = {
    port,
    connections: options.connections,
    window: 200,
    seriesPerConnection: options.series / options.connections,
    warmupMs,
    measureMs,
    rate: options.rate,
    isLive: true,
  };
  const first = await begin(of, config);
  const seen: GroupUsage[] = [];
  let cpu = 0;
  let result: LoadResult;
  let memory: AgentMemory;
  try {
    await using loading = start([], bundles.file("load"), [JSON.stringify(load)], { processor: 1 });
    await loading.event("measuring");
    const cpuBefore = cpuMicros(first.pid);
    const looking = setInterval(() => seen.push(group.usage()), 1_000);
    const done = loading.event("done") as Promise<LoadResult>;
    result = await Promise.race([done, first.lost]).finally(() => clearInterval(looking));
    cpu = cpuMicros(first.pid) - cpuBefore;
    memory = (await asked(http, "status")) as AgentMemory;
  } finally {
    await first.kill();
  }
  const startedAt = performance.now();
  const second = await begin(of, config);
  try {
    const restartMs = performance.now() - startedAt;
    const { sources } = (await asked(http, "ledger")) as Ledger;
    const { ceiling } = memory.memory;
    return {
      limit_mb: megabytes(options.limitBytes),
      version: group.version,
      minutes: options.minutes,
      series: options.series,
      connections: options.connections,
      msgs_per_s: Math.round(result.messages / result.seconds),
      puback_ms: { p50: rounded(result.pubackMs.p50), p99: rounded(result.pubackMs.p99) },
      cpu_us_per_msg: rounded(cpu / result.messages),
      killed: group.killed(),
      acknowledged: result.acknowledged,
      accepted: sources.reduce((sum, { readings }) => sum + readings.accepted, 0),
      counted: counted(of.file, config),
      memory_mb: memoryOf(seen),
      major_faults_per_s: rounded(faultsOf(seen) / result.seconds),
      agent: {
        level: ceiling?.level ?? "none",
        flushes: ceiling?.flushes ?? 0,
        collections: ceiling?.collections ?? 0,
      },
      restart_ms: Math.round(restartMs),
    };
  } finally {
    await second.kill();
  }
}

type AgentMemory = {
  readonly memory: {
    readonly ceiling?: {
      readonly level: string;
      readonly flushes: number;
      readonly collections: number;
    };
  };
};

type Ledger = { readonly sources: readonly { readonly readings: { readonly accepted: number } }[] };

type Life = {
  readonly pid: number;
  /** Rejects when it ends by itself. */
  readonly lost: Promise<never>;
  readonly kill: () => Promise<void>;
};

async function begin({ group, file }: Stage, config: string): Promise<Life> {
  const [shell, ...enter] = group.enter;
  const words = [...enter, file, "run", "--json", "-c", config];
  const child = spawn(shell, words, { stdio: ["ignore", "pipe", "inherit"] });
  let isWanted = false;
  const ended = once(child, "close");
  const lost = ended.then(([code, signal]): never => {
    if (isWanted) return undefined as never;
    throw new Error(`the agent ended with ${String(code ?? signal)}, killed ${group.killed()}`);
  });
  lost.catch(() => undefined);
  const started = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    if ((JSON.parse(line) as { readonly event: string }).event === "started") started.resolve();
  });
  await Promise.race([started.promise, lost]);
  return {
    pid: child.pid!,
    lost,
    kill: async () => {
      isWanted = true;
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function asked(port: number, what: string): Promise<unknown> {
  return await (await fetch(`http://127.0.0.1:${port}/v1/${what}`)).json();
}

/** All readings that the agent answers with, by the same file as a client. */
function counted(file: string, config: string): number {
  const words = ["query", "-c", config, "--from", "-1d", "--step", "1h", "--aggregates", "count"];
  const text = execFileSync(file, [...words, "--json"], { encoding: "utf8", maxBuffer: 2 ** 28 });
  const rows = text.split("\n").filter((line) => line !== "");
  return rows.reduce((sum, row) => sum + ((JSON.parse(row) as { count?: number }).count ?? 0), 0);
}

function memoryOf(seen: readonly GroupUsage[]): CeilingResult["memory_mb"] {
  const of = (name: keyof GroupUsage): number[] =>
    seen.map((usage) => usage[name]).toSorted((a, b) => a - b);
  const [anonymous, file, kernel] = [of("anonymous"), of("file"), of("kernel")];
  const middle = (values: readonly number[]): number =>
    megabytes(values[Math.floor(values.length / 2)] ?? Number.NaN);
  return {
    anonymous: { median: middle(anonymous), most: megabytes(anonymous.at(-1) ?? Number.NaN) },
    file: { median: middle(file), least: megabytes(file[0] ?? Number.NaN) },
    kernel_most: megabytes(kernel.at(-1) ?? Number.NaN),
  };
}

function faultsOf(seen: readonly GroupUsage[]): number {
  return (seen.at(-1)?.majorFaults ?? Number.NaN) - (seen[0]?.majorFaults ?? Number.NaN);
}

function megabytes(bytes: number): number {
  return rounded(bytes / 1e6);
}

/** Port 9 is nobody's. */
function configText({ port, http }: { readonly port: number; readonly http: number }): string {
  return `version: 1
agent: bench
data: ./data
mqtt: { host: 127.0.0.1, port: ${port} }
http: { host: 127.0.0.1, port: ${http} }
sources:
  - name: plant
    topics: ["plant/{line}/{device}/state"]
    ignore: [unit, status, rssi, fw, b]
pipelines:
  - name: ten-seconds
    window: { tumbling: 10s }
    key: [device, line, metric]
    aggregate: [count, sum, mean, min, max, variance]
uplinks:
  - kafka: { brokers: ["127.0.0.1:9"] }
`;
}
