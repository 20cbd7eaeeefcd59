/**
 * The cluster and the topics that a command reads: as an uplink of the configuration has them, or as
 * options say. What reads needs no rights but READ.
 */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Clock } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Cluster } from "../../sync/kafka/cluster.ts";
import type { Config } from "../config/config.ts";
import { type KafkaUplinkConfig, kafkaUplinkDefaults } from "../config/kafka-config.ts";
import { systemKafka } from "../doors/kafka.ts";
import type { KafkaSecurity } from "../doors/kafka-credentials.ts";
import { UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";

export const kafkaOptions = {
  kafka: { type: "string" },
  config: { type: "string", short: "c" },
  agent: { type: "string" },
  topic: { type: "string", multiple: true },
  cursors: { type: "string" },
  tls: { type: "boolean", default: false },
  ca: { type: "string" },
  certificate: { type: "string" },
  "certificate-key": { type: "string" },
  "server-name": { type: "string" },
  sasl: { type: "string" },
  user: { type: "string" },
  "password-file": { type: "string" },
  "token-file": { type: "string" },
} as const;

export type KafkaValues = {
  readonly [name in keyof typeof kafkaOptions]?: string | boolean | readonly string[] | undefined;
};

export type KafkaTarget = {
  readonly agent: string | undefined;
  readonly topics: readonly string[];
  /** Those of them that the command line names. */
  readonly named: readonly string[];
  readonly cursorTopic: string;
  /** As configured, else the defaults, whatever `topic` says. */
  readonly configured: {
    readonly topics: KafkaUplinkConfig["topics"];
    readonly savepoints: string | undefined;
    readonly transactionMs: number;
  };
  /** A new session. Rejects as `Cluster` does. */
  readonly connect: () => Promise<Cluster>;
};

export async function kafkaTarget(values: KafkaValues, clock: Clock): Promise<KafkaTarget> {
  const text = (name: keyof typeof kafkaOptions): string | undefined => {
    const value = values[name];
    return typeof value === "string" ? value : undefined;
  };
  const configured = await configuredUplink(text("config"));
  const given = text("kafka");
  const bootstrap =
    given === undefined ? (configured?.uplink.brokers ?? []) : given.split(",").map(addressOf);
  if (bootstrap.length === 0) {
    throw new UsageError("say where the cluster is: --kafka HOST[:PORT], or -c weir.yaml");
  }
  const { topics, transactionMs } = configured?.uplink ?? kafkaUplinkDefaults;
  const named = Array.isArray(values.topic) ? values.topic.map(String) : [];
  const security = securityOf(text, values.tls === true) ?? configured?.uplink.security;
  const kafka = systemKafka(clock);
  const credentials = kafka.credentials(security ?? kafkaUplinkDefaults.security);
  return {
    agent: text("agent") ?? configured?.agent,
    topics: named.length > 0 ? named : [...new Set([topics.summaries, topics.alerts, topics.raw])],
    named,
    cursorTopic: text("cursors") ?? topics.cursor,
    configured: { topics, savepoints: configured?.uplink.savepoints?.topic, transactionMs },
    connect: async () =>
      await kafka.connect({
        bootstrap,
        ...(configured?.uplink.addresses === undefined
          ? {}
          : { addresses: configured.uplink.addresses }),
        clientId: "weir-reader",
        requestTimeoutMs: configured?.uplink.requestMs ?? limits.kafkaRequestMs,
        connectTimeoutMs: configured?.uplink.connectMs ?? limits.kafkaConnectMs,
        ...(await credentials.read()),
      }),
  };
}

/** What nobody named need not be there: an agent makes its topics as it needs them. Faults: INPUT_INVALID. */
export async function refuseMissing(cluster: Cluster, named: readonly string[]): Promise<void> {
  if (named.length === 0) return;
  const there = await cluster.partitionsOf(named);
  const missing = named.find((topic) => !there.has(topic));
  if (missing !== undefined) throw noTopic(missing);
}

export function noTopic(topic: string): Fault {
  return new Fault("INPUT_INVALID", `the cluster has no topic ${topic}`);
}

async function configuredUplink(file: string | undefined) {
  if (file === undefined) return undefined;
  const { agent, uplinks } = await readConfig(file);
  const uplink = uplinks.find((each) => each.kind === "kafka");
  if (uplink !== undefined) return { agent, uplink };
  const message = `${file} has no uplink to Kafka${whereElse(uplinks)}; --kafka HOST reads any cluster`;
  throw new Fault("CONFIG_INVALID", message);
}

/** Where results are to be looked for, by the first uplink. */
function whereElse([uplink]: Config["uplinks"]): string {
  if (uplink?.kind === "file") {
    return `: its results are lines of JSON in ${uplink.directory} (tail -F, jq)`;
  }
  if (uplink?.kind === "mqtt") {
    return `: its results are at the broker ${uplink.url} (mosquitto_sub)`;
  }
  return uplink?.kind === "http" ? `: its results are posted to ${uplink.url}` : "";
}

const defaultPort = 9_092;

/** `[::1]:9092`, `host`, `host:9092` */
function addressOf(text: string): string {
  const [, port] = /^(?:\[[^\]]+\]|[^:]+):(\d+)$/.exec(text) ?? [];
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return text;
  if (port === undefined && /^(\[[^\]]+\]|[^:\s]+)$/.test(text)) return `${text}:${defaultPort}`;
  throw new UsageError(`--kafka is HOST[:PORT], not ${JSON.stringify(text)}`);
}

/** Undefined where no option says anything of it. */
function securityOf(
  text: (name: keyof typeof kafkaOptions) => string | undefined,
  tls: boolean,
): KafkaSecurity | undefined {
  const [ca, certificate, key] = [text("ca"), text("certificate"), text("certificate-key")];
  const serverName = text("server-name");
  if ((certificate === undefined) !== (key === undefined)) {
    throw new UsageError(
      "a client certificate needs --certificate and --certificate-key, both of them",
    );
  }
  const isTls = tls || [ca, certificate, serverName].some((each) => each !== undefined);
  const sasl = saslOf(text);
  if (!isTls && sasl === undefined) return undefined;
  const named = {
    ...(ca === undefined ? {} : { ca: resolve(ca) }),
    ...(certificate === undefined ? {} : { certificate: resolve(certificate) }),
    ...(key === undefined ? {} : { key: resolve(key) }),
    ...(serverName === undefined ? {} : { serverName }),
  };
  return { tls: isTls ? named : undefined, sasl };
}

function saslOf(text: (name: keyof typeof kafkaOptions) => string | undefined) {
  const mechanism = text("sasl");
  const [user, passwordFile, tokenFile] = [text("user"), text("password-file"), text("token-file")];
  if (mechanism === undefined) {
    if ((user ?? passwordFile ?? tokenFile) === undefined) return undefined;
    throw new UsageError("a login needs --sasl MECHANISM");
  }
  switch (mechanism) {
    case "OAUTHBEARER":
      if (tokenFile === undefined) throw new UsageError("OAUTHBEARER needs --token-file");
      return { mechanism, tokenFile: resolve(tokenFile) } as const;
    case "PLAIN":
    case "SCRAM-SHA-256":
    case "SCRAM-SHA-512":
      if (user === undefined || passwordFile === undefined) {
        throw new UsageError(`${mechanism} needs --user and --password-file`);
      }
      return { mechanism, user, password: passwordIn(passwordFile) } as const;
    default:
      throw new UsageError(
        `--sasl is PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, not ${JSON.stringify(mechanism)}`,
      );
  }
}

/** The first line of the file. */
function passwordIn(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new Fault("INPUT_INVALID", `cannot read the password in ${file}`, { cause });
  }
  const [password = ""] = text.split(/\r?\n/, 1);
  if (password !== "") return password;
  throw new Fault("INPUT_INVALID", `${file} has no password in its first line`);
}
