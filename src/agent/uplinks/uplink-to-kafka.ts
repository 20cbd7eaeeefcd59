/**
 * The agent's side of an uplink to Kafka: credentials, schema ids, and what the configuration says.
 * Loaded only where an uplink goes there (about 1 MB; the client comes later still).
 */

import { assert } from "../../core/assert.ts";
import { checksumOf } from "../../core/checksum.ts";
import type { Disk, Kv } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { type Lane, lanes } from "../../store/outbox/lane.ts";
import { uplinkKey } from "../../store/state/kv-key.ts";
import { decodeJson, encodeJson, textOf, wholeOf } from "../../store/state/stored-json.ts";
import type { AvroEncoder } from "../../sync/kafka/message/avro.ts";
import type { Drain } from "../../sync/drain.ts";
import type { Cluster } from "../../sync/kafka/cluster.ts";
import { compressionOf, hexOf, openKafkaUplink } from "../../sync/kafka/kafka-uplink.ts";
import { decodeLaneState } from "../../sync/kafka/lane-state.ts";
import { SavepointPublisher } from "../../sync/kafka/savepoints/publisher.ts";
import type { Via } from "../../sync/link/via.ts";
import type { Uplink } from "../../sync/uplink.ts";
import type { KafkaUplinkConfig } from "../config/kafka-config.ts";
import type { Credentials } from "../doors/kafka-credentials.ts";
import { valueSubject } from "../doors/schema-registry.ts";
import { CommandReader, type CommandReaderOptions } from "../raw/command-reader.ts";
import type { UplinkParts } from "./uplink-parts.ts";
import { version } from "../version.ts";

/** Of the uplink, in the state store. */
export const kafkaName = "kafka";

type Connecting = {
  readonly via: Via | undefined;
  readonly credentials: (clientId: string) => Credentials;
  readonly connect: (clientId: string, lane: Lane) => Promise<Cluster>;
};

function connecting(
  uplink: KafkaUplinkConfig,
  { doors: { kafka }, viaOf }: Pick<UplinkParts, "doors" | "viaOf">,
): Connecting {
  const via = viaOf(uplink.via, { isShared: false });
  assert(kafka !== undefined, "an agent with Kafka has a door to it");
  const credentialsOf = new Map<string, Credentials>();
  // Each lane logs in by itself, and so notices by itself that a certificate was replaced.
  const credentials = (clientId: string): Credentials => {
    const known = credentialsOf.get(clientId) ?? kafka.credentials(uplink.security);
    credentialsOf.set(clientId, known);
    return known;
  };
  const { brokers, addresses, connectMs, requestMs } = uplink;
  return {
    via,
    credentials,
    connect: async (clientId, lane) =>
      await kafka.connect({
        wire: via?.wire(lane),
        bootstrap: brokers,
        ...(addresses === undefined ? {} : { addresses }),
        clientId,
        requestTimeoutMs: requestMs,
        connectTimeoutMs: connectMs,
        ...(await credentials(clientId).read()),
      }),
  };
}

export function kafkaUplink(uplink: KafkaUplinkConfig, parts: UplinkParts): Uplink {
  const { config, doors, store } = parts;
  const { clock, random } = doors;
  const { via, credentials, connect } = connecting(uplink, parts);
  const { topics } = uplink;
  const { delivery, headers, compression, lingerMs } = uplink;
  const { batchBytesMax, recordBytesMax, transactionMs } = uplink;
  return openKafkaUplink({
    name: kafkaName,
    agent: config.agent,
    version,
    delivery,
    headers,
    compression,
    lingerMs,
    batchBytesMax,
    recordBytesMax,
    transactionMs,
    clock,
    random,
    lanes: { alerts: topics.alerts, summaries: topics.summaries, raw: topics.raw },
    cursorTopic: topics.cursor,
    topics,
    over: via,
    connect,
    avro: uplink.format === "json" ? undefined : () => avroOf(uplink, { doors, store }),
    isOutdated: (clientId) => credentials(clientId).isOutdated(),
    get: (key) => store.get(key),
    read: (at, options) => store.lanes.readLane(at, options),
  });
}

/** What reads commands where the uplink is told to; it touches nothing before it is started. */
export function kafkaCommands(
  uplink: KafkaUplinkConfig,
  parts: UplinkParts & Pick<CommandReaderOptions, "answers" | "trustedNow">,
): CommandReader | undefined {
  const { commands, requestMs } = uplink;
  if (commands === undefined) return undefined;
  const { config, doors, store, answers, trustedNow } = parts;
  const { via, credentials, connect } = connecting(uplink, parts);
  const clientId = `weir-${config.agent}-commands`;
  return new CommandReader({
    agent: config.agent,
    uplink: kafkaName,
    topic: commands.topic,
    pollMs: commands.poll,
    holdMsMax: requestMs / 2,
    connect: () => connect(clientId, "raw"),
    isOutdated: () => credentials(clientId).isOutdated(),
    via,
    answers,
    get: (key) => store.get(key),
    store: (writes) => store.advance(writes),
    clock: doors.clock,
    random: doors.random,
    trustedNow,
  });
}

// ---- savepoints ----

export type SavepointParts = UplinkParts & {
  readonly disk: Disk;
  readonly kv: Kv;
  /** Of the file, while it is sent. */
  readonly directory: string;
  readonly drain: Pick<Drain, "status">;
};

/** What sends savepoints of the agent; undefined where the uplink is to have none. */
export function savepointPublisher(
  uplink: KafkaUplinkConfig,
  parts: SavepointParts,
): SavepointPublisher | undefined {
  const { savepoints, topics, transactionMs, compression } = uplink;
  if (savepoints === undefined) return undefined;
  const { config, doors, store, drain, disk, kv, directory } = parts;
  const { via, connect } = connecting(uplink, parts);
  const areBytesDear = via?.areBytesDear === true;
  const lanesNow = () => drain.status.find(({ name }) => name === kafkaName)?.lanes;
  const lifeIn = (lane: Lane): number => {
    const key = uplinkKey(kafkaName, lane);
    const stored = store.get(key);
    return stored === undefined
      ? 0
      : (decodeLaneState(stored, `the state store's ${key}`).life ?? 0);
  };
  return new SavepointPublisher({
    ...savepoints,
    uplink: kafkaName,
    agent: config.agent,
    version,
    topics,
    transactionMs,
    chunkBytes: areBytesDear ? limits.savepointChunkBytesDear : limits.savepointChunkBytes,
    clock: doors.clock,
    disk,
    directory,
    kv,
    store: (writes) => store.advance(writes),
    outboxBytes: () =>
      Object.values(store.status.outbox).reduce((sum, { bytes }) => sum + bytes, 0),
    holds: () => {
      const now = lanesNow();
      const isHalted = now === undefined || lanes.some((lane) => now[lane].state === "halted");
      if (isHalted || now.summaries.facts["found"] === undefined) return undefined;
      return { life: Math.max(...lanes.map(lifeIn)) };
    },
    mustYield: (bytes) => {
      const now = lanesNow();
      if (now === undefined || now.backfill.behind + now.raw.behind > 0) return true;
      if (now.backfill.held === "paused") return true;
      const asking = { lane: "backfill", bytes, waitedMs: Infinity } as const;
      const admission = via?.admit({ ...asking, hasBegun: true, hasDelivered: true });
      return admission?.kind === "held";
    },
    connect: () => connect(`weir-${config.agent}-savepoints`, "backfill"),
    compression: () => compressionOf(compression, areBytesDear),
    randomHex: (bytes) => hexOf(doors.random, bytes),
  });
}

// ---- Avro ----

type SchemaKind = "summary" | "alert";

/** With the ids of its schemas, as configured, remembered, or asked of the registry. */
async function avroOf(
  uplink: KafkaUplinkConfig,
  parts: Pick<UplinkParts, "doors" | "store">,
): Promise<AvroEncoder> {
  const { openAvro } = await import("../../sync/kafka/message/avro.ts");
  const schemaIds = uplink.schemas ?? {
    summary: await registered("summary", uplink, parts),
    alert: await registered("alert", uplink, parts),
  };
  return await openAvro({ schemaIds });
}

/** The id is remembered with the registry and the schema it is for: a gateway without a link has it. */
async function registered(
  kind: SchemaKind,
  { registry, topics, requestMs, security }: KafkaUplinkConfig,
  { doors, store }: Pick<UplinkParts, "doors" | "store">,
): Promise<number> {
  assert(registry !== undefined && doors.kafka !== undefined, "a registry is configured");
  const { alertSchema, summarySchema } = await import("../../sync/kafka/message/avro.ts");
  const schema = JSON.stringify(kind === "summary" ? summarySchema : alertSchema);
  const subject = valueSubject(kind === "summary" ? topics.summaries : topics.alerts);
  const about = `${registry.url} ${subject} ${checksumOf(new TextEncoder().encode(schema))}`;
  const key = uplinkKey(kafkaName, `schema-${kind}`);
  const stored = store.get(key);
  if (stored !== undefined) {
    const known = decodeJson(stored, `the state store's ${key}`);
    if (textOf(known, "about") === about) return wholeOf(known, "id");
  }
  const { tls } = await doors.kafka.credentials(security).read();
  const id = await doors.kafka.registerSchema({
    ...registry,
    subject,
    schema,
    timeoutMs: requestMs,
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
  });
  await store.advance([{ key, value: encodeJson({ about, id }) }]);
  return id;
}
