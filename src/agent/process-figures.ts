/** What the process takes of the machine. */

import type { MemoryStatus } from "./memory/memory-watch.ts";
import type { Status } from "./status.ts";

export function processFigures(
  ceiling: MemoryStatus | undefined,
): Pick<Status, "memory" | "cpuSeconds"> {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    memory: { rssBytes: rss, heapUsedBytes: heapUsed, ceiling },
    cpuSeconds: (user + system) / 1e6,
  };
}
