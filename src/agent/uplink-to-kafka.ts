/**
 * The agent's side of an uplink to Kafka: credentials, schema ids, and what the configuration says.
 * Loaded only where an uplink goes there (about 1 MB; the client comes later still).
 */

import { assert } from "../core/assert.ts";
import { checksumOf } from "../core/checksum.ts";
import { uplinkKey } from "../store/state/kv-key.ts";
import { decodeJson, encodeJson, textOf, wholeOf } from "../store/state/stored-json.ts";
import type { AvroEncoder } from "../sync/kafka/message/avro.ts";
import { openKafkaUplink } from "../sync/kafka/kafka-uplink.ts";
import type { Uplink } from "../sync/uplink.ts";
import type { KafkaUplinkConfig } from "./config/kafka-config.ts";
import type { Credentials } from "./doors/kafka-credentials.ts";
import { valueSubject } from "./doors/schema-registry.ts";
import type { UplinkParts } from "./uplinks.ts";
import { version } from "./version.ts";

const kafkaName = "kafka";

export function kafkaUplink(
  uplink: KafkaUplinkConfig,
  { config, doors, store, viaOf }: UplinkParts,
): Uplink {
  const via = viaOf(uplink.via, { isShared: false });
  const { clock, random, kafka } = doors;
  assert(kafka !== undefined, "an agent with Kafka has a door to it");
  const credentialsOf = new Map<string, Credentials>();
  // Each lane logs in by itself, and so notices by itself that a certificate was replaced.
  const credentials = (clientId: string): Credentials => {
    const known = credentialsOf.get(clientId) ?? kafka.credentials(uplink.security);
    credentialsOf.set(clientId, known);
    return known;
  };
  const { brokers, addresses, connectMs, requestMs, topics } = uplink;
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
    avro: uplink.format === "json" ? undefined : () => avroOf(uplink, { doors, store }),
    isOutdated: (clientId) => credentials(clientId).isOutdated(),
    get: (key) => store.get(key),
    read: (at, options) => store.lanes.readLane(at, options),
  });
}

// ---- Avro ----

type SchemaKind = "summary" | "alert";

/** With the ids of its schemas, as configured, remembered, or asked of the registry. */
async function avroOf(
  uplink: KafkaUplinkConfig,
  parts: Pick<UplinkParts, "doors" | "store">,
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
  { doors, store }: Pick<UplinkParts, "doors" | "store">,
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
