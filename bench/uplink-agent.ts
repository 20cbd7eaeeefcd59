/**
 * The whole agent for the alerts of the uplink benchmark: defaults, no HTTP, a window and a control
 * chart over every reading, Kafka as its only uplink.
 *
 *   node uplink-agent.js '{"directory":"/tmp/x","bootstrap":"127.0.0.1:9092","agent":"a",...}'
 *
 * Prints {"event":"listening","port":n} and lives until SIGTERM.
 */

import type { PipelineSpec, WhereSpec } from "../src/edge-ops/spec.ts";
import { configOf, sourceDefaults } from "../src/agent/config/config.ts";
import { kafkaUplinkDefaults } from "../src/agent/config/kafka-config.ts";
import { startAgent } from "../src/agent/start.ts";
import type { DrainOptions } from "./uplink-drain.ts";

export type AgentOptions = Pick<DrainOptions, "bootstrap" | "directory" | "agent" | "topics">;

const everything: WhereSpec = { sources: [], metrics: [], tags: {} };

const pipelines: readonly PipelineSpec[] = [
  {
    kind: "window",
    name: "ten-seconds",
    where: everything,
    key: ["device", "line", "metric"],
    window: { kind: "tumbling", sizeMs: 10_000 },
    aggregate: ["count", "sum", "mean", "min", "max", "variance"],
    allowedLatenessMs: 0,
  },
  {
    // The statistic is the reading itself, so that one outlier is an alert and is over at once.
    kind: "ewma",
    name: "outliers",
    where: everything,
    key: [],
    lambda: 1,
    sigmas: 8,
    warmup: 20,
    baseline: 0.02,
    sigmaMin: 0.05,
    rearm: 5,
  },
];

const { directory, bootstrap, agent, topics } = JSON.parse(process.argv[2] ?? "{}") as AgentOptions;

const started = await startAgent(
  configOf({
    agent,
    dataDirectory: directory,
    sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{line}/{device}/state"] }],
    pipelines,
    uplinks: [
      {
        ...kafkaUplinkDefaults,
        brokers: [bootstrap],
        topics: {
          ...kafkaUplinkDefaults.topics,
          summaries: topics.data,
          alerts: topics.alerts,
          cursor: topics.cursor,
        },
      },
    ],
  }),
  {
    onFailed: (fault) => {
      console.error(fault.message);
      process.exit(1);
    },
  },
);
process.stdout.write(`${JSON.stringify({ event: "listening", port: started.mqttPort })}\n`);
process.once("SIGTERM", () => void started.close().then(() => process.exit(0)));
