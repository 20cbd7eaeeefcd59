/**
 * A configuration file after the schema: everything in the shape of the file, defaults filled in,
 * durations in ms and sizes in bytes, nothing compared with anything else yet. What is optional here
 * has a default that depends on other values.
 */

import type { AggregateName } from "../../edge-ops/spec.ts";
import type { PayloadFormat } from "../ingest/source-config.ts";
import type { BrokerSection } from "./broker-section.ts";
import type { AccessSection } from "./access-section.ts";
import type { HttpSection } from "./http-section.ts";
import type { ListenerSection } from "./listener-section.ts";
import type { BridgeSection } from "./bridge-section.ts";
import type { LinkSection } from "./link-section.ts";
import type { KafkaSection } from "./kafka-section.ts";
import type { PostSection } from "./post-section.ts";
import type { RemoteSection } from "./remote-section.ts";
import type { StoreSection } from "./store-section.ts";

export type ConfigFile = {
  readonly version: 1;
  readonly agent: string;
  readonly data: string;
  readonly mqtt: MqttSection;
  readonly http: "off" | HttpSection;
  readonly brokers: readonly BrokerSection[];
  readonly sources: readonly SourceSection[];
  readonly pipelines: readonly PipelineSection[];
  readonly uplinks: readonly UplinkSection[];
  readonly links: readonly LinkSection[];
  readonly commit: CommitSection;
  readonly store: StoreSection;
  readonly limits: LimitsSection;
  readonly remote?: RemoteSection;
};

export type MqttSection = AccessSection & {
  /** Of the plain listener, without TLS and WebSocket. */
  readonly host: string;
  readonly port: number | "off";
  readonly listeners: readonly ListenerSection[];
  readonly publish: PublishSection;
};

/** What the embedded broker's own topics carry. */
export type PublishSection = {
  readonly summaries: boolean;
  readonly alerts: boolean;
  readonly status: "off" | number;
  readonly homeAssistant?: HomeAssistantSection;
};

/** What of it Home Assistant finds by itself. */
export type HomeAssistantSection = {
  readonly prefix: string;
  readonly birth: string;
  readonly pipelines: readonly string[];
  readonly units: Readonly<Record<string, string>>;
};

export type SourceSection = {
  readonly name: string;
  readonly broker?: string;
  readonly topics: readonly string[];
  readonly format: "auto" | PayloadFormat;
  readonly time: {
    readonly fields: readonly string[];
    readonly required: boolean;
    readonly timezone?: "utc";
  };
  readonly sequence: readonly string[];
  readonly ignore: readonly string[];
  readonly value: string;
  readonly disorder: number;
  readonly idle: number;
  readonly future: number;
};

/** Exactly one of window, ewma and frequency makes sense; the checks say so. */
export type PipelineSection = {
  readonly name: string;
  readonly where: {
    readonly sources: readonly string[];
    readonly metrics: readonly string[];
    readonly tags: Readonly<Record<string, string>>;
  };
  readonly key?: readonly string[];
  readonly window?: WindowSection;
  readonly aggregate?: readonly AggregateName[];
  readonly allowedLateness?: number;
  readonly ewma?: EwmaSection;
  readonly frequency?: FrequencySection;
  /** Readings that its alerts ask for. */
  readonly raw?: { readonly before: number; readonly after: number };
};

/** One of tumbling; sliding and every; session and max. */
export type WindowSection = {
  readonly tumbling?: number;
  readonly sliding?: number;
  readonly every?: number;
  readonly session?: number;
  readonly max?: number;
};

export type EwmaSection = {
  readonly lambda: number;
  readonly sigmas: number;
  readonly warmup: number;
  readonly baseline: number;
  readonly sigmaMin: number;
  readonly rearm: number;
};

export type FrequencySection = {
  readonly heavy: number;
  readonly rare: number;
  readonly minimum: number;
  readonly period: number;
  readonly depth: number;
  readonly width: number;
};

/** Exactly one of file, kafka, mqtt and http makes sense; the checks say so. */
export type UplinkSection = {
  readonly file?: {
    readonly directory: string;
    readonly rotateBytes: number;
    readonly rotateAge: number;
  };
  readonly kafka?: KafkaSection;
  readonly mqtt?: BridgeSection;
  readonly http?: PostSection;
  readonly via?: readonly string[];
};

export type CommitSection = {
  readonly wait?: number;
  readonly waitMax?: number;
  readonly latency: "normal" | "low";
  readonly interval: number;
  readonly checkpoint: number;
  readonly markers: number;
};

export type LimitsSection = {
  readonly series: number;
  readonly devices: number;
  readonly keys: number;
  readonly log: number;
  readonly duplicateRing: number;
  readonly memory: number | "auto" | "off";
};
