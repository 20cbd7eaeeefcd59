/** The effective configuration of an external broker, and what of it depends on several values. */

import type { BrokerConfig, QoS } from "../ingest/mqtt/subscriber/subscriber-config.ts";
import type { BrokerSection } from "./broker-section.ts";
import type { Finding, Path } from "./fault.ts";
import { suggestion } from "./nearest.ts";
import { checkRemote, connectAddress, shownAddress } from "./remote-broker.ts";

/** `section` has passed all checks; relative paths are relative to `directory`. */
export function brokerConfig(
  section: BrokerSection,
  { agent, directory }: { readonly agent: string; readonly directory: string },
): BrokerConfig {
  const { name, canary } = section;
  const { tls } = section;
  return {
    name,
    addresses: section.urls.map((url) => ({
      url: shownAddress(url),
      connect: connectAddress(url, { tls, directory }),
    })),
    level: section.version === "3.1.1" ? 4 : 5,
    clientId: brokerClientId(section, agent),
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

/** As which the broker knows our session. */
export function brokerClientId({ clientId, name }: BrokerSection, agent: string): string {
  return clientId ?? `weir-${agent}-${name}`;
}

function qosOf(qos: number): QoS {
  return qos === 0 || qos === 1 ? qos : 2;
}

type CheckedBrokers = {
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
};

/** `sources`: undefined where one has findings of its own. `wanted`: a broker that is used without them. */
export function checkBrokers(
  brokers: readonly (BrokerSection | undefined)[],
  sources: readonly ({ readonly broker?: string } | undefined)[],
  wanted: string | undefined,
): CheckedBrokers {
  const findings: Finding[] = [];
  const warnings: Finding[] = [];
  for (const [index, broker] of brokers.entries()) {
    if (broker === undefined) continue;
    const checked = checkBroker(broker, ["brokers", index]);
    findings.push(...checked.findings);
    warnings.push(...checked.warnings);
    if (broker.name === wanted) continue;
    if (sources.every((source) => source !== undefined && source.broker !== broker.name)) {
      const message = `no source takes from ${broker.name}: nobody connects to it; say broker: ${broker.name} in a source`;
      warnings.push({ path: ["brokers", index], message });
    }
  }
  findings.push(...unknownBrokers(brokers, sources));
  return { findings, warnings };
}

function checkBroker(section: BrokerSection, at: Path): CheckedBrokers {
  const addresses = section.urls.map((url, position) => [url, [...at, "urls", position]] as const);
  const { findings, warnings: doubts } = checkRemote(section, { addresses, at });
  const warnings = [...doubts];
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
