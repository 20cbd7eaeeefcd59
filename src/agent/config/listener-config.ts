/**
 * The listeners of the embedded broker: the plain one of `mqtt.host` and `mqtt.port`, and those of
 * `mqtt.listeners`. What of them depends on several values, and their effective form.
 */

import { resolve } from "node:path";
import { assert } from "../../core/assert.ts";
import type { ListenAddress, TlsListen } from "../../core/doors.ts";
import { isLoopback } from "../../core/loopback.ts";
import type { Finding, Path } from "./fault.ts";
import type { ListenerSection, ListenerTlsSection } from "./listener-section.ts";

/** The part of the `mqtt` section that says where to listen. */
export type ListenSection = {
  readonly host: string;
  readonly port: number | "off";
  readonly listeners: readonly ListenerSection[];
};

type Listener = ListenerSection & { readonly at: Path };

function allOf({ host, port, listeners }: ListenSection): readonly Listener[] {
  return [
    ...(port === "off" ? [] : [{ host, port, at: ["mqtt"] }]),
    ...listeners.map((listener, index) => ({ ...listener, at: ["mqtt", "listeners", index] })),
  ];
}

/** Whether others can reach a listener that lets in whoever has no certificate. */
export function isReachable(section: ListenSection): boolean {
  return allOf(section).some(isUnlocked);
}

function isUnlocked({ host, tls }: Listener): boolean {
  return !isLoopback(host) && clientCertificateOf(tls) !== "required";
}

function clientCertificateOf(tls: ListenerTlsSection | undefined): TlsListen["clientCertificate"] {
  return tls?.clientCertificate ?? (tls?.clientCa === undefined ? "none" : "required");
}

/** `hasUsers`: clients have to log in. `anonymous`: what the section says, if it does. */
export function checkListeners(
  section: ListenSection,
  { hasUsers, anonymous }: { readonly hasUsers: boolean; readonly anonymous: boolean | undefined },
): { readonly findings: readonly Finding[]; readonly warnings: readonly Finding[] } {
  const findings: Finding[] = [];
  const warnings: Finding[] = [];
  const all = allOf(section);
  for (const [index, listener] of all.entries()) {
    const { host, port, tls, at } = listener;
    if (isUnlocked(listener) && !hasUsers && anonymous !== true) {
      const certificates = tls === undefined ? "" : ", require client certificates";
      const message = `${host} can be reached from other machines: add users${certificates}, or say anonymous: true`;
      findings.push({ path: [...at, "host"], message });
    }
    if (hasUsers && tls === undefined && !isLoopback(host)) {
      const message = "passwords cross the network as they are: use a listener with tls";
      warnings.push({ path: [...at, "host"], message });
    }
    const before = all.slice(0, index).find((other) => port !== 0 && other.port === port);
    if (before !== undefined) {
      const where = before.at.length === 1 ? "mqtt.port" : `mqtt.listeners[${before.at[2]}]`;
      findings.push({ path: [...at, "port"], message: `${port} is the port of ${where} already` });
    }
    findings.push(...contradictions(listener));
  }
  return { findings, warnings };
}

function contradictions({ tls, webSocket, allowedOrigins, at }: Listener): Finding[] {
  const findings: Finding[] = [];
  if (at.length > 1 && tls === undefined && webSocket === undefined) {
    const message = "a listener beside the plain one has tls, webSocket or both";
    findings.push({ path: at, message });
  }
  if (allowedOrigins !== undefined && webSocket === undefined) {
    const message = "only web pages have an origin: add webSocket, or remove this";
    findings.push({ path: [...at, "allowedOrigins"], message });
  }
  if (tls === undefined) return findings;
  const { clientCa, clientCertificate, crl } = tls;
  const isAsked = clientCertificateOf(tls) !== "none";
  if (isAsked && clientCa === undefined) {
    const message = "client certificates need clientCa, the authority that signs them";
    findings.push({ path: [...at, "tls", "clientCertificate"], message });
  }
  if (clientCertificate === "none" && clientCa !== undefined) {
    const message = "clientCa is for client certificates: remove it, or say optional or required";
    findings.push({ path: [...at, "tls", "clientCa"], message });
  }
  if (crl !== undefined && !isAsked) {
    const message = "crl is for client certificates: add clientCa, or remove it";
    findings.push({ path: [...at, "tls", "crl"], message });
  }
  return findings;
}

/** Ports that are taken, those that take a free one left out. */
export function portsOf(section: ListenSection): readonly number[] {
  return allOf(section).flatMap(({ port }) => (port === 0 ? [] : [port]));
}

// ---- the effective form ----

/** `listener` has passed all checks; relative paths are relative to `directory`. */
export function listenAddress(listener: ListenerSection, directory: string): ListenAddress {
  const { host, port, tls, webSocket: path, allowedOrigins } = listener;
  return {
    host,
    port,
    ...(tls === undefined ? {} : { tls: tlsOf(tls, directory) }),
    ...(path === undefined
      ? {}
      : { webSocket: { path, ...(allowedOrigins === undefined ? {} : { allowedOrigins }) } }),
  };
}

function tlsOf(tls: ListenerTlsSection, directory: string): TlsListen {
  const { certificate, key, clientCa, crl } = tls;
  const clientCertificate = clientCertificateOf(tls);
  assert(
    clientCertificate === "none" || clientCa !== undefined,
    "a checked listener knows who signs its clients' certificates",
  );
  return {
    certificateFile: resolve(directory, certificate),
    keyFile: resolve(directory, key),
    clientCertificate,
    ...(clientCa === undefined ? {} : { clientCaFile: resolve(directory, clientCa) }),
    ...(crl === undefined ? {} : { crlFile: resolve(directory, crl) }),
  };
}

/** Of an effective configuration: everywhere to listen, the plain listener first. */
export function listenersOf(mqtt: {
  readonly host: string;
  readonly port: number | "off";
  readonly listeners?: readonly ListenAddress[];
}): readonly ListenAddress[] {
  const { host, port, listeners = [] } = mqtt;
  return [...(port === "off" ? [] : [{ host, port }]), ...listeners];
}
