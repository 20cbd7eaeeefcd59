/**
 * How brokers elsewhere are reached, those of `brokers` and of a bridge alike: addresses, the files of
 * TLS, and the login.
 *
 *   mqtt://host  mqtts://host:port  ws://host/path  wss://host/path
 */

import { resolve } from "node:path";
import { assert } from "../../core/assert.ts";
import type { ConnectAddress, TlsConnect } from "../../core/doors.ts";
import { isLoopback } from "../../core/loopback.ts";
import { type Finding, nameOfPath, type Path } from "./fault.ts";
import type { RemoteBrokerSection } from "./remote-broker-section.ts";

type Scheme = { readonly port: number; readonly isSecure: boolean; readonly isWeb: boolean };

const schemes: ReadonlyMap<string, Scheme> = new Map([
  ["mqtt:", { port: 1_883, isSecure: false, isWeb: false }],
  ["mqtts:", { port: 8_883, isSecure: true, isWeb: false }],
  ["ws:", { port: 80, isSecure: false, isWeb: true }],
  ["wss:", { port: 443, isSecure: true, isWeb: true }],
]);

/** Where most brokers have MQTT over WebSocket. */
const defaultPath = "/mqtt";

// ---- the effective form ----

/** Where a checked address leads; relative paths of `tls` are relative to `directory`. */
export function connectAddress(
  url: string,
  { tls, directory }: { readonly tls: RemoteBrokerSection["tls"]; readonly directory: string },
): ConnectAddress {
  const parsed = URL.parse(url);
  const scheme = schemes.get(parsed?.protocol ?? "");
  assert(parsed !== null && scheme !== undefined, "a checked address is one");
  const path = pathOf(parsed) === "" ? defaultPath : parsed.pathname + parsed.search;
  return {
    host: hostOf(parsed),
    port: parsed.port === "" ? scheme.port : Number(parsed.port),
    ...(scheme.isSecure ? { tls: tlsConnect(tls, directory) } : {}),
    ...(scheme.isWeb ? { webSocket: { path } } : {}),
  };
}

/** The address for people: what stands behind a `?` is a login with some brokers. */
export function shownAddress(url: string): string {
  return url.replace(/\?.*$/s, "?...");
}

/** Paths of `tls` are relative to `directory`. */
export function tlsConnect(tls: RemoteBrokerSection["tls"], directory: string): TlsConnect {
  const { ca, certificate, key, serverName } = tls ?? {};
  const from = (path: string): string => resolve(directory, path);
  return {
    ...(ca === undefined ? {} : { caFile: from(ca) }),
    ...(certificate === undefined ? {} : { certificateFile: from(certificate) }),
    ...(key === undefined ? {} : { keyFile: from(key) }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

// ---- checks ----

/** CONNECT has the length of a text in two bytes. */
const TEXT_BYTES_MAX = 65_535;

/** `addresses`: each with its place. */
export function checkRemote(
  { user, password, tls }: RemoteBrokerSection,
  {
    addresses,
    at,
  }: { readonly addresses: readonly (readonly [string, Path])[]; readonly at: Path },
): { readonly findings: readonly Finding[]; readonly warnings: readonly Finding[] } {
  const findings: Finding[] = [];
  const warnings: Finding[] = [];
  for (const [url, path] of addresses) {
    const message = addressProblem(url);
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
  if (tls !== undefined && !addresses.some(([url]) => isSecure(url))) {
    findings.push({ path: [...at, "tls"], message: "no address is with TLS: mqtts:// or wss://" });
  }
  if (password !== undefined && user === undefined) {
    findings.push({ path: [...at, "password"], message: "a password is a user's: set user too" });
  }
  for (const [name, text = ""] of Object.entries({ user, password })) {
    if (Buffer.byteLength(text) <= TEXT_BYTES_MAX) continue;
    const message = `expected at most ${TEXT_BYTES_MAX} bytes; is it the right file?`;
    findings.push({ path: [...at, name], message });
  }
  return { findings, warnings };
}

/** Two connections with one client id at one address put each other out for ever. */
export function sharedClientIds(
  clients: readonly {
    readonly clientId: string;
    readonly urls: readonly string[];
    readonly at: Path;
  }[],
): Finding[] {
  const first = new Map<string, Path>();
  return clients.flatMap(({ clientId, urls, at }) => {
    for (const url of urls) {
      const key = JSON.stringify([placeOf(url), clientId]);
      const before = first.get(key);
      if (before !== undefined && before !== at) {
        const message = `${nameOfPath(before)} has this client id at the same address: they would put each other out`;
        return [{ path: [...at, "clientId"], message }];
      }
      first.set(key, at);
    }
    return [];
  });
}

/** Host and port, said or not. */
function placeOf(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) return url;
  return `${hostOf(parsed)} ${parsed.port || String(schemes.get(parsed.protocol)?.port)}`;
}

/** Not left to the schema, whose message would show an address with its login. */
function addressProblem(url: string): string | undefined {
  const expected = "expected an address such as mqtt://10.0.0.5 or mqtts://broker.example:8883";
  const parsed = URL.parse(url);
  // What looks like a login is none to show either, though it be no address.
  const hasLogin = parsed !== null && (parsed.username !== "" || parsed.password !== "");
  if (hasLogin || /^[^:]+:\/\/[^/?#]*@/.test(url)) {
    return "no login in the address: user and password are it";
  }
  if (parsed === null || parsed.hostname === "" || !url.includes("://")) return expected;
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

function pathOf({ pathname, search }: URL): string {
  return pathname === "/" && search === "" ? "" : pathname + search;
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}
