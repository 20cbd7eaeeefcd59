/** The effective configuration of a bridge to another MQTT broker, and what of it depends on several values. */

import type { ConnectAddress } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import type { BridgeSection } from "./bridge-section.ts";
import type { Finding, Path } from "./fault.ts";
import { checkRemote, connectAddress, shownAddress } from "./remote-broker.ts";

export type BridgeUplinkConfig = {
  readonly kind: "mqtt";
  /** As the user wrote it, for people. */
  readonly url: string;
  readonly address: ConnectAddress;
  /** 4 is MQTT 3.1.1. */
  readonly level: 4 | 5;
  readonly clientId: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** With `{agent}` and `{pipeline}` for names. */
  readonly topics: BridgeSection["topics"];
  readonly retain: boolean;
  readonly attributes: "cloudevents" | "minimal" | "none";
  /** The retained status is renewed so often; undefined: there is none, and no will. */
  readonly statusMs: number | undefined;
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly keepAliveMs: number;
  readonly connectMs: number;
  readonly answerMs: number;
  /** Links it may go over, the first to prefer; absent: whatever there is. */
  readonly via?: readonly string[];
};

/** Everything but where it goes and as whom. */
export const bridgeUplinkDefaults: Omit<
  BridgeUplinkConfig,
  "url" | "address" | "clientId" | "user" | "password"
> = {
  kind: "mqtt",
  level: 5,
  topics: {
    summaries: "weir/{agent}/summary/{pipeline}",
    alerts: "weir/{agent}/alert/{pipeline}",
    raw: "weir/{agent}/raw",
    status: "weir/{agent}/status",
  },
  retain: false,
  attributes: "cloudevents",
  statusMs: limits.bridgeStatusMs,
  lingerMs: limits.bridgeLingerMs,
  batchBytesMax: limits.bridgeBatchBytes,
  keepAliveMs: limits.bridgeKeepAliveMs,
  connectMs: limits.bridgeConnectMs,
  answerMs: limits.bridgeAnswerMs,
};

/** `section` has passed all checks; relative paths are relative to `directory`. */
export function bridgeUplinkConfig(
  section: BridgeSection,
  { agent, directory }: { readonly agent: string; readonly directory: string },
): BridgeUplinkConfig {
  const { url, version, tls, topics, retain, status, timeouts } = section;
  const level = version === "3.1.1" ? 4 : 5;
  return {
    kind: "mqtt",
    url: shownAddress(url),
    address: connectAddress(url, { tls, directory }),
    level,
    clientId: bridgeClientId(section, agent),
    user: section.user,
    password: section.password,
    topics,
    retain,
    attributes: level === 4 ? "none" : section.attributes,
    statusMs: status === "off" ? undefined : status,
    lingerMs: section.linger,
    batchBytesMax: section.batch,
    keepAliveMs: section.keepAlive,
    connectMs: timeouts.connect,
    answerMs: timeouts.answer,
  };
}

/** As which the broker knows the bridge. */
export function bridgeClientId({ clientId }: BridgeSection, agent: string): string {
  return clientId ?? `weir-${agent}-bridge`;
}

/** What of a section contradicts itself, and what is allowed and probably not meant. */
export function checkBridge(
  section: BridgeSection,
  at: Path,
): { readonly findings: readonly Finding[]; readonly warnings: readonly Finding[] } {
  const { url, topics } = section;
  const checked = checkRemote(section, { addresses: [[url, [...at, "url"]]], at });
  const findings = [...checked.findings];
  const find = (path: Path, message: string | undefined): void => {
    if (message !== undefined) findings.push({ path: [...at, ...path], message });
  };
  find(["topics", "summaries"], topicFinding(topics.summaries, ["agent", "pipeline"]));
  find(["topics", "alerts"], topicFinding(topics.alerts, ["agent", "pipeline"]));
  find(["topics", "raw"], topicFinding(topics.raw, ["agent"]));
  find(["topics", "status"], topicFinding(topics.status, ["agent"]));
  return { findings, warnings: checked.warnings };
}

function topicFinding(topic: string, names: readonly string[]): string | undefined {
  const allowed = names.map((name) => `{${name}}`).join(" and ");
  const rest = names.reduce((left, name) => left.replaceAll(`{${name}}`, ""), topic);
  if (/[{}]/.test(rest)) return `the names in it may be ${allowed}`;
  if (/[+#\0]/.test(rest)) return "messages go to one topic: no + and no #";
  if (topic.startsWith("$")) return "topics that begin with $ are the broker's own";
  const isLong = Buffer.byteLength(topic) > limits.topicBytesMax / 2;
  return isLong ? `longer than ${limits.topicBytesMax / 2} bytes` : undefined;
}
