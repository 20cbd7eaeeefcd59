/** The effective configuration of an uplink to Kafka, and what of it depends on several values. */

import { resolve } from "node:path";
import { assert } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import { isLoopback } from "../../core/loopback.ts";
import type { KafkaSecurity } from "../doors/kafka-credentials.ts";
import type { Finding, Path } from "./fault.ts";
import type { KafkaSection } from "./kafka-section.ts";

export type KafkaUplinkConfig = Omit<
  KafkaSection,
  | "schemas"
  | "registry"
  | "savepoints"
  | "linger"
  | "batch"
  | "record"
  | "timeouts"
  | "tls"
  | "sasl"
> & {
  readonly kind: "kafka";
  readonly schemas: KafkaSection["schemas"];
  readonly registry: KafkaSection["registry"];
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly recordBytesMax: number;
  readonly connectMs: number;
  readonly requestMs: number;
  readonly transactionMs: number;
  readonly security: KafkaSecurity;
  readonly savepoints: { readonly topic: string; readonly everyMs: number } | undefined;
  /** Links it may go over, the first to prefer; absent: whatever there is. */
  readonly via?: readonly string[];
};

export const savepointTopicDefault = "weir.savepoints";

/** Everything but the brokers. */
export const kafkaUplinkDefaults: Omit<KafkaUplinkConfig, "brokers"> = {
  kind: "kafka",
  delivery: "transactional",
  format: "json",
  headers: "cloudevents",
  compression: "zstd",
  topics: {
    summaries: "weir.summaries",
    alerts: "weir.alerts",
    raw: "weir.raw",
    cursor: "weir.cursor",
    create: true,
    partitions: -1,
    replication: -1,
    cursorPartitions: 50,
  },
  schemas: undefined,
  registry: undefined,
  savepoints: undefined,
  lingerMs: limits.kafkaLingerMs,
  batchBytesMax: limits.kafkaBatchBytesMax,
  recordBytesMax: limits.kafkaRecordBytesMax,
  connectMs: limits.kafkaConnectMs,
  requestMs: limits.kafkaRequestMs,
  transactionMs: limits.kafkaTransactionMs,
  security: { tls: undefined, sasl: undefined },
};

/** `section` has passed all checks; relative paths are relative to `directory`. */
export function kafkaUplinkConfig(section: KafkaSection, directory: string): KafkaUplinkConfig {
  const { linger, batch, record, timeouts, schemas, registry, savepoints, ...rest } = section;
  const { tls: _, sasl: __, ...same } = rest;
  return {
    kind: "kafka",
    ...same,
    schemas,
    registry,
    savepoints: savepoints && { topic: savepoints.topic, everyMs: savepoints.every },
    lingerMs: linger,
    batchBytesMax: batch,
    recordBytesMax: record ?? Math.min(limits.kafkaRecordBytesMax, batch),
    connectMs: timeouts.connect,
    requestMs: timeouts.request,
    transactionMs: timeouts.transaction,
    security: { tls: tlsOf(section, directory), sasl: saslOf(section, directory) },
  };
}

/** What of a section contradicts itself, and what is allowed and probably not meant. */
export function checkKafka(
  section: KafkaSection,
  at: Path,
): { readonly findings: readonly Finding[]; readonly warnings: readonly Finding[] } {
  const findings: Finding[] = [];
  const warnings: Finding[] = [];
  const find = (path: Path, message: string): void => {
    findings.push({ path: [...at, ...path], message });
  };
  const { format, schemas, registry, savepoints, tls, sasl, topics, timeouts, delivery } = section;
  if (format === "avro-confluent" && schemas === undefined && registry === undefined) {
    find(["format"], "Avro needs the ids of its schemas: name them in schemas, or a registry");
  }
  if (format === "json" && (schemas ?? registry) !== undefined) {
    const key = schemas === undefined ? "registry" : "schemas";
    find([key], "JSON has no schema: remove this, or set format: avro-confluent");
  }
  if (tls !== undefined && (tls.certificate === undefined) !== (tls.key === undefined)) {
    find(["tls"], "a client certificate needs certificate and key, both of them");
  }
  if (schemas !== undefined && registry !== undefined) {
    find(["registry"], "the ids are in schemas already: remove one of the two");
  }
  if (registry !== undefined && /^[^:]+:\/\/[^/?#]*@/.test(registry.url)) {
    // Not left to the schema, whose message would show the address with the login.
    find(
      ["registry", "url"],
      "no login in the address: registry.user and registry.password are it",
    );
  }
  if (registry?.user !== undefined && isOpenHttp(registry.url)) {
    const message = "http sends the login as it is: use https";
    warnings.push({ path: [...at, "registry", "url"], message });
  }
  if (section.record !== undefined && section.record > section.batch) {
    find(["record"], "a record must fit into a transaction: at most batch");
  }
  for (const [index, broker] of section.brokers.entries()) {
    if (!hasPort(broker)) find(["brokers", index], `${portOf(broker)} is no port: 1 to 65535`);
  }
  for (const [from, to] of Object.entries(section.addresses ?? {})) {
    const at = ["addresses", from];
    if (!hasPort(from)) find(at, `${portOf(from)} is no port: 1 to 65535`);
    if (!hasPort(to)) find(at, `${portOf(to)} is no port: 1 to 65535`);
  }
  for (const key of ["partitions", "replication"] as const) {
    if (topics[key] === 0) find(["topics", key], "at least 1, or -1 for what the cluster has");
  }
  if (timeouts.request >= timeouts.transaction) {
    find(["timeouts", "request"], "a request must be given up before its transaction is aborted");
  }
  const names = [topics.summaries, topics.alerts, topics.raw, topics.cursor];
  if (new Set(names).size < names.length) find(["topics"], "each of the four needs its own topic");
  if (savepoints !== undefined && names.includes(savepoints.topic)) {
    find(["savepoints", "topic"], "savepoints need a topic of their own");
  }
  if (savepoints !== undefined && delivery === "upsert") {
    const message =
      "savepoints need delivery: transactional, whose cursors say what was sent since";
    find(["savepoints"], message);
  }
  const own = [...names, ...(savepoints === undefined ? [] : [savepoints.topic])];
  if (section.commands !== undefined && own.includes(section.commands.topic)) {
    find(["commands", "topic"], "records go there: commands need a topic of their own");
  }
  if (sasl !== undefined) {
    const missing = missingLogin(sasl);
    if (missing !== undefined) find(["sasl"], missing);
    const isOpen = section.brokers.some((broker) => !isLoopback(hostOf(broker)));
    const message = tls === undefined && isOpen ? openLogins[sasl.mechanism] : undefined;
    if (message !== undefined) warnings.push({ path: [...at, "sasl", "mechanism"], message });
  }
  if (delivery === "upsert") {
    const message = "upsert is at least once: a record may come again with the same ce_id and key";
    warnings.push({ path: [...at, "delivery"], message });
  }
  return { findings, warnings };
}

function isOpenHttp(url: string): boolean {
  const address = URL.parse(url);
  return address?.protocol === "http:" && !isLoopback(address.hostname);
}

/** Why a login of the mechanism is not safe without TLS. */
const openLogins: Partial<Record<NonNullable<KafkaSection["sasl"]>["mechanism"], string>> = {
  PLAIN: "PLAIN sends the password as it is: use tls, or SCRAM-SHA-512",
  OAUTHBEARER: "OAUTHBEARER sends the token as it is: use tls",
};

function missingLogin(sasl: NonNullable<KafkaSection["sasl"]>): string | undefined {
  const { mechanism, user, password, tokenFile } = sasl;
  if (mechanism === "OAUTHBEARER") {
    return tokenFile === undefined ? "OAUTHBEARER needs tokenFile" : undefined;
  }
  return user === undefined || password === undefined
    ? `${mechanism} needs user and password`
    : undefined;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

function hasPort(address: string): boolean {
  return portOf(address) >= 1 && portOf(address) <= 65_535;
}

function hostOf(broker: string): string {
  return broker.slice(0, broker.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

function tlsOf({ tls }: KafkaSection, directory: string): KafkaSecurity["tls"] {
  if (tls === undefined) return undefined;
  const { ca, certificate, key, ...rest } = tls;
  const from = (path: string): string => resolve(directory, path);
  return {
    ...rest,
    ...(ca === undefined ? {} : { ca: from(ca) }),
    ...(certificate === undefined ? {} : { certificate: from(certificate) }),
    ...(key === undefined ? {} : { key: from(key) }),
  };
}

function saslOf({ sasl }: KafkaSection, directory: string): KafkaSecurity["sasl"] {
  if (sasl === undefined) return undefined;
  const { mechanism, user, password, tokenFile } = sasl;
  if (mechanism === "OAUTHBEARER") {
    assert(tokenFile !== undefined, "a checked login has a token");
    return { mechanism, tokenFile: resolve(directory, tokenFile) };
  }
  assert(user !== undefined && password !== undefined, "a checked login has user and password");
  return { mechanism, user, password };
}
