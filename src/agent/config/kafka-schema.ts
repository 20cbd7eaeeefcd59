/** The schema of an uplink's `kafka` section; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import { kafkaUplinkDefaults as defaults, savepointTopicDefault } from "./kafka-config.ts";
import type { KafkaSection } from "./kafka-section.ts";
import { bytesText, durationText } from "./quantity.ts";
import {
  anyText,
  byteSize,
  choice,
  duration,
  flag,
  integer,
  list,
  SECOND_MS,
  secretText,
  section,
  sectionByName,
  type Value,
} from "./schema-parts.ts";

const topicName = (about: string): Value<string> => {
  const expected = "a topic name of letters, digits, . _ and - (at most 249)";
  return v.pipe(
    v.string(expected),
    v.regex(/^[A-Za-z0-9._-]{1,249}$/, expected),
    v.description(about),
  );
};

const addressExpected = "an address such as broker-1:9092";
const addressPattern = /^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):\d{1,5}$/;

const address = (about: string): Value<string> =>
  v.pipe(v.string(addressExpected), v.regex(addressPattern, addressExpected), v.description(about));

const url = (about: string): Value<string> => {
  const expected = "an address such as https://schemas.example:8081";
  return v.pipe(v.string(expected), v.regex(/^https?:\/\/[^\s]+$/, expected), v.description(about));
};

/** -1: as the cluster has it. */
const count = (about: string, max: number): Value<number> => integer(about, { min: -1, max });

const schemaId = (about: string): Value<number> => integer(about, { min: 1, max: 2_147_483_647 });

const topics = section("Topics, and what to do where they are missing.", {
  summaries: v.optional(topicName("Topic of summaries."), defaults.topics.summaries),
  alerts: v.optional(topicName("Topic of alerts."), defaults.topics.alerts),
  raw: v.optional(topicName("Topic of readings that are asked for."), defaults.topics.raw),
  cursor: v.optional(topicName("Topic of cursors, compacted."), defaults.topics.cursor),
  create: v.optional(flag("Create topics that are missing."), defaults.topics.create),
  partitions: v.optional(
    count("Partitions of topics created for records; -1 as the cluster has it.", 10_000),
    defaults.topics.partitions,
  ),
  replication: v.optional(
    count("Replicas of topics created; -1 as the cluster has it.", 100),
    defaults.topics.replication,
  ),
  cursorPartitions: v.optional(
    integer("Partitions of the cursor topic if created.", { min: 1, max: 10_000 }),
    defaults.topics.cursorPartitions,
  ),
});

const timeouts = section("How long to wait for the cluster.", {
  connect: v.optional(
    duration("For connection, TLS and login.", { min: 100, max: 120 * SECOND_MS }),
    durationText(defaults.connectMs),
  ),
  request: v.optional(
    duration("For an answer.", { min: 100, max: 300 * SECOND_MS }),
    durationText(defaults.requestMs),
  ),
  transaction: v.optional(
    duration("The cluster aborts a transaction that takes longer.", {
      min: SECOND_MS,
      max: 900 * SECOND_MS,
    }),
    durationText(defaults.transactionMs),
  ),
});

const tls = section("TLS; {} trusts the authorities that come with Node.", {
  ca: v.exactOptional(anyText("PEM file of the authorities to trust.")),
  certificate: v.exactOptional(anyText("PEM file of the client's certificate; with key.")),
  key: v.exactOptional(anyText("PEM file of its private key.")),
  passphrase: v.exactOptional(secretText("Of the key; better ${file:...} than the word itself.")),
  serverName: v.exactOptional(anyText("Name in the brokers' certificates, if not their address.")),
});

const sasl = section("Login.", {
  mechanism: choice("SASL mechanism.", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]),
  user: v.exactOptional(anyText("User name.")),
  password: v.exactOptional(
    secretText("Password; better ${file:/run/secrets/name} than the word itself."),
  ),
  tokenFile: v.exactOptional(anyText("File of the OAUTHBEARER token, read at each login.")),
});

export const kafkaSchema: v.GenericSchema<unknown, KafkaSection> = section(
  "Kafka: exactly once, in transactions that carry their own cursor.",
  {
    brokers: list("Brokers to begin with, tried in order.", address("host:port"), {
      min: 1,
      max: limits.kafkaBrokersMax,
      such: "kafka.example:9092",
    }),
    addresses: v.exactOptional(
      v.pipe(
        sectionByName(
          "Where brokers are reached, by the address that the cluster gives them: tunnels, forwarded ports.",
          address("Where it is reached."),
          v.pipe(v.string(addressExpected), v.regex(addressPattern, addressExpected)),
        ),
        v.maxEntries(limits.kafkaBrokersMax, `at most ${limits.kafkaBrokersMax} addresses`),
      ),
    ),
    delivery: v.optional(
      choice("transactional is exactly once; upsert is at least once, for clusters without.", [
        "transactional",
        "upsert",
      ]),
      defaults.delivery,
    ),
    format: v.optional(choice("Format of values.", ["json", "avro-confluent"]), defaults.format),
    headers: v.optional(
      choice("cloudevents describes each record; minimal has ce_id only.", [
        "cloudevents",
        "minimal",
      ]),
      defaults.headers,
    ),
    compression: v.optional(
      choice("Compression of batches.", ["none", "zstd", "lz4", "snappy", "gzip"]),
      defaults.compression,
    ),
    topics: v.optional(topics, {}),
    commands: v.exactOptional(
      section("Take commands from a topic: requests for raw readings.", {
        topic: topicName("Topic of commands; it must be there."),
        poll: v.optional(
          duration("How often to look for one, at least; a metered link is asked less often.", {
            min: 100,
            max: limits.commandsPollMsMax,
          }),
          durationText(limits.commandsPollMs),
        ),
      }),
    ),
    schemas: v.exactOptional(
      section("Ids of the Avro schemas, where no registry is asked.", {
        summary: schemaId("Id of weir.summary."),
        alert: schemaId("Id of weir.alert."),
      }),
    ),
    registry: v.exactOptional(
      section("Confluent schema registry: asked once, then remembered.", {
        url: url("Address of the registry, without user and password."),
        user: v.exactOptional(anyText("User name.")),
        password: v.exactOptional(secretText("Password.")),
      }),
    ),
    savepoints: v.exactOptional(
      section("Savepoints of the running agent, from which weir restore --from-kafka begins.", {
        topic: v.optional(
          topicName("Topic of savepoints, compacted; created as topics.create says."),
          savepointTopicDefault,
        ),
        every: v.optional(
          duration("One at the first checkpoint (commit.checkpoint) after so long.", {
            min: SECOND_MS,
            max: 31 * 24 * 3_600 * SECOND_MS,
          }),
          "1h",
        ),
      }),
    ),
    linger: v.optional(
      duration("Summaries wait so long for others to share a transaction; alerts never do.", {
        min: 0,
        max: 3_600 * SECOND_MS,
      }),
      durationText(defaults.lingerMs),
    ),
    batch: v.optional(
      byteSize("Records of one transaction, before compression.", {
        min: 1_024,
        max: limits.kafkaBatchBytesCeiling,
      }),
      bytesText(defaults.batchBytesMax),
    ),
    record: v.exactOptional(
      byteSize(
        `A larger record is left out, counted and named. Default: ${bytesText(defaults.recordBytesMax)}, or batch.`,
        { min: 1_024, max: limits.kafkaBatchBytesCeiling },
      ),
    ),
    timeouts: v.optional(timeouts, {}),
    tls: v.exactOptional(tls),
    sasl: v.exactOptional(sasl),
  },
);
