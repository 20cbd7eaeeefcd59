/**
 * A control group of its own with a limit on memory, v1 or v2, in which a program is started; gone when
 * disposed. Making one takes root.
 */

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type MemoryGroup = Disposable & {
  readonly version: 1 | 2;
  /** Words to put before a command line, so that the program starts in the group. */
  readonly enter: readonly [string, ...string[]];
  /** Now, bytes. */
  usage(): GroupUsage;
  /** Processes the kernel has killed for the limit. */
  killed(): number;
};

export type GroupUsage = {
  readonly all: number;
  /** What no file has. */
  readonly anonymous: number;
  /** Pages of files, dropped when something else needs the room. */
  readonly file: number;
  /** The kernel's own for its processes. */
  readonly kernel: number;
  /** Pages of files that had to be read since the beginning. */
  readonly majorFaults: number;
};

const root = "/sys/fs/cgroup";

/** Of the process itself, where a new one is made below it. */
function ownGroup(controller: string): string {
  const lines = readFileSync("/proc/self/cgroup", "utf8").split("\n");
  const line = lines.find((each) => each.split(":")[1] === controller);
  return line?.split(":").slice(2).join(":") ?? "/";
}

/** Or why there is none. */
export function makeMemoryGroup(
  limitBytes: number,
):
  | { readonly kind: "group"; readonly group: MemoryGroup }
  | { readonly kind: "none"; readonly reason: string } {
  if (process.platform !== "linux") return none("control groups are Linux's");
  if (process.getuid?.() !== 0) return none("making a control group takes root");
  const isFirst = existsSync(join(root, "memory/memory.limit_in_bytes"));
  const above = isFirst ? join(root, "memory", ownGroup("memory")) : root;
  const path = join(existsSync(above) ? above : root, `weir-bench-${process.pid}`);
  try {
    // In v2 groups below the root have what their parent hands on.
    if (!isFirst) writeFileSync(join(root, "cgroup.subtree_control"), "+memory");
    mkdirSync(path);
  } catch (error) {
    return none(error instanceof Error ? error.message : String(error));
  }
  try {
    const limit = isFirst ? "memory.limit_in_bytes" : "memory.max";
    writeFileSync(join(path, limit), String(limitBytes));
    if (!isFirst && existsSync(join(path, "memory.swap.max"))) {
      writeFileSync(join(path, "memory.swap.max"), "0");
    }
    return { kind: "group", group: isFirst ? first(path) : second(path) };
  } catch (error) {
    rmdirSync(path);
    return none(error instanceof Error ? error.message : String(error));
  }
}

function none(reason: string): { readonly kind: "none"; readonly reason: string } {
  return { kind: "none", reason };
}

function first(path: string): MemoryGroup {
  const numbers = (file: string): ((name: string) => number) => numbersOf(join(path, file));
  return {
    ...common(path),
    version: 1,
    usage: () => {
      const stat = numbers("memory.stat");
      const bytes = (file: string): number => Number(readFileSync(join(path, file), "utf8"));
      return {
        all: bytes("memory.usage_in_bytes"),
        anonymous: stat("rss"),
        file: stat("cache"),
        kernel: bytes("memory.kmem.usage_in_bytes"),
        majorFaults: stat("pgmajfault"),
      };
    },
    killed: () => numbers("memory.oom_control")("oom_kill"),
  };
}

function second(path: string): MemoryGroup {
  const numbers = (file: string): ((name: string) => number) => numbersOf(join(path, file));
  return {
    ...common(path),
    version: 2,
    usage: () => {
      const stat = numbers("memory.stat");
      return {
        all: Number(readFileSync(join(path, "memory.current"), "utf8")),
        anonymous: stat("anon"),
        file: stat("file"),
        kernel: stat("kernel"),
        majorFaults: stat("pgmajfault"),
      };
    },
    killed: () => numbers("memory.events")("oom_kill"),
  };
}

function common(path: string): Pick<MemoryGroup, "enter"> & Disposable {
  const procs = join(path, "cgroup.procs");
  return {
    enter: ["sh", "-c", `echo $$ > ${procs} && exec "$@"`, "sh"],
    [Symbol.dispose]: () => rmdirSync(path),
  };
}

/** A file of lines of a name and a number. */
function numbersOf(path: string): (name: string) => number {
  const lines = readFileSync(path, "utf8").split("\n");
  const entries = lines.map((line) => line.split(" "));
  return (name) => Number(entries.find(([each]) => each === name)?.[1] ?? 0);
}
