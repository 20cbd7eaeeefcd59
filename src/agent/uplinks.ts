/** The agent's uplinks, from its configuration: what each is made of, and where it is kept. */

import { relative } from "node:path";
import { assert } from "../core/assert.ts";
import { checksumOf } from "../core/checksum.ts";
import type { Doors } from "./agent.ts";
import { uplinkKey } from "../store/kv-key.ts";
import type { StateStore } from "../store/state-store.ts";
import { decodeJson, encodeJson, textOf, wholeOf } from "../store/stored-json.ts";
import { openFileUplink } from "../sync/file-uplink.ts";
import type { AvroEncoder } from "../sync/kafka/message/avro.ts";
import { openKafkaUplink } from "../sync/kafka/kafka-uplink.ts";
import type { Uplink } from "../sync/uplink.ts";
import type { Config, FileUplinkConfig } from "./config/config.ts";
import type { Credentials } from "./doors/kafka-credentials.ts";
import { valueSubject } from "./doors/schema-registry.ts";
import type { KafkaUplinkConfig } from "./config/kafka-config.ts";
import { version } from "./version.ts";

/** Characters of a folder in a name; it is part of a key of the state store. */
const folderNameMax = 120;

type Parts = { readonly config: Config; readonly doors: Doors; readonly store: StateStore };

/** None of them touches anything before the drain opens its lanes. */
export function openUplinks(parts: Parts): readonly Uplink[] {
  return parts.config.uplinks.map((uplink) =>
    uplink.kind === "file" ? fileUplink(uplink, parts) : kafkaUplink(uplink, parts),
  );
}

function fileUplink(uplink: FileUplinkConfig, { config, doors, store }: Parts): Uplink {
  return openFileUplink({
    disk: doors.disk,
    clock: doors.clock,
    directory: uplink.directory,
    name: fileUplinkName(config, uplink.directory),
    fileBytesMax: uplink.rotateBytes,
    fileAgeMs: uplink.rotateMs,
    get: (key) => store.get(key),
  });
}

/**
 * Where an uplink stands is kept under its name: another folder is another uplink, but one that
 * moved with the data directory is the same.
 */
function fileUplinkName({ dataDirectory }: Config, directory: string): string {
  const path = relative(dataDirectory, directory);
  const isShort = encodeURIComponent(path).length <= folderNameMax;
  return `files:${isShort ? path : checksumOf(new TextEncoder().encode(path)).toString(16)}`;
}

const kafkaName = "kafka";

function kafkaUplink(uplink: KafkaUplinkConfig, { config, doors, store }: Parts): Uplink {
  const { clock, random, kafka } = doors;
  assert(kafka !== undefined, "an agent with Kafka has a door to it");
  const credentialsOf = new Map<string, Credentials>();
  // Each lane logs in by itself, and so notices by itself that a certificate was replaced.
  const credentials = (clientId: string): Credentials => {
    const known = credentialsOf.get(clientId) ?? kafka.credentials(uplink.security);
    credentialsOf.set(clientId, known);
    return known;
  };
  const { brokers, connectMs, requestMs, topics } = uplink;
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
    lanes: { alerts: topics.alerts, summaries: topics.summaries },
    cursorTopic: topics.cursor,
    topics,
    connect: async (clientId) =>
      await kafka.connect({
        bootstrap: brokers,
        clientId,
        requestTimeoutMs: requestMs,
        connectTimeoutMs: connectMs,
        ...(await credentials(clientId).read()),
      }),
    avro: uplink.format === "json" ? undefined : () => avroOf(uplink, { doors, store }),
    isOutdated: (clientId) => credentials(clientId).isOutdated(),
    get: (key) => store.get(key),
    read: (lane, options) => store.read(lane, options),
  });
}

// ---- Avro ----

type SchemaKind = "summary" | "alert";

/** With the ids of its schemas, as configured, remembered, or asked of the registry. */
async function avroOf(
  uplink: KafkaUplinkConfig,
  parts: Pick<Parts, "doors" | "store">,
): Promise<AvroEncoder> {
  const { openAvro } = await import("../sync/kafka/message/avro.ts");
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
  { doors, store }: Pick<Parts, "doors" | "store">,
): Promise<number> {
  assert(registry !== undefined && doors.kafka !== undefined, "a registry is configured");
  const { alertSchema, summarySchema } = await import("../sync/kafka/message/avro.ts");
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
