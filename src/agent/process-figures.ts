/** What the process takes of the machine. */

import type { Status } from "./status.ts";

export function processMemory(): Status["memory"] {
  const { rss, heapUsed } = process.memoryUsage();
  return { rssBytes: rss, heapUsedBytes: heapUsed };
}

export function processCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
