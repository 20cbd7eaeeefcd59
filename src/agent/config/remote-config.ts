/** The effective `remote` section, and what of it depends on several values. */

import type { BrokerSection } from "./broker-section.ts";
import type { UplinkSection } from "./config-file.ts";
import type { Finding, Path } from "./fault.ts";
import { suggestion } from "./nearest.ts";
import type { RemoteSection, RemoteSectionName } from "./remote-section.ts";

export type RemoteKey = {
  readonly name: string;
  /** The 32 bytes of an Ed25519 public key. */
  readonly raw: Uint8Array;
};

export type RemoteConfig = {
  readonly keys: readonly RemoteKey[];
  /** `broker` is the name of one of the local file's. */
  readonly mqtt?: { readonly broker: string; readonly topic: string };
  readonly kafka?: { readonly topic: string; readonly pollMs: number };
  readonly allow: readonly RemoteSectionName[];
  readonly watchMs: number;
  readonly triesMax: number;
};

/** `section` has passed all checks. */
export function remoteConfig(section: RemoteSection, agent: string): RemoteConfig {
  const { keys, mqtt, kafka, allow, watch, tries } = section;
  return {
    keys: keys.map(({ name, key }) => ({ name, raw: rawOf(key) ?? new Uint8Array() })),
    ...(mqtt === undefined
      ? {}
      : { mqtt: { broker: mqtt.broker, topic: mqtt.topic.replaceAll("{agent}", agent) } }),
    ...(kafka === undefined ? {} : { kafka: { topic: kafka.topic, pollMs: kafka.poll } }),
    allow,
    watchMs: watch,
    triesMax: tries,
  };
}

/** `brokers` and `uplinks`: undefined where one has findings of its own. */
export function checkRemoteSection(
  section: RemoteSection,
  {
    brokers,
    uplinks,
  }: {
    readonly brokers: readonly (BrokerSection | undefined)[];
    readonly uplinks: readonly (UplinkSection | undefined)[];
  },
): readonly Finding[] {
  const { keys, mqtt, kafka } = section;
  const findings: Finding[] = [];
  const find = (path: Path, message: string): void => {
    findings.push({ path: ["remote", ...path], message });
  };
  if (mqtt === undefined && kafka === undefined) {
    find([], "it comes from nowhere: name a topic in mqtt or kafka");
  }
  const names = new Map<string, number>();
  for (const [index, { name, key }] of keys.entries()) {
    if (rawOf(key) === undefined) {
      const message = "expected base64 of 32 bytes, as weir remote keygen prints a public key";
      find(["keys", index, "key"], message);
    }
    const before = names.get(name);
    if (before !== undefined) {
      find(
        ["keys", index, "name"],
        `${JSON.stringify(name)} is the name of keys[${before}] already`,
      );
    }
    names.set(name, index);
  }
  if (mqtt !== undefined) {
    const known = brokers.flatMap((broker) => (broker === undefined ? [] : [broker.name]));
    if (!brokers.includes(undefined) && !known.includes(mqtt.broker)) {
      const message = `no broker has the name ${JSON.stringify(mqtt.broker)}; ${suggestion(mqtt.broker, known)}`;
      find(["mqtt", "broker"], message);
    }
    if (/[+#]/.test(mqtt.topic)) {
      find(["mqtt", "topic"], "one topic, without + and #: a configuration is one message");
    }
  }
  const hasKafka = uplinks.some((uplink) => uplink === undefined || uplink.kafka !== undefined);
  if (kafka !== undefined && !hasKafka) {
    find(["kafka"], "there is no uplink to Kafka, whose cluster would have the topic");
  }
  return findings;
}

/** Undefined where it is no key. */
function rawOf(key: string): Uint8Array | undefined {
  const raw = Buffer.from(key, "base64");
  return raw.length === 32 && raw.toString("base64") === key ? new Uint8Array(raw) : undefined;
}
