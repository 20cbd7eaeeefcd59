/**
 * The server of the fairness benchmark: the whole agent, one window pipeline, `latency: low` unless
 * told otherwise, so that a wait shows. A thousand users whose passwords are hashed at full cost may
 * log in; other clients are anonymous.
 *
 *   node bench/fairness-server.ts '{"directory":"/tmp/x","waitMs":0,"syncMs":2,"users":1000}'
 */

import { configOf, sourceDefaults } from "../src/agent/config/config.ts";
import { systemDisk } from "../src/agent/doors/disk.ts";
import { systemHashing } from "../src/agent/doors/hashing.ts";
import { systemRandom } from "../src/agent/doors/random.ts";
import { hashPassword, passwordHashText } from "../src/agent/ingest/mqtt/access/password-hash.ts";
import type { Disk } from "../src/core/doors.ts";
import { openAgentOnDoors } from "../src/agent/start.ts";
import { commitDefaults } from "../src/agent/config/config.ts";

export type FairnessServerOptions = {
  readonly directory: string;
  readonly waitMs: number;
  /** A sync of the log takes so long, instead of what the disk takes. */
  readonly syncMs: number;
  readonly users: number;
};

const options = JSON.parse(process.argv[2] ?? "{}") as FairnessServerOptions;

// One hash for all: another name is another user to the agent, which hashes for each.
const passwordHash = passwordHashText(
  await hashPassword(Buffer.from("secret"), { hashing: systemHashing, random: systemRandom() }),
);
const disk: Disk = {
  ...systemDisk,
  open: async (path, how) => {
    const file = await systemDisk.open(path, how);
    const sync = (): Promise<void> => new Promise((done) => setTimeout(done, options.syncMs));
    return { ...file, sync };
  },
};
const agent = await openAgentOnDoors(
  configOf({
    agent: "bench",
    dataDirectory: options.directory,
    mqtt: {
      host: "127.0.0.1",
      port: 0,
      anonymous: true,
      users: Array.from({ length: options.users }, (_, n) => ({ name: `user-${n}`, passwordHash })),
    },
    sources: [
      {
        ...sourceDefaults,
        name: "plant",
        topics: ["plant/{line}/{device}/state"],
        ignore: ["unit", "status", "rssi", "fw", "b"],
        futureMs: Number.MAX_SAFE_INTEGER,
      },
    ],
    pipelines: [
      {
        kind: "window",
        name: "ten-seconds",
        where: { sources: [], metrics: [], tags: {} },
        key: ["device", "line", "metric"],
        window: { kind: "tumbling", sizeMs: 10_000 },
        aggregate: ["count", "mean", "min", "max"],
        allowedLatenessMs: 0,
      },
    ],
    commit: { ...commitDefaults, waitMs: options.waitMs },
  }),
  {
    disk,
    onFailed: (fault) => {
      console.error(fault.message);
      process.exit(1);
    },
  },
);
process.stdout.write(`${JSON.stringify({ event: "listening", port: agent.mqttPort })}\n`);
process.on("SIGUSR2", () => {
  process.stdout.write(`${JSON.stringify({ event: "status", status: agent.status().mqtt })}\n`);
});
process.once("SIGTERM", () => void agent.close().then(() => process.exit(0)));
