/**
 * Memory as Linux sees it: what a control group allows, what the process has, and Node's collector.
 *
 *   v2   /sys/fs/cgroup/<group>/memory.max, memory.high     "max" or bytes, of each group up to the root
 *   v1   /sys/fs/cgroup/memory/<group>/memory.limit_in_bytes     close to 2^63 where there is none
 *
 * In a container the group's own folder is often mounted as the root of them; then the path in
 * /proc/self/cgroup is not there, and the root is what counts.
 */

import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { MemoryCeiling } from "../memory/memory-plan.ts";

export type MemoryFiles = {
  /** Default /proc and /sys/fs/cgroup. */
  readonly proc?: string;
  readonly groups?: string;
  /** Of the machine; default as the system says. */
  readonly totalBytes?: number;
  /** Whose groups; default this process. */
  readonly pid?: number;
};

/** The lowest limit of a process's groups; undefined where none is below what the machine has. */
export function groupCeiling(files: MemoryFiles = {}): MemoryCeiling | undefined {
  const { proc = "/proc", groups = "/sys/fs/cgroup", totalBytes = totalmem(), pid } = files;
  const memberships = textOf(join(proc, String(pid ?? "self"), "cgroup")) ?? "";
  const found = limitFiles(memberships, groups).flatMap((from) => {
    const bytes = Number(textOf(from)?.trim() || Number.NaN); // "max" is none
    return bytes < totalBytes ? [{ bytes, from }] : [];
  });
  return found.toSorted((a, b) => a.bytes - b.bytes)[0];
}

/** Of every group that the process is in, itself and those above it. */
function limitFiles(memberships: string, groups: string): readonly string[] {
  const files: string[] = [];
  for (const line of memberships.split("\n")) {
    const [hierarchy, controllers = "", path] = line.split(/:(.*?):/);
    if (path === undefined) continue;
    const isMemory = controllers.split(",").includes("memory");
    if (hierarchy !== "0" && !isMemory) continue;
    const root = isMemory ? join(groups, "memory") : groups;
    const names = isMemory ? ["memory.limit_in_bytes"] : ["memory.max", "memory.high"];
    for (let at = path; ; at = join(at, "..")) {
      files.push(...names.map((name) => join(root, at, name)));
      if (at === "/" || at === ".") break;
    }
  }
  return files;
}

/** Of this process, what no file has: it cannot be given back. undefined where Linux does not say. */
export function anonymousBytes(proc: string = "/proc"): number | undefined {
  const match = /^RssAnon:\s+(\d+) kB/m.exec(textOf(join(proc, "self/status")) ?? "");
  return match === null ? undefined : Number(match[1]) * 1_024;
}

let collector: (() => void) | undefined;

/** Collects all garbage there is, at once. */
export function collectGarbage(): void {
  collector ??= makeCollector();
  collector();
}

/** V8 gives its collector to contexts that are made while the flag is set. */
function makeCollector(): () => void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  setFlagsFromString("--no-expose-gc");
  return collect;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // it is not Linux, or not mounted: nobody says so
  }
}
