/** The configuration of a simulated gateway, from its plan. */

import {
  type Config,
  commitDefaults,
  configOf,
  fileUplinkDefaults,
  sourceDefaults,
  storeDefaults,
} from "../../../src/agent/config/config.ts";
import { brokerDefaults } from "../../../src/agent/ingest/mqtt/subscriber/subscriber-config.ts";
import { kafkaUplinkDefaults } from "../../../src/agent/config/kafka-config.ts";
import { linkOf } from "../../../src/agent/config/link-config.ts";
import type { LinkPlan, Plan } from "../plan.ts";

export const logDirectory = "/data/log";
export const tablesDirectory = "/data/tables";
export const filesDirectory = "/out";
const template = "plant/{line}/{device}/state";
/** Where the site's broker is. */
export const siteHost = "site";
export const topics = {
  summaries: "weir.summaries",
  alerts: "weir.alerts",
  raw: "weir.raw",
  cursor: "weir.cursor",
};

/** What the pipelines are called, for the oracle. */
export const sessionsName = "bursts";
export const arrivalsName = "arrivals";
export const windowPipelines = [
  { name: "seconds", sizeMs: 1_000, slideMs: 1_000 },
  { name: "sliding", sizeMs: 4_000, slideMs: 2_000 },
] as const;

/** To which the outbox merges, of windows of 1 s and 5 s. */
export const outboxTiers: readonly number[] = [5_000, 10_000, 60_000];

/** What alerts ask for, in worlds where people ask for raw readings too. */
export const rawAround = { beforeMs: 2_000, afterMs: 500 } as const;

export function alertsAskIn({ asks = [] }: Plan): boolean {
  return asks.length > 0;
}

export function gatewayConfig(plan: Plan): Config {
  const { gateway, source, uplinks, site, devices } = plan;
  const hasSite = devices.some(({ via }) => via === "site");
  const { logBytesMax, commitWaitMs, ...commit } = gateway;
  const kafka = {
    ...kafkaUplinkDefaults,
    brokers: ["kafka:9092"],
    compression: "none" as const,
    lingerMs: uplinks.lingerMs,
    batchBytesMax: uplinks.batchBytesMax,
    recordBytesMax: uplinks.batchBytesMax,
    ...(uplinks.links.length === 0 ? {} : { via: uplinks.links.map(({ name }) => name) }),
    topics: {
      ...kafkaUplinkDefaults.topics,
      ...topics,
      partitions: 2,
      replication: 1,
      cursorPartitions: 2,
    },
  };
  return configOf({
    agent: "gw1",
    dataDirectory: "/data",
    brokers: hasSite
      ? [
          {
            ...brokerDefaults,
            name: siteHost,
            addresses: [{ url: `mqtt://${siteHost}`, connect: { host: siteHost, port: 1_883 } }],
            clientId: "gw1",
            level: site.version,
            qos: site.qos,
            receiveMax: site.receiveMax,
            keepAliveMs: 10_000,
            answerMs: 5_000,
            canary: site.hasCanary ? { topic: "weir/gw1/canary/site", everyMs: 5_000 } : undefined,
          },
        ]
      : [],
    sources: [
      { ...sourceDefaults, name: "plant", topics: [template], ...source },
      ...(hasSite
        ? [{ ...sourceDefaults, name: "site", topics: [template], broker: siteHost, ...source }]
        : []),
    ],
    pipelines: [...windowPipelines.map(windowPipeline), bursts, arrivals, outliers],
    rawAround: alertsAskIn(plan) ? { outliers: rawAround } : {},
    uplinks: [
      ...(uplinks.kafka ? [kafka] : []),
      ...(uplinks.files
        ? [{ ...fileUplinkDefaults, directory: filesDirectory, rotateBytes: 4_096 }]
        : []),
    ],
    links: uplinks.links.map(linkPolicy),
    commit: {
      ...commitDefaults,
      waitMs: commitWaitMs,
      intervalMs: commit.commitIntervalMs,
      checkpointMs: commit.checkpointMs,
      markerMs: 5_000,
    },
    logBytesMax,
    store: {
      ...storeDefaults,
      outboxBytes: plan.outbox.bytesMax,
      whenOutboxFull: plan.outbox.drops ? "drop" : "wait",
      keepMs: keepMsOf(gateway),
    },
    seriesMax: 40,
    devicesMax: 20,
    keysMax: 20,
  });

  function windowPipeline({
    name,
    sizeMs,
    slideMs,
  }: (typeof windowPipelines)[number]): Config["pipelines"][number] {
    return {
      kind: "window",
      name,
      where: { sources: [], metrics: ["v"], tags: {} },
      key: ["device"],
      window:
        (sizeMs as number) === slideMs
          ? { kind: "tumbling", sizeMs }
          : { kind: "sliding", sizeMs, slideMs },
      aggregate: ["count", "sum", "min", "max", "first", "last", "p95", "quantiles"],
      allowedLatenessMs: plan.latenessMs,
    };
  }
}

/** Worlds begin at 16:00 UTC. */
function linkPolicy({ name, address, ...link }: LinkPlan): Config["links"][number] {
  const { bandwidth, quotaBytes, closedMinutes, metered } = link;
  const beginsAt = 16 * 60;
  const days = [0, 1, 2, 3, 4, 5, 6];
  return linkOf({
    name,
    bandwidth,
    quota:
      quotaBytes === undefined ? undefined : { bytes: quotaBytes, per: "day", reserveBytes: 0 },
    windows: closedMinutes === 0 ? [] : [{ from: beginsAt + closedMinutes, to: beginsAt, days }],
    metered,
    localAddress: address,
    failMs: 5_000,
    retryMs: 20_000,
  });
}

function keepMsOf({ keepMs, keepsResolutions }: Plan["gateway"]): Config["store"]["keepMs"] {
  if (keepMs === 0) return new Map();
  const resolutions = keepsResolutions ? [0] : [0, ...storeDefaults.tiers];
  return new Map(resolutions.map((resolution, n) => [resolution, keepMs * (n + 1)]));
}

const bursts: Config["pipelines"][number] = {
  kind: "window",
  name: sessionsName,
  where: { sources: [], metrics: ["v"], tags: {} },
  key: ["device"],
  window: { kind: "session", gapMs: 2_000, maxMs: 30_000 },
  aggregate: ["count", "sum"],
  allowedLatenessMs: 10_000,
};

/** Readings without a time of their own. */
const arrivals: Config["pipelines"][number] = {
  kind: "window",
  name: arrivalsName,
  where: { sources: [], metrics: ["n"], tags: {} },
  key: ["device"],
  window: { kind: "tumbling", sizeMs: 5_000 },
  aggregate: ["count"],
  allowedLatenessMs: 60_000,
};

const outliers: Config["pipelines"][number] = {
  kind: "ewma",
  name: "outliers",
  where: { sources: [], metrics: ["t"], tags: {} },
  key: [],
  lambda: 0.3,
  sigmas: 6,
  warmup: 10,
  baseline: 0.02,
  sigmaMin: 0.1,
  rearm: 3,
};
