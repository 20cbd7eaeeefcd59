/**
 * The processes of the uplink benchmark: each a bundle, as what ships, with the flags it is to have,
 * on the first processor where the machine has several and taskset. They print lines of JSON.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export type BundleName = "uplink-drain" | "uplink-agent";

/** The bundles, gone when disposed. */
export type Bundles = Disposable & { file(name: BundleName): string };

/** Native code and the Kafka client stay in node_modules, so the bundles lie there too. */
export async function bundleProcesses(): Promise<Bundles> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const directory = mkdtempSync(join(root, "node_modules", ".bench-"));
  const names: readonly BundleName[] = ["uplink-drain", "uplink-agent"];
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
};

export function start(flags: readonly string[], file: string, args: readonly string[]): Running {
  const child = onFirstProcessor([...flags, file, ...args]);
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

function onFirstProcessor(args: readonly string[]): ChildProcess {
  const canPin = spawnSync("taskset", ["-c", "0", "true"]).status === 0;
  const command = [process.execPath, ...args];
  const [file = "", ...rest] = canPin ? ["taskset", "-c", "0", ...command] : command;
  return spawn(file, rest, { stdio: ["ignore", "pipe", "inherit"] });
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
