/**
 * What does the one file cost: on disk, until it listens, idle, and with a thousand and ten thousand
 * series? Packed here (tools/package), then started as on a gateway, `weir run -c weir.yaml`: the listener,
 * HTTP, a window of ten seconds over all, a file uplink; no Kafka.
 */

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { constants, zstdCompressSync } from "node:zlib";
import { version } from "../src/agent/version.ts";
import { freePorts } from "../test/support/ports.ts";
import { root } from "../tools/package/bundle.ts";
import { type Architecture, architectures } from "../tools/package/parts.ts";
import type { LoadOptions } from "./load.ts";
import {
  bundleProcesses,
  type Bundles,
  cpuMicros,
  median,
  rounded,
  rssMb,
  start,
} from "./process.ts";

export type PackedOptions = {
  /** Whose files are measured; that of this machine is started as well. */
  readonly architectures: readonly Architecture[];
  readonly zstdLevel: number;
  readonly starts: number;
  readonly idleMs: number;
  /** A reading a second of each. */
  readonly series: readonly number[];
  readonly loadMs: number;
};

export const defaults: PackedOptions = {
  architectures,
  zstdLevel: 19,
  starts: 7,
  idleMs: 10_000,
  series: [1_000, 10_000],
  loadMs: 40_000,
};

export const tinyOptions: PackedOptions = {
  architectures: [process.arch as Architecture],
  zstdLevel: 1,
  starts: 1,
  idleMs: 100,
  series: [200],
  loadMs: 2_000,
};

export type PackedResult = {
  /** Decimal megabytes, by architecture. */
  readonly size_mb: Readonly<Record<string, { readonly raw: number; readonly zstd: number }>>;
  /** From the start of the process until it listens, medians. */
  readonly start_ms: { readonly wall: number; readonly cpu: number };
  readonly idle_mb: Memory;
  readonly loaded_mb: Readonly<Record<string, Memory>>;
};

/** RSS, and what of it is no file's: that cannot be given back to the system. */
type Memory = { readonly rss: number; readonly anonymous: number };

export async function runPacked(options: PackedOptions): Promise<PackedResult> {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-bench-packed-"));
  const words = options.architectures.flatMap((name) => ["--arch", name]);
  execFileSync(
    process.execPath,
    [join(root, "tools/package/main.ts"), "--out", folder.path, ...words],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const fileOf = (name: string): string => join(folder.path, `weir-${version}-linux-${name}`);
  const sizes = options.architectures.map((name) => [name, sizeOf(fileOf(name), options)] as const);
  forgetCached(fileOf(process.arch));
  using bundles = await bundleProcesses(["load"]);
  const of: Stage = { file: fileOf(process.arch), folder: folder.path, bundles };
  const starts = [];
  for (let n = 0; n < options.starts; n++) starts.push(await measureStart(of));
  const loaded: [string, Memory][] = [];
  for (const series of options.series) {
    loaded.push([String(series), await measureLoaded(of, { series, loadMs: options.loadMs })]);
  }
  return {
    size_mb: Object.fromEntries(sizes),
    start_ms: {
      wall: median(starts.map(({ wall }) => wall)),
      cpu: median(starts.map(({ cpu }) => cpu)),
    },
    idle_mb: await measureIdle(of, options.idleMs),
    loaded_mb: Object.fromEntries(loaded),
  };
}

function sizeOf(file: string, { zstdLevel }: PackedOptions): { raw: number; zstd: number } {
  const bytes = readFileSync(file);
  const params = { [constants.ZSTD_c_compressionLevel]: zstdLevel };
  const zstd = zstdCompressSync(bytes, { params }).length;
  return { raw: rounded(bytes.length / 1e6), zstd: rounded(zstd / 1e6) };
}

/**
 * As after a boot: of a file that was just written the system has large pieces in its cache, all of which
 * then count as resident (40 MB more).
 */
export function forgetCached(file: string): void {
  execFileSync("sync", [file]);
  execFileSync("dd", [`if=${file}`, "iflag=nocache", "count=0", "status=none"]);
}

// ---- the file, running ----

type Stage = { readonly file: string; readonly folder: string; readonly bundles: Bundles<"load"> };

type Running = AsyncDisposable & { readonly pid: number; readonly port: number };

async function measureStart(of: Stage): Promise<{ readonly wall: number; readonly cpu: number }> {
  const beganAt = performance.now();
  await using running = await started(of);
  return { wall: Math.round(performance.now() - beganAt), cpu: cpuMicros(running.pid) / 1_000 };
}

async function measureIdle(of: Stage, idleMs: number): Promise<Memory> {
  await using running = await started(of);
  await sleep(idleMs);
  return memoryOf(running.pid);
}

/** Looked at in the end, when the tables of names are full. */
async function measureLoaded(
  of: Stage,
  { series, loadMs }: { readonly series: number; readonly loadMs: number },
): Promise<Memory> {
  await using running = await started(of);
  const connections = Math.min(200, series);
  const load: LoadOptions = {
    port: running.port,
    connections,
    window: 200,
    seriesPerConnection: series / connections,
    warmupMs: loadMs / 2,
    measureMs: loadMs / 2,
    rate: series,
  };
  await using loading = start([], of.bundles.file("load"), [JSON.stringify(load)]);
  await loading.event("done");
  return memoryOf(running.pid);
}

async function started({ file, folder }: Stage): Promise<Running> {
  const own = mkdtempIn(folder);
  const [port = 0, httpPort = 0] = await freePorts(2);
  const config = join(own, "weir.yaml");
  writeFileSync(config, configText({ port, httpPort }));
  const child = spawn(file, ["run", "--json", "-c", config], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const isUp = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    if ((JSON.parse(line) as { readonly event: string }).event === "started") isUp.resolve();
  });
  void ended.then(([code]) => isUp.reject(new Error(`the agent ended with ${String(code)}`)));
  await isUp.promise;
  return {
    pid: child.pid!,
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

let folders = 0;

function mkdtempIn(folder: string): string {
  const own = join(folder, `run-${folders++}`);
  mkdirSync(own);
  return own;
}

function configText({
  port,
  httpPort,
}: {
  readonly port: number;
  readonly httpPort: number;
}): string {
  return `version: 1
agent: bench
data: ./data
mqtt: { host: 127.0.0.1, port: ${port} }
http: { host: 127.0.0.1, port: ${httpPort} }
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
  - file: { directory: ./data/out }
`;
}

function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const anonymous = (Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) * 1_024) / 1e6;
  return { rss: rssMb(pid), anonymous: rounded(anonymous) };
}

/** For people. */
export function textOf({
  size_mb: size,
  start_ms,
  idle_mb: idle,
  loaded_mb,
}: PackedResult): string {
  const memory = ({ rss, anonymous }: Memory): string =>
    `${rss} MB RSS, ${anonymous} of it anonymous`;
  return [
    ...Object.entries(size).map(
      ([name, { raw, zstd }]) => `${name}: ${raw} MB, ${zstd} MB as zstd`,
    ),
    `until it listens: ${start_ms.cpu} ms CPU, ${start_ms.wall} ms`,
    `idle: ${memory(idle)}`,
    ...Object.entries(loaded_mb).map(([series, loaded]) => `${series} series: ${memory(loaded)}`),
  ].join("\n");
}
