/**
 * The schema of weir.yaml: shape, types, bounds and defaults of every key, and what each means. It
 * sees one value at a time; what depends on several is in checks.ts. The published JSON Schema is
 * made from it.
 */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import {
  anonymousRightsSchema,
  anonymousSchema,
  certificatesSchema,
  quotasSchema,
  usersFileSchema,
  usersSchema,
} from "./access-schema.ts";
import {
  boundDefaults,
  commitDefaults,
  defaultAgentName,
  fileUplinkDefaults,
  sourceDefaults,
} from "./config.ts";
import type {
  CommitSection,
  ConfigFile,
  LimitsSection,
  MqttSection,
  PipelineSection,
  SourceSection,
  UplinkSection,
} from "./config-file.ts";
import { brokerSchema } from "./broker-schema.ts";
import { httpSchema } from "./http-schema.ts";
import { bridgeSchema } from "./bridge-schema.ts";
import { kafkaSchema } from "./kafka-schema.ts";
import { postSchema } from "./post-schema.ts";
import { linkSchema } from "./link-schema.ts";
import { listenersSchema } from "./listener-schema.ts";
import { publishSchema } from "./publish-schema.ts";
import { remoteSchema } from "./remote-schema.ts";
import { storeSchema } from "./store-schema.ts";
import { bytesText, durationText } from "./quantity.ts";
import {
  anyText,
  byteSize,
  choice,
  DAY_MS,
  duration,
  few,
  flag,
  integer,
  list,
  name,
  numberFrom,
  portOrOff,
  SECOND_MS,
  section,
  sectionByName,
  weight,
} from "./schema-parts.ts";

// ---- the file, part by part ----

export const mqttSchema: v.GenericSchema<unknown, MqttSection> = section(
  "Where sensors connect: the embedded MQTT broker.",
  {
    host: v.optional(anyText("Address to listen on."), "127.0.0.1"),
    port: v.optional(portOrOff("Port; 0 takes a free one, off does without this listener."), 1_883),
    listeners: v.optional(listenersSchema, []),
    anonymous: v.exactOptional(anonymousSchema),
    users: v.optional(usersSchema, []),
    usersFile: v.exactOptional(usersFileSchema),
    certificates: v.optional(certificatesSchema, []),
    anonymousRights: v.optional(anonymousRightsSchema, {}),
    quotas: v.optional(quotasSchema, {}),
    publish: v.optional(publishSchema, {}),
  },
);

const { disorderMs, idleMs, futureMs } = sourceDefaults;

export const sourceSchema: v.GenericSchema<unknown, SourceSection> = section(
  "Topics whose messages are readings, and how they are written.",
  {
    name: name("Name of the source."),
    broker: v.exactOptional(
      name("The broker among brokers that it takes from; without it the embedded one."),
    ),
    topics: list(
      "Topic templates: plain levels, {tag} levels, {metric}, + for any level, a last #.",
      anyText("A topic template such as plant/{line}/{device}/{metric}."),
      { min: 1, max: 64, such: '"plant/{line}/{device}"' },
    ),
    format: v.optional(
      choice("Payload format; auto tells it by the first byte.", [
        "auto",
        "json",
        "cbor",
        "number",
      ]),
      sourceDefaults.format,
    ),
    time: v.optional(
      section("The device's own time.", {
        fields: v.optional(
          list("Fields that may hold it; the first present wins.", anyText("A field path."), few),
          [...sourceDefaults.time],
        ),
        required: v.optional(
          flag("Refuse messages without it; else their readings take arrival time."),
          sourceDefaults.timeRequired,
        ),
        timezone: v.exactOptional(
          choice("Times without a zone are in this one; without it they are refused.", ["utc"]),
        ),
      }),
      {},
    ),
    sequence: v.optional(
      list("Fields that may hold a device sequence number.", anyText("A field path."), few),
      [...sourceDefaults.sequence],
    ),
    ignore: v.optional(
      list("Fields that are not readings, with all below.", anyText("A field path."), few),
      [...sourceDefaults.ignore],
    ),
    value: v.optional(
      anyText("Field of the value where the topic names the metric."),
      sourceDefaults.value,
    ),
    disorder: v.optional(
      duration("How far behind its newest reading a device may still deliver in order.", {
        min: 0,
        max: 7 * DAY_MS,
      }),
      durationText(disorderMs),
    ),
    idle: v.optional(
      duration("A device silent for so long no longer holds windows open.", {
        min: SECOND_MS,
        max: 7 * DAY_MS,
      }),
      durationText(idleMs),
    ),
    future: v.optional(
      duration("A reading stamped further ahead of the gateway clock is quarantined.", {
        min: SECOND_MS,
        max: 365 * DAY_MS,
      }),
      durationText(futureMs),
    ),
  },
);

const globs = (about: string) => list(about, anyText("A name; * stands for any characters."), few);

const where = section("Which readings the pipeline takes; all conditions must hold.", {
  sources: v.optional(list("Names of sources; empty takes all.", name("A source."), few), []),
  metrics: v.optional(globs("Metrics; empty takes all."), []),
  tags: v.optional(
    sectionByName("Tag name to value.", anyText("A tag's value; * stands for any characters.")),
    {},
  ),
});

const windowSize = { min: 100, max: 366 * DAY_MS };

const window = section("Event-time windows: tumbling; sliding and every; session and max.", {
  tumbling: v.exactOptional(duration("Size of adjacent windows.", windowSize)),
  sliding: v.exactOptional(duration("Size of overlapping windows.", windowSize)),
  every: v.exactOptional(duration("A sliding window begins so often.", windowSize)),
  session: v.exactOptional(duration("A silence of so long ends a session.", windowSize)),
  max: v.exactOptional(duration("Longest session.", windowSize)),
});

const aggregates = [
  "count",
  "sum",
  "mean",
  "min",
  "max",
  "variance",
  "first",
  "last",
  "p50",
  "p90",
  "p95",
  "p99",
  "quantiles",
] as const;

const countMax = 1_000_000;

const ewma = section("EWMA control chart, one per series: alerts when a mean shifts.", {
  lambda: v.optional(weight("Weight of the newest reading in the statistic."), 0.2),
  sigmas: v.optional(
    numberFrom("Control limit in sigmas of the statistic.", { min: 0.1, max: 1_000 }),
    3.5,
  ),
  warmup: v.optional(integer("Readings that only train.", { min: 2, max: countMax }), 60),
  baseline: v.optional(weight("Weight of the newest reading in mean and variance."), 0.01),
  sigmaMin: v.optional(
    numberFrom("Smallest sigma believed, in the unit of the series.", { min: 0, max: 1e15 }),
    0.01,
  ),
  rearm: v.optional(
    integer("Readings inside the limits before the next alert.", { min: 1, max: countMax }),
    10,
  ),
});

const frequency = section("How often each symbol occurs: alerts for heavy and for rare ones.", {
  heavy: v.optional(
    numberFrom("Alert at this share of the period's readings; 0 is off.", { min: 0, max: 1 }),
    0,
  ),
  rare: v.optional(
    integer("Alert for what occurs at most so often; 0 is off.", { min: 0, max: countMax }),
    0,
  ),
  minimum: v.optional(
    integer("No alert before the period has so many readings.", { min: 1, max: 1e9 }),
    100,
  ),
  period: v.optional(
    duration("Counting starts again so often.", { min: SECOND_MS, max: 366 * DAY_MS }),
    "1h",
  ),
  depth: v.optional(
    integer("Rows of the Count-Min sketch.", { min: 1, max: limits.sketchDepthMax }),
    4,
  ),
  width: v.optional(
    integer("Counters per row, a power of two.", { min: 2, max: limits.sketchWidthMax }),
    2_048,
  ),
});

export const pipelineSchema: v.GenericSchema<unknown, PipelineSection> = section(
  "One computation over readings: a window, an EWMA chart or symbol frequencies.",
  {
    name: name("Name of the pipeline: in the identity of every record it makes."),
    where: v.optional(where, {}),
    key: v.exactOptional(
      list("Tags, and metric: readings with equal values go together.", anyText("A tag."), few),
    ),
    window: v.exactOptional(window),
    aggregate: v.exactOptional(
      list("What a window computes.", choice("An aggregate.", aggregates), {
        min: 1,
        max: 64,
        such: "mean",
      }),
    ),
    allowedLateness: v.exactOptional(
      duration("So long after its end a window is still corrected.", { min: 0, max: 31 * DAY_MS }),
    ),
    ewma: v.exactOptional(ewma),
    frequency: v.exactOptional(frequency),
    raw: v.exactOptional(
      section("Each alert asks for the raw readings of its device around it.", {
        before: v.optional(
          duration("So long before it.", { min: 0, max: limits.rawAroundMsMax }),
          "10m",
        ),
        after: v.optional(
          duration("So long after it.", { min: 0, max: limits.rawAroundMsMax }),
          "1m",
        ),
      }),
    ),
  },
);

const fileSchema = section("NDJSON files: written, synced, renamed when complete.", {
  directory: anyText("Folder of the files, relative to the configuration."),
  rotateBytes: v.optional(
    byteSize("A file is complete at this size.", { min: 4_096, max: 1_073_741_824 }),
    bytesText(fileUplinkDefaults.rotateBytes),
  ),
  rotateAge: v.optional(
    duration("A file is complete at this age.", { min: SECOND_MS, max: 31 * DAY_MS }),
    durationText(fileUplinkDefaults.rotateMs),
  ),
});

export const uplinkSchema: v.GenericSchema<unknown, UplinkSection> = section(
  "Where summaries and alerts go: file, kafka, mqtt or http.",
  {
    file: v.exactOptional(fileSchema),
    kafka: v.exactOptional(kafkaSchema),
    mqtt: v.exactOptional(bridgeSchema),
    http: v.exactOptional(postSchema),
    via: v.exactOptional(
      list(
        "Links it goes over, the first to prefer; without it whatever there is.",
        name("A link."),
        {
          min: 1,
          max: limits.linksMax,
          such: "lte",
        },
      ),
    ),
  },
);

export const commitSchema: v.GenericSchema<unknown, CommitSection> = section(
  "How long readings and results wait for the disk.",
  {
    wait: v.exactOptional(
      duration("A reading waits so long for others to share its sync. Default: by latency.", {
        min: 0,
        max: 10 * SECOND_MS,
      }),
    ),
    waitMax: v.exactOptional(
      duration("Near store.writesPerDay a reading waits at most so long. Default: 5s.", {
        min: 0,
        max: 60 * SECOND_MS,
      }),
    ),
    latency: v.optional(
      choice("low syncs at once, for SSDs: a card would wear out.", ["normal", "low"]),
      "normal",
    ),
    interval: v.optional(
      duration("Summaries are made durable so often; alerts at once.", {
        min: limits.alertCommitMs + 1,
        max: 60 * SECOND_MS,
      }),
      durationText(commitDefaults.intervalMs),
    ),
    checkpoint: v.optional(
      duration("Operator state is saved so often; a restart replays the rest.", {
        min: SECOND_MS,
        max: DAY_MS,
      }),
      durationText(commitDefaults.checkpointMs),
    ),
    markers: v.optional(
      duration("Event time from one completeness marker of a key to the next.", {
        min: SECOND_MS,
        max: DAY_MS,
      }),
      durationText(commitDefaults.markerMs),
    ),
  },
);

const memoryBounds = { min: limits.memoryBytesMin, max: limits.memoryBytesMax };
const memoryExpected = `auto, off, or a size from ${bytesText(memoryBounds.min)} to ${bytesText(memoryBounds.max)}`;

/** A checkpoint must free the log before it is full. */
const logBytesMin = limits.checkpointLogBytes + 3 * limits.segmentBytes;

export const limitsSchema: v.GenericSchema<unknown, LimitsSection> = section(
  "Bounds of memory and disk; what is beyond them is refused and counted.",
  {
    series: v.optional(
      integer("Series.", { min: 1, max: limits.seriesMax }),
      boundDefaults.seriesMax,
    ),
    devices: v.optional(
      integer("Devices.", { min: 1, max: limits.devicesMax }),
      boundDefaults.devicesMax,
    ),
    keys: v.optional(
      integer("Keys of each pipeline.", { min: 1, max: limits.keysMax }),
      boundDefaults.keysMax,
    ),
    log: v.optional(
      byteSize("The log on disk.", { min: logBytesMin, max: 1_099_511_627_776 }),
      bytesText(boundDefaults.logBytesMax),
    ),
    duplicateRing: v.optional(
      integer("A resent reading is recognised among so many of its series.", {
        min: 1,
        max: 1_024,
      }),
      boundDefaults.duplicateRing,
    ),
    memory: v.optional(
      v.union(
        [
          v.literal("auto", memoryExpected),
          v.literal("off", memoryExpected),
          byteSize("Ceiling on memory; auto takes that of the control group.", memoryBounds),
        ],
        memoryExpected,
      ),
      "auto",
    ),
  },
);

/** Input: the plain values of weir.yaml after substitution. */
export const configSchema: v.GenericSchema<unknown, ConfigFile> = section(
  "The configuration of a weir agent.",
  {
    version: v.pipe(
      v.literal(1, "1, the version of this format"),
      v.description("Version of this format."),
    ),
    agent: v.optional(name("Name of this agent: in every record it sends."), defaultAgentName),
    data: v.optional(
      anyText("Folder of log and state, relative to the configuration."),
      "./weir-data",
    ),
    mqtt: v.optional(mqttSchema, {}),
    http: v.optional(httpSchema, {}),
    brokers: v.optional(
      list("Brokers elsewhere that sources take from.", brokerSchema, {
        min: 0,
        max: limits.brokersMax,
      }),
      [],
    ),
    sources: list("What is received.", sourceSchema, {
      min: 1,
      max: limits.sourcesMax,
      such: '{ name: plant, topics: ["plant/{line}/{device}"] }',
    }),
    pipelines: v.optional(
      list("What is computed.", pipelineSchema, { min: 0, max: limits.pipelinesMax }),
      [],
    ),
    uplinks: v.optional(
      list("Where results go, each to all of them.", uplinkSchema, {
        min: 0,
        max: limits.uplinksMax,
      }),
      [],
    ),
    links: v.optional(
      list("Networks with a policy.", linkSchema, { min: 0, max: limits.linksMax }),
      [],
    ),
    commit: v.optional(commitSchema, {}),
    store: v.optional(storeSchema, {}),
    limits: v.optional(limitsSchema, {}),
    remote: v.exactOptional(remoteSchema),
  },
);
