/** The effective configuration of a bridge to another MQTT broker, and what of it depends on several values. */

import { resolve } from "node:path";
import { assert } from "../../core/assert.ts";
import type { ConnectAddress, TlsConnect } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { isLoopback } from "../../core/loopback.ts";
import type { BridgeSection } from "./bridge-section.ts";
import type { Finding, Path } from "./fault.ts";

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

type Scheme = { readonly port: number; readonly isSecure: boolean; readonly isWeb: boolean };

const schemes: Readonly<Record<string, Scheme>> = {
  "mqtt:": { port: 1_883, isSecure: false, isWeb: false },
  "mqtts:": { port: 8_883, isSecure: true, isWeb: false },
  "ws:": { port: 80, isSecure: false, isWeb: true },
  "wss:": { port: 443, isSecure: true, isWeb: true },
};
const defaultWebPath = "/mqtt";

/** `section` has passed all checks; relative paths are relative to `directory`. */
export function bridgeUplinkConfig(
  section: BridgeSection,
  { agent, directory }: { readonly agent: string; readonly directory: string },
): BridgeUplinkConfig {
  const { url, version, topics, retain, status, timeouts } = section;
  const level = version === "3.1.1" ? 4 : 5;
  return {
    kind: "mqtt",
    url,
    address: addressOf(section, directory),
    level,
    clientId: section.clientId ?? `weir-${agent}-bridge`,
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

function addressOf(section: BridgeSection, directory: string): ConnectAddress {
  const parsed = URL.parse(section.url);
  const scheme = parsed === null ? undefined : schemes[parsed.protocol];
  assert(parsed !== null && scheme !== undefined, "a checked address is one");
  const { pathname, search, port } = parsed;
  const path = `${pathname === "/" || pathname === "" ? defaultWebPath : pathname}${search}`;
  return {
    host: hostOf(section.url),
    port: port === "" ? scheme.port : Number(port),
    ...(scheme.isSecure ? { tls: tlsOf(section, directory) } : {}),
    ...(scheme.isWeb ? { webSocket: { path } } : {}),
  };
}

function tlsOf({ tls = {} }: BridgeSection, directory: string): TlsConnect {
  const { ca, certificate, key, serverName } = tls;
  const from = (path: string): string => resolve(directory, path);
  return {
    ...(ca === undefined ? {} : { caFile: from(ca) }),
    ...(certificate === undefined ? {} : { certificateFile: from(certificate) }),
    ...(key === undefined ? {} : { keyFile: from(key) }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

/** What of a section contradicts itself, and what is allowed and probably not meant. */
export function checkBridge(
  section: BridgeSection,
  at: Path,
): { readonly findings: readonly Finding[]; readonly warnings: readonly Finding[] } {
  const findings: Finding[] = [];
  const warnings: Finding[] = [];
  const find = (path: Path, message: string | undefined): void => {
    if (message !== undefined) findings.push({ path: [...at, ...path], message });
  };
  const { url, user, password, tls, topics } = section;
  const wrong = addressFinding(url);
  find(["url"], wrong);
  const isOpen = wrong === undefined && !schemes[URL.parse(url)?.protocol ?? ""]?.isSecure;
  if (isOpen && tls !== undefined)
    find(["tls"], "this address is without TLS: use mqtts:// or wss://");
  if (isOpen && password !== undefined && !isLoopback(hostOf(url))) {
    const message = "the password goes as it is, and anyone on the way can read it: use mqtts://";
    warnings.push({ path: [...at, "url"], message });
  }
  if (password !== undefined && user === undefined) {
    find(["password"], "a password is a user's: set user too");
  }
  if (tls !== undefined && (tls.certificate === undefined) !== (tls.key === undefined)) {
    find(["tls"], "a client certificate needs certificate and key, both of them");
  }
  find(["topics", "summaries"], topicFinding(topics.summaries, ["agent", "pipeline"]));
  find(["topics", "alerts"], topicFinding(topics.alerts, ["agent", "pipeline"]));
  find(["topics", "status"], topicFinding(topics.status, ["agent"]));
  return { findings, warnings };
}

/** Not left to the schema, whose message would show an address with its login. */
function addressFinding(url: string): string | undefined {
  const expected =
    "expected an address such as mqtts://broker.example, mqtt://10.0.0.5:1883 or wss://broker.example/mqtt";
  if (/^[^:]+:\/\/[^/?#]*@/.test(url)) return "no login in the address: user and password are it";
  const parsed = URL.parse(url);
  if (parsed === null || parsed.hostname === "") return expected;
  const scheme = schemes[parsed.protocol];
  if (scheme === undefined || parsed.hash !== "") return expected;
  const rest = scheme.isWeb ? "" : parsed.pathname.replace(/^\/$/, "") + parsed.search;
  return rest === "" && parsed.port !== "0" ? undefined : expected;
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

function hostOf(url: string): string {
  return (URL.parse(url)?.hostname ?? "").replace(/^\[|\]$/g, "");
}
