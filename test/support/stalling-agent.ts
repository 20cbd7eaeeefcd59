/**
 * An agent whose disk can be made to stall: `kill -USR2` stops every sync of the log for the given
 * time. Run as a process of its own, so that its memory is its own.
 *
 *   node stalling-agent.ts '{"directory":"/tmp/x","stallMs":30000}'
 */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { boundDefaults, commitDefaults, sourceDefaults } from "../../src/agent/config/config.ts";
import { systemDisk } from "../../src/agent/doors/disk.ts";
import { openAgentOnDoors } from "../../src/agent/start.ts";
import { limits } from "../../src/core/limits.ts";
import type { Disk } from "../../src/core/doors.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as { directory: string; stallMs: number };
let stalledUntil = 0;
process.on("SIGUSR2", () => {
  stalledUntil = performance.now() + options.stallMs;
});

const agent = await openAgentOnDoors(
  {
    agent: "stalling",
    dataDirectory: join(options.directory, "data"),
    mqtt: { host: "127.0.0.1", port: 0, anonymous: true, users: [] },
    http: undefined,
    sources: [
      { ...sourceDefaults, name: "plant", topics: ["plant/{line}/{device}/state"], idleMs: 2_000 },
    ],
    pipelines: [
      {
        kind: "window",
        name: "seconds",
        where: { sources: [], metrics: ["v"], tags: {} },
        key: ["device", "line", "metric"],
        window: { kind: "tumbling", sizeMs: 1_000 },
        aggregate: ["count"],
        allowedLatenessMs: 10_000,
      },
    ],
    uplinks: [
      {
        kind: "file",
        directory: join(options.directory, "out"),
        rotateBytes: limits.uplinkFileBytesMax,
        rotateMs: 3_600_000,
      },
    ],
    commit: commitDefaults,
    ...boundDefaults,
  },
  {
    disk: stallingDisk(systemDisk),
    onFailed: (fault) => {
      throw fault;
    },
  },
);
console.log(JSON.stringify({ event: "started", port: agent.mqttPort }));
process.once("SIGTERM", () => {
  void agent.close().then(() => {
    console.log(JSON.stringify({ event: "ended", ledger: agent.ledger() }));
  });
});

function stallingDisk(disk: Disk): Disk {
  return {
    ...disk,
    async open(path, openOptions) {
      const file = await disk.open(path, openOptions);
      return {
        read: (target, offset) => file.read(target, offset),
        write: (source, offset) => file.write(source, offset),
        async sync() {
          const leftMs = stalledUntil - performance.now();
          if (leftMs > 0) await sleep(leftMs);
          await file.sync();
        },
        size: () => file.size(),
        truncate: (size) => file.truncate(size),
        close: () => file.close(),
      };
    },
  };
}
