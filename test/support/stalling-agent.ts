/**
 * An agent whose disk can be made to stall: `kill -USR2` stops every sync of the log for the given
 * time. Run as a process of its own, so that its memory is its own.
 *
 *   node stalling-agent.ts '{"directory":"/tmp/x","stallMs":30000}'
 */

import { join } from "node:path";
import { configOf, fileUplinkDefaults, sourceDefaults } from "../../src/agent/config/config.ts";
import { systemDisk } from "../../src/agent/doors/disk.ts";
import { openAgentOnDoors } from "../../src/agent/start.ts";
import { secondsPipeline } from "./pipelines.ts";
import { delayedSync } from "./delayed-sync.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as { directory: string; stallMs: number };
let stalledUntil = 0;
process.on("SIGUSR2", () => {
  stalledUntil = performance.now() + options.stallMs;
});

const agent = await openAgentOnDoors(
  configOf({
    agent: "stalling",
    dataDirectory: join(options.directory, "data"),
    sources: [
      { ...sourceDefaults, name: "plant", topics: ["plant/{line}/{device}/state"], idleMs: 2_000 },
    ],
    pipelines: [secondsPipeline],
    uplinks: [{ ...fileUplinkDefaults, directory: join(options.directory, "out") }],
  }),
  {
    disk: delayedSync(systemDisk, () => stalledUntil - performance.now()),
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
