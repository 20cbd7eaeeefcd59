/**
 * The processes of a benchmark: each a bundle, as what ships, with the flags it is to have, on one
 * processor where the machine has several and taskset. They print lines of JSON.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** The bundles, gone when disposed; `name` is that of the entry's file without its ending. */
export type Bundles<Name extends string = string> = Disposable & { file(name: Name): string };

const CLOCK_TICK_US = 10_000;

/** Native code and the Kafka client stay in node_modules, so the bundles lie there too. */
export async function bundleProcesses<Name extends string>(
  names: readonly Name[],
): Promise<Bundles<Name>> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const directory = mkdtempSync(join(root, "node_modules", ".bench-"));
  await build({
    entryPoints: names.map((name) => fileURLToPath(new URL(`./${name}.ts`, import.meta.url))),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    outdir: directory,
    outExtension: { ".js": ".mjs" },
    splitting: true,
    minify: true,
    external: ["lmdb", "@platformatic/kafka"],
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "error",
  });
  return {
    file: (name) => join(directory, `${name}.mjs`),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A process that prints {"event": name, ...}. */
export type Running = AsyncDisposable & {
  readonly child: ChildProcess;
  /** The first such line; rejects when the process ends without it. */
  event(name: string): Promise<unknown>;
  /** A line on its standard input. */
  say(line: string): void;
};

export function start(
  flags: readonly string[],
  file: string,
  args: readonly string[],
  { processor = 0 }: { readonly processor?: number } = {},
): Running {
  const child = pinned(processor, [...flags, file, ...args]);
  const lines: { readonly event: string }[] = [];
  const waiting = new Map<string, PromiseWithResolvers<unknown>>();
  createInterface({ input: child.stdout! }).on("line", (text) => {
    const line = JSON.parse(text) as { event: string };
    lines.push(line);
    waiting.get(line.event)?.resolve(line);
  });
  const ended = once(child, "close");
  void ended.then(([code]) => {
    for (const { reject } of waiting.values()) {
      reject(new Error(`a process of the benchmark ended with ${String(code)}`));
    }
  });
  return {
    child,
    say: (line) => child.stdin!.write(`${line}\n`),
    event: (name) => {
      const line = lines.find(({ event }) => event === name);
      if (line !== undefined) return Promise.resolve(line);
      const wanted = Promise.withResolvers<unknown>();
      waiting.set(name, wanted);
      return wanted.promise;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function pinned(processor: number, args: readonly string[]): ChildProcess {
  const command = [process.execPath, ...args];
  const [file = "", ...rest] = canPin(processor)
    ? ["taskset", "-c", String(processor), ...command]
    : command;
  return spawn(file, rest, { stdio: ["pipe", "pipe", "inherit"] });
}

/** A process that runs already goes to one processor too, where that can be had. */
export function pin(pid: number, processor: number): void {
  if (canPin(processor)) spawnSync("taskset", ["-cp", String(processor), String(pid)]);
}

function canPin(processor: number): boolean {
  return spawnSync("taskset", ["-c", String(processor), "true"]).status === 0;
}

// ---- what the system says of a process ----

/** User and system time of all its threads so far. */
export function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_US;
}

export function rssMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return rounded((Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024) / 1e6);
}

// ---- figures ----

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
