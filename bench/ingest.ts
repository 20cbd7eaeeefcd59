/**
 * What does one message cost, from the socket to a synced log and an updated window, and what does
 * it cost aedes with JSON.parse and no disk? Both run in the same rounds, one after the other, each
 * a fresh process; medians are compared. CPU time is the server's own (user + system, all threads),
 * divided by the messages it acknowledged: on shared machines this is sturdier than throughput.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { nodeFlags } from "../src/agent/node-flags.ts";
import type { LoadOptions, LoadResult } from "./load.ts";

export type IngestOptions = {
  readonly rounds: number;
  readonly warmupMs: number;
  readonly measureMs: number;
};

export const defaults: IngestOptions = { rounds: 5, warmupMs: 1_500, measureMs: 3_000 };

type Sample = {
  readonly cpu_us_per_msg: number;
  readonly msgs_per_s: number;
  readonly puback_p99_ms: number;
  readonly rss_mb: number;
  readonly rss_anon_mb: number;
  readonly load_cpu_us_per_msg: number;
};

type Shape = Omit<LoadOptions, "port" | "warmupMs" | "measureMs">;

const shapes = {
  dense: { connections: 100, window: 200, seriesPerConnection: 100, rate: 0 },
  sparse: { connections: 1_000, window: 1, seriesPerConnection: 1, rate: 0 },
} as const satisfies Record<string, Shape>;
const SYNC_DELAYS_MS = [10, 100];
const SEGMENT_STEPS = 25;
const CLOCK_TICK_US = 10_000;

type ShapeResult = Sample & {
  readonly ratio_vs_aedes: number;
  readonly aedes: Sample;
  /** The same of clients that speak MQTT 5, with properties. */
  readonly mqtt5: Sample;
  readonly sync_plus: Readonly<Record<string, Sample>>;
};

export type IngestResult = {
  readonly dense: ShapeResult;
  readonly sparse: ShapeResult;
  readonly memory: {
    readonly series: number;
    readonly connections: number;
    readonly rss_mb: number;
    readonly rss_anon_mb: number;
  };
  readonly idle_rss_mb: number;
  readonly idle_rss_anon_mb: number;
  readonly rounds: number;
};

export async function runIngest(options: IngestOptions): Promise<IngestResult> {
  const bundle = await bundleServer();
  try {
    const dense = await measureShape(bundle, shapes.dense, options);
    const sparse = await measureShape(bundle, shapes.sparse, options);
    const memory = await round(bundle, "weir", {
      shape: { connections: 200, window: 20, seriesPerConnection: 50, rate: 20_000 },
      options,
      syncDelayMs: 0,
    });
    const idle = await idleMemory(bundle);
    return {
      dense,
      sparse,
      memory: {
        series: 10_000,
        connections: 200,
        rss_mb: memory.rss_mb,
        rss_anon_mb: memory.rss_anon_mb,
      },
      idle_rss_mb: idle.rss,
      idle_rss_anon_mb: idle.anon,
      rounds: options.rounds,
    };
  } finally {
    rmSync(bundle.directory, { recursive: true, force: true });
  }
}

async function measureShape(
  bundle: Bundle,
  shape: Shape,
  options: IngestOptions,
): Promise<ShapeResult> {
  const weir: Sample[] = [];
  const aedes: Sample[] = [];
  const newer: Sample[] = [];
  const ratios: number[] = [];
  for (let n = 0; n < options.rounds; n++) {
    const ours = await round(bundle, "weir", { shape, options, syncDelayMs: 0 });
    const theirs = await round(bundle, "aedes", { shape, options, syncDelayMs: 0 });
    const five: Shape = { ...shape, level: 5 };
    newer.push(await round(bundle, "weir", { shape: five, options, syncDelayMs: 0 }));
    weir.push(ours);
    aedes.push(theirs);
    ratios.push(theirs.cpu_us_per_msg / ours.cpu_us_per_msg);
  }
  const sync_plus: Record<string, Sample> = {};
  for (const syncDelayMs of SYNC_DELAYS_MS) {
    sync_plus[`${syncDelayMs}ms`] = await round(bundle, "weir", { shape, options, syncDelayMs });
  }
  return {
    ...medianSample(weir),
    ratio_vs_aedes: rounded(median(ratios)),
    aedes: medianSample(aedes),
    mqtt5: medianSample(newer),
    sync_plus,
  };
}

async function round(
  bundle: Bundle,
  kind: "weir" | "aedes",
  {
    shape,
    options,
    syncDelayMs,
  }: { readonly shape: Shape; readonly options: IngestOptions; readonly syncDelayMs: number },
): Promise<Sample> {
  const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const server = await startServer(bundle, kind, { directory, syncDelayMs });
  try {
    // The first segment of the log is filled in steps, each of them synced: not what is measured.
    const warmupMs = options.warmupMs + SEGMENT_STEPS * syncDelayMs;
    const load = startLoad({ ...shape, ...options, warmupMs, port: server.port });
    await load.event("measuring");
    const before = cpuMicros(server.child);
    const result = (await load.event("done")) as LoadResult;
    const cpu = cpuMicros(server.child) - before;
    const memory = memoryOf(server.child);
    return {
      cpu_us_per_msg: rounded(cpu / result.messages),
      msgs_per_s: Math.round(result.messages / result.seconds),
      puback_p99_ms: rounded(result.pubackMs.p99),
      rss_mb: memory.rss,
      rss_anon_mb: memory.anon,
      load_cpu_us_per_msg: rounded((result.cpuSeconds * 1e6) / result.messages),
    };
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function idleMemory(
  bundle: Bundle,
): Promise<{ readonly rss: number; readonly anon: number }> {
  const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const server = await startServer(bundle, "weir", { directory, syncDelayMs: 0 });
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const memory = memoryOf(server.child);
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
  return memory;
}

// --- processes ------------------------------------------------------------------------------------

type Bundle = { readonly directory: string; readonly file: string };

/** What ships is a bundle, so that is what is measured. Native code stays beside it. */
async function bundleServer(): Promise<Bundle> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const directory = mkdtempSync(join(root, "node_modules", ".bench-"));
  const file = join(directory, "server.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("./ingest-server.ts", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    outdir: directory,
    outExtension: { ".js": ".mjs" },
    entryNames: "server",
    splitting: true,
    minify: true,
    external: ["lmdb"],
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "error",
  });
  return { directory, file };
}

type Server = { readonly child: ChildProcess; readonly port: number; stop(): Promise<void> };

async function startServer(
  bundle: Bundle,
  kind: "weir" | "aedes",
  options: { readonly directory: string; readonly syncDelayMs: number },
): Promise<Server> {
  // weir as it is started; the rival as Node starts it, which costs it memory and spares it CPU.
  const flags = kind === "weir" ? nodeFlags : [];
  const child = pinned(0, [...flags, bundle.file, kind, JSON.stringify(options)]);
  const { port } = (await events(child).event("listening")) as { port: number };
  return {
    child,
    port,
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function startLoad(options: LoadOptions): Events {
  return events(
    pinned(1, [fileURLToPath(new URL("./load.ts", import.meta.url)), JSON.stringify(options)]),
  );
}

/** On one processor where the machine has several and taskset. */
function pinned(cpu: number, args: readonly string[]): ChildProcess {
  const canPin = spawnSync("taskset", ["-c", String(cpu), "true"]).status === 0;
  const command = [process.execPath, ...args];
  const [file, ...rest] = canPin ? ["taskset", "-c", String(cpu), ...command] : command;
  return spawn(file!, rest, { stdio: ["ignore", "pipe", "inherit"] });
}

type Events = { event(name: string): Promise<unknown> };

/** Lines of JSON that a child prints, waited for by name. */
function events(child: ChildProcess): Events {
  const waiting = new Map<string, PromiseWithResolvers<unknown>>();
  const waitFor = (name: string): PromiseWithResolvers<unknown> => {
    const known = waiting.get(name) ?? Promise.withResolvers<unknown>();
    waiting.set(name, known);
    return known;
  };
  createInterface({ input: child.stdout! }).on("line", (line) => {
    const event = JSON.parse(line) as { event: string };
    waitFor(event.event).resolve(event);
  });
  child.once("exit", (code) => {
    for (const { reject } of waiting.values())
      reject(new Error(`a bench process ended with ${code}`));
  });
  return { event: (name) => waitFor(name).promise };
}

function cpuMicros(child: ChildProcess): number {
  const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_US;
}

function memoryOf(child: ChildProcess): { readonly rss: number; readonly anon: number } {
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  const megabytes = (name: string): number =>
    rounded((Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1024) / 1e6);
  return { rss: megabytes("VmRSS"), anon: megabytes("RssAnon") };
}

// --- figures --------------------------------------------------------------------------------------

function medianSample(samples: readonly Sample[]): Sample {
  const of = (name: keyof Sample): number => rounded(median(samples.map((sample) => sample[name])));
  return {
    cpu_us_per_msg: of("cpu_us_per_msg"),
    msgs_per_s: of("msgs_per_s"),
    puback_p99_ms: of("puback_p99_ms"),
    rss_mb: of("rss_mb"),
    rss_anon_mb: of("rss_anon_mb"),
    load_cpu_us_per_msg: of("load_cpu_us_per_msg"),
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
