/** The effective configuration of an external broker, and what of it depends on several values. */

import { resolve } from "node:path";
import type { TlsConnect } from "../../core/doors.ts";
import { isLoopback } from "../../core/loopback.ts";
import { assert } from "../../core/assert.ts";
import type { BrokerAddress, BrokerConfig, QoS } from "../ingest/mqtt/subscriber/broker-config.ts";
import type { BrokerSection } from "./broker-section.ts";
import type { Finding, Path } from "./fault.ts";
import { suggestion } from "./nearest.ts";

/** `section` has passed all checks; relative paths are relative to `directory`. */
export function brokerConfig(
  section: BrokerSection,
  { agent, directory }: { readonly agent: string; readonly directory: string },
): BrokerConfig {
  const { name, canary } = section;
  const tls = tlsOf(section, directory);
  return {
    name,
    addresses: section.urls.map((url) => addressOf(url, tls)),
    level: section.version === "3.1.1" ? 4 : 5,
    clientId: clientIdOf(section, agent),
    sessionMs: section.session === "clean" ? undefined : section.session,
    user: section.user,
    password: section.password,
    keepAliveMs: section.keepAlive,
    answerMs: section.answerWait,
    qos: qosOf(section.qos),
    receiveMax: section.inFlight,
    share: section.share,
    canary:
      canary === undefined ? undefined : { topic: `weir/${agent}/canary/${name}`, everyMs: canary },
  };
}

function clientIdOf({ clientId, name }: BrokerSection, agent: string): string {
  return clientId ?? `weir-${agent}-${name}`;
}

function qosOf(qos: number): QoS {
  return qos === 0 || qos === 1 ? qos : 2;
}

type Scheme = { readonly port: number; readonly isSecure: boolean; readonly isWeb: boolean };

const schemes: ReadonlyMap<string, Scheme> = new Map([
  ["mqtt:", { port: 1_883, isSecure: false, isWeb: false }],
  ["mqtts:", { port: 8_883, isSecure: true, isWeb: false }],
  ["ws:", { port: 80, isSecure: false, isWeb: true }],
  ["wss:", { port: 443, isSecure: true, isWeb: true }],
]);

/** Where most brokers have MQTT over WebSocket. */
const defaultPath = "/mqtt";

function addressOf(url: string, tls: TlsConnect): BrokerAddress {
  const parsed = URL.parse(url);
  const scheme = schemes.get(parsed?.protocol ?? "");
  assert(parsed !== null && scheme !== undefined, "a checked address is one");
  const path = pathOf(parsed) === "" ? defaultPath : parsed.pathname + parsed.search;
  return {
    url,
    connect: {
      host: hostOf(parsed),
      port: parsed.port === "" ? scheme.port : Number(parsed.port),
      ...(scheme.isSecure ? { tls } : {}),
      ...(scheme.isWeb ? { webSocket: { path } } : {}),
    },
  };
}

function pathOf({ pathname, search }: URL): string {
  return pathname === "/" && search === "" ? "" : pathname + search;
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

function tlsOf({ tls = {} }: BrokerSection, directory: string): TlsConnect {
  const { ca, certificate, key, serverName } = tls;
  const from = (path: string): string => resolve(directory, path);
  return {
    ...(ca === undefined ? {} : { caFile: from(ca) }),
    ...(certificate === undefined ? {} : { certificateFile: from(certificate) }),
    ...(key === undefined ? {} : { keyFile: from(key) }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

export type CheckedBrokers = {
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
};

/** `sources`: undefined where one has findings of its own. */
export function checkBrokers(
  brokers: readonly (BrokerSection | undefined)[],
  sources: readonly ({ readonly broker?: string } | undefined)[],
  agent: string | undefined,
): CheckedBrokers {
  const findings: Finding[] = [];
  const warnings: Finding[] = [];
  for (const [index, broker] of brokers.entries()) {
    if (broker === undefined) continue;
    const checked = checkBroker(broker, ["brokers", index]);
    findings.push(...checked.findings);
    warnings.push(...checked.warnings);
    if (sources.every((source) => source !== undefined && source.broker !== broker.name)) {
      const message = `no source takes from ${broker.name}: nobody connects to it; say broker: ${broker.name} in a source`;
      warnings.push({ path: ["brokers", index], message });
    }
  }
  findings.push(...unknownBrokers(brokers, sources), ...sharedClientIds(brokers, agent));
  return { findings, warnings };
}

function checkBroker(section: BrokerSection, at: Path): CheckedBrokers {
  const findings: Finding[] = [];
  const warnings: Finding[] = [];
  const { urls, tls, password } = section;
  for (const [position, url] of urls.entries()) {
    const path = [...at, "urls", position];
    const message = addressFinding(url);
    if (message !== undefined) findings.push({ path, message });
    else if (password !== undefined && isOpen(url)) {
      const open =
        "the password goes as it is, and anyone on the way can read it: use mqtts:// or wss://";
      warnings.push({ path, message: open });
    }
  }
  if (tls !== undefined && (tls.certificate === undefined) !== (tls.key === undefined)) {
    const message = "a client certificate needs certificate and key, both of them";
    findings.push({ path: [...at, "tls"], message });
  }
  if (tls !== undefined && !urls.some(isSecure)) {
    findings.push({ path: [...at, "tls"], message: "no address is with TLS: mqtts:// or wss://" });
  }
  if (password !== undefined && section.user === undefined) {
    findings.push({ path: [...at, "password"], message: "a password is a user's: set user too" });
  }
  if (section.session === "clean" && section.qos > 0) {
    const message =
      "clean: what is published while we are away is gone; a duration has the broker keep it";
    warnings.push({ path: [...at, "session"], message });
  }
  if (section.qos === 0 && section.session !== "clean") {
    const message =
      "with QoS 0 a broker keeps nothing while we are away, and a crash loses what is not synced";
    warnings.push({ path: [...at, "qos"], message });
  }
  return { findings, warnings };
}

/** Not left to the schema, whose message would show an address with its login. */
function addressFinding(url: string): string | undefined {
  const expected = "expected an address such as mqtt://10.0.0.5 or mqtt://broker.example:1883";
  if (/^[^:]+:\/\/[^/?#]*@/.test(url)) return "no login in the address: user and password are it";
  const parsed = URL.parse(url);
  if (parsed === null || parsed.hostname === "") return expected;
  const scheme = schemes.get(parsed.protocol);
  if (scheme === undefined) return `${parsed.protocol}// is none of mqtt, mqtts, ws and wss`;
  if (!scheme.isWeb && pathOf(parsed) !== "") return `${expected}, without a path`;
  return parsed.hash === "" && parsed.port !== "0" ? undefined : expected;
}

function isSecure(url: string): boolean {
  return schemes.get(URL.parse(url)?.protocol ?? "")?.isSecure === true;
}

/** Whether what goes there can be read on the way. */
function isOpen(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed !== null && !isSecure(url) && !isLoopback(hostOf(parsed));
}

function unknownBrokers(
  brokers: readonly (BrokerSection | undefined)[],
  sources: readonly ({ readonly broker?: string } | undefined)[],
): Finding[] {
  if (brokers.includes(undefined)) return [];
  const names = brokers.flatMap((broker) => (broker === undefined ? [] : [broker.name]));
  return sources.flatMap((source, index) => {
    const wanted = source?.broker;
    if (wanted === undefined || names.includes(wanted)) return [];
    const message = `no broker has the name ${JSON.stringify(wanted)}; ${suggestion(wanted, names)}`;
    return [{ path: ["sources", index, "broker"], message }];
  });
}

/** Two sessions with one client id at one address put each other out. */
function sharedClientIds(
  brokers: readonly (BrokerSection | undefined)[],
  agent: string | undefined,
): Finding[] {
  const first = new Map<string, number>();
  return brokers.flatMap((broker, index) => {
    if (broker === undefined) return [];
    const id = clientIdOf(broker, agent ?? "");
    for (const url of broker.urls) {
      const parsed = URL.parse(url);
      const key = `${parsed?.host ?? url} ${id}`;
      const before = first.get(key);
      if (before !== undefined && before !== index) {
        const message = `brokers[${before}] has this client id at the same address: they would put each other out`;
        return [{ path: ["brokers", index, "clientId"], message }];
      }
      first.set(key, index);
    }
    return [];
  });
}
