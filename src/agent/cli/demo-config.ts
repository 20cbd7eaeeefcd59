/**
 * The demo's configuration, in code: what a weir.yaml for the simulated plant would say. The topics
 * and payloads are documented in firmware-sim/README.md.
 */

import { join } from "node:path";
import type { PipelineSpec, WhereSpec } from "../../edge-ops/spec.ts";
import { kafkaUplinkDefaults } from "../config/kafka-config.ts";
import { type Config, configOf, fileUplinkDefaults, sourceDefaults } from "../config/config.ts";

const everything: WhereSpec = { sources: [], metrics: [], tags: {} };

const windows: PipelineSpec = {
  kind: "window",
  name: "ten-seconds",
  where: everything,
  key: ["device", "line", "metric", "site"],
  window: { kind: "tumbling", sizeMs: 10_000 },
  aggregate: ["count", "mean", "min", "max", "variance", "last"],
  allowedLatenessMs: 60_000,
};

const outliers: PipelineSpec = {
  kind: "ewma",
  name: "outliers",
  where: everything,
  key: [],
  lambda: 0.2,
  sigmas: 6,
  warmup: 20,
  baseline: 0.02,
  sigmaMin: 0.05,
  rearm: 5,
};

const modes: PipelineSpec = {
  kind: "frequency",
  name: "modes",
  where: { sources: [], metrics: ["mode"], tags: {} },
  key: ["line"],
  depth: 4,
  width: 1_024,
  heavyShare: 0.5,
  rareCount: 1,
  minimum: 500,
  periodMs: 3_600_000,
};

export type DemoOptions = {
  readonly dataDirectory: string;
  readonly mqttPort: number;
  readonly httpPort: number;
  /** Recorded motes instead of the simulated plant. */
  readonly real: boolean;
  /** "host:port" of a Kafka broker; without it results go to files. */
  readonly kafka: string | undefined;
};

export function demoConfig(options: DemoOptions): Config {
  const plant = {
    ...sourceDefaults,
    name: "plant",
    topics: [
      "plant/{line}/{device}/state",
      "plant/{line}/{device}/cbor",
      "plant/{line}/{device}/batch",
    ],
  };
  const meter = { ...sourceDefaults, name: "meter", topics: ["meter/{site}/{device}/{metric}"] };
  // The motes are replayed faster than life: their times run ahead of the gateway clock's pace.
  const motes = {
    ...sourceDefaults,
    name: "motes",
    topics: ["mote/{site}/{device}/state"],
    idleMs: 5_000,
  };
  return configOf({
    agent: "demo",
    dataDirectory: options.dataDirectory,
    mqtt: { host: "127.0.0.1", port: options.mqttPort, anonymous: true, users: [] },
    http: { host: "127.0.0.1", port: options.httpPort },
    sources: options.real ? [motes] : [plant, meter],
    pipelines: options.real ? [realWindows, realOutliers] : [windows, outliers, modes],
    uplinks: [
      options.kafka === undefined
        ? { ...fileUplinkDefaults, directory: join(options.dataDirectory, "upstream") }
        : { ...kafkaUplinkDefaults, brokers: [options.kafka] },
    ],
  });
}

const realWindows: PipelineSpec = {
  ...windows,
  name: "minute",
  key: ["device", "metric", "site"],
  window: { kind: "tumbling", sizeMs: 60_000 },
};

const realOutliers: PipelineSpec = { ...outliers, name: "outliers", sigmas: 4, sigmaMin: 0.1 };
