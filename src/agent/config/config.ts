/**
 * The effective configuration: everything set, nothing optional left open, durations in
 * milliseconds, paths absolute, secrets read. Made from weir.yaml by `parseConfig`, or in code for
 * the demo and the tests. What of it decides outputs goes into the log as a DataflowSpec.
 */

import type { DataflowSpec, PipelineSpec, SourceSpec, WhereSpec } from "../../edge-ops/spec.ts";
import { limits } from "../../core/limits.ts";
import type { ListenAddress } from "../../core/doors.ts";
import type { LinkPolicy } from "../../sync/link/policy.ts";
import type { ResolutionMs } from "../../store/tables/rows.ts";
import type { QuotasConfig } from "./access-config.ts";
import type { HttpConfig } from "./http-config.ts";
import type { BridgeUplinkConfig } from "./bridge-config.ts";
import type { RemoteConfig } from "./remote-config.ts";
import type { KafkaUplinkConfig } from "./kafka-config.ts";
import type { PostUplinkConfig } from "./post-config.ts";
import type { AccessConfig } from "../ingest/mqtt/access/access.ts";
import type { BrokerConfig } from "../ingest/mqtt/subscriber/subscriber-config.ts";
import { sourceDefaults as receiveDefaults, type SourceConfig } from "../ingest/source-config.ts";

export type MqttConfig = AccessConfig & {
  /** Of the plain listener. */
  readonly host: string;
  readonly port: number | "off";
  /** Further ones. */
  readonly listeners?: readonly ListenAddress[];
  /** Bounds that differ from those of core/limits. */
  readonly quotas?: QuotasConfig;
};

/** What the agent publishes itself on its embedded broker. */
export type OwnTopicsConfig = {
  readonly summaries: boolean;
  readonly alerts: boolean;
  /** The retained status is renewed so often; undefined: there is none. */
  readonly statusMs: number | undefined;
  /** Home Assistant is told what there is; absent: it is not. Needs the status. */
  readonly homeAssistant?: HomeAssistantConfig;
};

/** What Home Assistant is told, and on which topics it listens. */
export type HomeAssistantConfig = {
  /** Its discovery prefix. */
  readonly prefix: string;
  /** The topic on which it says `online`. */
  readonly birth: string;
  /** Names; empty: all. */
  readonly pipelines: readonly string[];
  /** Metric to the unit of its readings. */
  readonly units: Readonly<Record<string, string>>;
};

export type FileUplinkConfig = {
  readonly kind: "file";
  readonly directory: string;
  /** A file is closed and renamed at this size or age, whichever comes first. */
  readonly rotateBytes: number;
  readonly rotateMs: number;
};

export type UplinkConfig =
  | FileUplinkConfig
  | KafkaUplinkConfig
  | BridgeUplinkConfig
  | PostUplinkConfig;

export type CommitConfig = {
  /** Longest time a reading waits for the sync it shares with others, ms. */
  readonly waitMs: number;
  /** Rows that start a sync before the wait is over. */
  readonly rowsEager: number;
  /** Summaries are made durable this often, ms. */
  readonly intervalMs: number;
  readonly checkpointMs: number;
  /** Event time from one completeness marker of a key to the next, ms. */
  readonly markerMs: number;
  /** Under a cap on writes `waitMs` grows up to this. Default limits.sparingWaitMsMax. */
  readonly waitMsMax?: number;
};

/** How much the agent keeps on disk, and how long. */
export type StoreConfig = {
  /** Log, state store and tables together. */
  readonly budgetBytes: number;
  /** Space of the disk that is left to others. */
  readonly freeBytes: number;
  /** Cap on what a day writes to the device, bytes; absent: none. */
  readonly writesPerDay?: number;
  /** Bound of the outbox; absent: half of what the state store has. */
  readonly outboxBytes?: number;
  readonly whenOutboxFull: "drop" | "wait";
  /** Resolutions that readings are rolled up to, ms: ascending, each a multiple of the one before. */
  readonly tiers: readonly ResolutionMs[];
  /**
   * How long each resolution is kept, ms, while the budget allows; `readings` (0) among them. Absent:
   * for ever. Ascending, and a coarser one is never kept shorter than a finer one.
   */
  readonly keepMs: ReadonlyMap<ResolutionMs, number>;
  /** Of a series the first counts that takes it; it is then kept by that one's `keepMs`. */
  readonly classes: readonly StoreClassConfig[];
};

export type StoreClassConfig = {
  readonly name: string;
  /** As it is written. */
  readonly match: string;
  readonly where: WhereSpec;
  readonly keepMs: ReadonlyMap<ResolutionMs, number>;
  /** 0 as what has no class; with each step more it reaches back four times as far. */
  readonly priority: number;
};

/** Of the readings around an alert: by event time, ms before and after it. */
export type RawAround = { readonly beforeMs: number; readonly afterMs: number };

export type Config = {
  /** Name of this agent: in the identity of every record it sends. */
  readonly agent: string;
  readonly dataDirectory: string;
  readonly mqtt: MqttConfig;
  readonly ownTopics: OwnTopicsConfig;
  readonly http: HttpConfig | undefined;
  /** Brokers elsewhere that sources take from. */
  readonly brokers: readonly BrokerConfig[];
  readonly sources: readonly (SourceConfig & SourceSpec)[];
  readonly pipelines: readonly PipelineSpec[];
  /** Readings that alerts ask for, by the name of their pipeline; it decides no outputs. */
  readonly rawAround?: Readonly<Record<string, RawAround>>;
  readonly uplinks: readonly UplinkConfig[];
  /** What uplinks that name them go over. */
  readonly links: readonly LinkPolicy[];
  readonly commit: CommitConfig;
  readonly store: StoreConfig;
  readonly logBytesMax: number;
  readonly duplicateRing: number;
  readonly seriesMax: number;
  readonly devicesMax: number;
  readonly keysMax: number;
  /** Ceiling on memory, bytes; auto: that of the control group. Default auto. */
  readonly memory?: number | "auto" | "off";
  /** What of it may come from afar, and from where; absent: nothing. */
  readonly remote?: RemoteConfig;
};

/** What of the configuration decides outputs: it is a log record before it takes effect. */
export function dataflowSpecOf(config: Config): DataflowSpec {
  const { markerMs } = config.commit;
  return {
    version: 1,
    sources: config.sources.map(({ name, disorderMs, idleMs, futureMs }) => ({
      name,
      disorderMs,
      idleMs,
      futureMs,
    })),
    pipelines: config.pipelines,
    duplicateRing: config.duplicateRing,
    seriesMax: config.seriesMax,
    devicesMax: config.devicesMax,
    keysMax: config.keysMax,
    // Not where it is the default: an older weir wrote none.
    ...(markerMs === limits.markerIntervalMs ? {} : { markerMs }),
  };
}

export const defaultAgentName = "weir";

/** Defaults of a source, beside its name and topics. */
export const sourceDefaults: typeof receiveDefaults & Omit<SourceSpec, "name"> = {
  ...receiveDefaults,
  disorderMs: 5_000,
  idleMs: 30_000,
  futureMs: 300_000,
};

/** Default bounds of memory and disk. */
export const boundDefaults: Pick<
  Config,
  "logBytesMax" | "duplicateRing" | "seriesMax" | "devicesMax" | "keysMax"
> = {
  logBytesMax: limits.logBytesMax,
  duplicateRing: limits.duplicateRing,
  seriesMax: 10_000,
  devicesMax: 10_000,
  keysMax: 10_000,
};

/** Defaults of an uplink to files, beside its folder. */
export const fileUplinkDefaults: Omit<FileUplinkConfig, "directory"> = {
  kind: "file",
  rotateBytes: limits.uplinkFileBytesMax,
  rotateMs: limits.uplinkFileAgeMs,
};

export const ownTopicsDefaults: OwnTopicsConfig = {
  summaries: true,
  alerts: true,
  statusMs: limits.ownStatusMs,
};

/** As Home Assistant comes. */
export const homeAssistantDefaults: HomeAssistantConfig = {
  prefix: "homeassistant",
  birth: "homeassistant/status",
  pipelines: [],
  units: {},
};

export const commitDefaults: CommitConfig = {
  waitMs: limits.commitWaitMs,
  rowsEager: limits.commitRowsEager,
  intervalMs: limits.commitIntervalMs,
  checkpointMs: limits.checkpointIntervalMs,
  markerMs: limits.markerIntervalMs,
};

/**
 * Whose readings may wait longer for a sync shares it among more of them: it begins early only at a
 * rate of readings that would do so with the default wait.
 */
export function rowsEagerFor(waitMs: number): number {
  const rows = Math.round((limits.commitRowsEager * waitMs) / limits.commitWaitMs);
  return Math.min(Math.max(rows, limits.commitRowsEager), limits.batchRowsMax);
}

export const storeDefaults: StoreConfig = {
  budgetBytes: limits.storeBytesMax,
  freeBytes: limits.freeBytesMin,
  whenOutboxFull: "drop",
  tiers: [10_000, 60_000, 600_000, 3_600_000, 86_400_000],
  keepMs: new Map(),
  classes: [],
};

/** A configuration made in code: defaults, MQTT for anyone on a free port of loopback, no HTTP. */
export function configOf(
  changes: Pick<Config, "agent" | "dataDirectory" | "sources"> & Partial<Config>,
): Config {
  return {
    mqtt: { host: "127.0.0.1", port: 0, anonymous: true, users: [] },
    ownTopics: ownTopicsDefaults,
    http: undefined,
    brokers: [],
    pipelines: [],
    uplinks: [],
    links: [],
    commit: commitDefaults,
    store: storeDefaults,
    ...boundDefaults,
    ...changes,
  };
}

/** A topic is a device's or a series' own: more of them are made up, and not worth remembering. */
export function topicsMaxOf({ seriesMax, devicesMax }: Config): number {
  return Math.min(limits.topicsMax, seriesMax + devicesMax);
}
