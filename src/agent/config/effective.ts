/** From the file's shape to the effective configuration: names as in the code, paths absolute. */

import { resolve } from "node:path";
import type { PipelineSpec, WhereSpec, WindowSpec } from "../../edge-ops/spec.ts";
import { assert } from "../../core/assert.ts";
import { sortedTags } from "../../core/catalog.ts";
import { accessConfig, quotasConfig } from "./access-config.ts";
import { brokerConfig } from "./broker-config.ts";
import {
  type CommitConfig,
  type Config,
  commitDefaults,
  rowsEagerFor,
  type MqttConfig,
  type OwnTopicsConfig,
  type UplinkConfig,
} from "./config.ts";
import type {
  CommitSection,
  ConfigFile,
  MqttSection,
  PipelineSection,
  SourceSection,
  UplinkSection,
  WindowSection,
} from "./config-file.ts";
import { httpConfig } from "./http-config.ts";
import { listenAddress } from "./listener-config.ts";
import { bridgeUplinkConfig } from "./bridge-config.ts";
import { linkPolicy } from "./link-config.ts";
import { kafkaUplinkConfig } from "./kafka-config.ts";
import { postUplinkConfig } from "./post-config.ts";
import { remoteConfig } from "./remote-config.ts";
import { storeConfig } from "./store-config.ts";

/** `file` has passed all checks; relative paths are relative to `directory`. */
export function effectiveConfig(file: ConfigFile, directory: string): Config {
  const { limits } = file;
  return {
    agent: file.agent,
    dataDirectory: resolve(directory, file.data),
    mqtt: mqttOf(file.mqtt, directory),
    ownTopics: ownTopicsOf(file.mqtt),
    http: file.http === "off" ? undefined : httpConfig(file.http, directory),
    brokers: file.brokers.map((broker) => brokerConfig(broker, { agent: file.agent, directory })),
    sources: file.sources.map(sourceOf),
    pipelines: file.pipelines.map(pipelineOf),
    rawAround: Object.fromEntries(
      file.pipelines.flatMap(({ name, raw }) =>
        raw === undefined ? [] : [[name, { beforeMs: raw.before, afterMs: raw.after }]],
      ),
    ),
    uplinks: file.uplinks.map((uplink) => uplinkOf(uplink, { agent: file.agent, directory })),
    links: file.links.map(linkPolicy),
    commit: commitOf(file.commit),
    store: storeConfig(file.store),
    logBytesMax: limits.log,
    duplicateRing: limits.duplicateRing,
    seriesMax: limits.series,
    devicesMax: limits.devices,
    keysMax: limits.keys,
    memory: limits.memory,
    ...(file.remote === undefined ? {} : { remote: remoteConfig(file.remote, file.agent) }),
  };
}

function uplinkOf(
  { file, kafka, mqtt, http, via }: UplinkSection,
  where: { readonly agent: string; readonly directory: string },
): UplinkConfig {
  const { directory } = where;
  const over = via === undefined ? {} : { via };
  if (mqtt !== undefined) return { ...bridgeUplinkConfig(mqtt, where), ...over };
  if (kafka !== undefined) return { ...kafkaUplinkConfig(kafka, directory), ...over };
  if (http !== undefined) return { ...postUplinkConfig(http, directory), ...over };
  assert(file !== undefined, "a checked uplink has a kind");
  return {
    kind: "file",
    directory: resolve(directory, file.directory),
    rotateBytes: file.rotateBytes,
    rotateMs: file.rotateAge,
  };
}

function mqttOf(mqtt: MqttSection, directory: string): MqttConfig {
  const { host, port, listeners } = mqtt;
  return {
    host,
    port,
    ...(listeners.length === 0
      ? {}
      : { listeners: listeners.map((listener) => listenAddress(listener, directory)) }),
    ...accessConfig(mqtt, directory),
    quotas: quotasConfig(mqtt),
  };
}

function ownTopicsOf({ publish }: MqttSection): OwnTopicsConfig {
  const { summaries, alerts, status, homeAssistant } = publish;
  const statusMs = status === "off" ? undefined : status;
  return { summaries, alerts, statusMs, ...(homeAssistant && { homeAssistant }) };
}

function commitOf(section: CommitSection): CommitConfig {
  const { wait, waitMax, latency, interval, checkpoint, markers } = section;
  const waitMs = wait ?? (latency === "low" ? 0 : commitDefaults.waitMs);
  return {
    waitMs,
    rowsEager: rowsEagerFor(waitMs),
    intervalMs: interval,
    checkpointMs: checkpoint,
    markerMs: markers,
    ...(waitMax === undefined ? {} : { waitMsMax: waitMax }),
  };
}

function sourceOf(source: SourceSection): Config["sources"][number] {
  const { name, broker, topics, format, time, sequence, ignore, value } = source;
  return {
    name,
    ...(broker === undefined ? {} : { broker }),
    topics,
    format,
    time: time.fields,
    timeRequired: time.required,
    ...(time.timezone === undefined ? {} : { timezone: time.timezone }),
    sequence,
    ignore,
    value,
    disorderMs: source.disorder,
    idleMs: source.idle,
    futureMs: source.future,
  };
}

function pipelineOf(pipeline: PipelineSection): PipelineSpec {
  const { name, window, ewma, frequency } = pipeline;
  const base = { name, where: whereOf(pipeline), key: [...(pipeline.key ?? [])].sort() };
  if (window !== undefined) {
    return {
      kind: "window",
      ...base,
      window: windowOf(window),
      aggregate: pipeline.aggregate ?? ["count", "mean", "min", "max"],
      allowedLatenessMs: pipeline.allowedLateness ?? 0,
    };
  }
  if (ewma !== undefined) return { kind: "ewma", ...base, ...ewma };
  assert(frequency !== undefined, "a checked pipeline has a computation");
  const { heavy, rare, minimum, period, depth, width } = frequency;
  return {
    kind: "frequency",
    ...base,
    depth,
    width,
    heavyShare: heavy,
    rareCount: rare,
    minimum,
    periodMs: period,
  };
}

/** Tags in the order of their names, so that the order in the file means nothing. */
function whereOf({ where: { sources, metrics, tags } }: PipelineSection): WhereSpec {
  return { sources, metrics, tags: Object.fromEntries(sortedTags(Object.entries(tags))) };
}

function windowOf({ tumbling, sliding, every, session, max }: WindowSection): WindowSpec {
  if (tumbling !== undefined) return { kind: "tumbling", sizeMs: tumbling };
  if (sliding !== undefined && every !== undefined) {
    return { kind: "sliding", sizeMs: sliding, slideMs: every };
  }
  assert(session !== undefined && max !== undefined, "a checked window has a kind");
  return { kind: "session", gapMs: session, maxMs: max };
}
