/** The effective configuration of an uplink to an HTTP endpoint, and what of it depends on several values. */

import { resolve } from "node:path";
import { assert } from "../../core/assert.ts";
import type { NetAddress, TlsConnect } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { isLoopback } from "../../core/loopback.ts";
import type { HttpLogin } from "../doors/http-client.ts";
import type { Finding, Path } from "./fault.ts";
import type { PostSection } from "./post-section.ts";
import { shownAddress, tlsConnect } from "./remote-broker.ts";

export type PostUplinkConfig = {
  readonly kind: "http";
  /** As the user wrote it, for people: without its query. */
  readonly url: string;
  readonly address: NetAddress & { readonly tls?: TlsConnect };
  /** As the header has it. */
  readonly host: string;
  /** With its query. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly login: HttpLogin | undefined;
  readonly format: "ndjson" | "cloudevents";
  readonly compress: "gzip" | "none";
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly connectMs: number;
  readonly answerMs: number;
  /** Links it may go over, the first to prefer; absent: whatever there is. */
  readonly via?: readonly string[];
};

/** Everything but where it goes and as whom. */
export const postUplinkDefaults: Pick<
  PostUplinkConfig,
  "format" | "compress" | "lingerMs" | "batchBytesMax" | "connectMs" | "answerMs"
> = {
  format: "ndjson",
  compress: "none",
  lingerMs: limits.postLingerMs,
  batchBytesMax: limits.postBatchBytes,
  connectMs: limits.postConnectMs,
  answerMs: limits.postAnswerMs,
};

/** `section` has passed all checks; relative paths are relative to `directory`. */
export function postUplinkConfig(section: PostSection, directory: string): PostUplinkConfig {
  const { url, headers, tls, format, compress, linger, batch, timeouts } = section;
  const parsed = URL.parse(url);
  assert(parsed !== null, "a checked address is one");
  const isSecure = parsed.protocol === "https:";
  const port = parsed.port === "" ? (isSecure ? 443 : 80) : Number(parsed.port);
  const secured = isSecure ? { tls: tlsConnect(tls, directory) } : {};
  const named = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return {
    kind: "http",
    url: shownAddress(url),
    address: { host: hostOf(parsed), port, ...secured },
    host: parsed.host,
    path: parsed.pathname + parsed.search,
    headers: Object.fromEntries(named) as Readonly<Record<string, string>>,
    login: loginOf(section, directory),
    format,
    compress,
    lingerMs: linger,
    batchBytesMax: batch,
    connectMs: timeouts.connect,
    answerMs: timeouts.answer,
  };
}

function loginOf(
  { user, password = "", token, tokenFile }: PostSection,
  directory: string,
): HttpLogin | undefined {
  if (token !== undefined) return { kind: "bearer", token };
  if (tokenFile !== undefined) return { kind: "bearerFile", file: resolve(directory, tokenFile) };
  return user === undefined ? undefined : { kind: "basic", user, password };
}

/** What two uplinks must not have in common. */
export function postIdentity({ url }: PostSection): string {
  const parsed = URL.parse(url);
  return parsed === null ? url : parsed.host + parsed.pathname;
}

// ---- checks ----

/** What of a section contradicts itself, and what is allowed and probably not meant. */
export function checkPost(
  section: PostSection,
  at: Path,
): { readonly findings: readonly Finding[]; readonly warnings: readonly Finding[] } {
  const { url, headers, token, tokenFile, user, password, tls } = section;
  const findings: Finding[] = [];
  const find = (path: Path, message: string): void => {
    findings.push({ path: [...at, ...path], message });
  };
  const problem = addressProblem(url);
  if (problem !== undefined) find(["url"], problem);
  if (tls !== undefined && (tls.certificate === undefined) !== (tls.key === undefined)) {
    find(["tls"], "a client certificate needs certificate and key, both of them");
  }
  if (tls !== undefined && problem === undefined && !url.startsWith("https:")) {
    find(["tls"], "the address is without TLS: https://");
  }
  if (password !== undefined && user === undefined) {
    find(["password"], "a password is a user's: set user too");
  }
  if (user?.includes(":") === true) find(["user"], "a user name with a colon cannot be sent");
  const logins = Object.entries({ token, tokenFile, user }).filter(([, word]) => word);
  if (logins.length > 1) {
    const names = logins.map(([name]) => name).join(" and ");
    find([], `one login is enough, not ${names}`);
  }
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    find(["token"], "a token has visible ASCII characters only, and no spaces");
  }
  findings.push(...headerFindings(headers, { at, hasLogin: logins.length > 0 }));
  const warnings: Finding[] = [];
  if (problem === undefined && isOpen(url)) {
    const hasSecret = logins.length > 0 || Object.keys(headers).length > 0;
    const message = hasSecret
      ? "login and headers go as they are, and anyone on the way can read them: use https://"
      : "records go as they are, and whoever is on the way can read them or answer in its place: use https://";
    warnings.push({ path: [...at, "url"], message });
  }
  return { findings, warnings };
}

/** Not left to the schema, whose message would show an address with its login. */
function addressProblem(url: string): string | undefined {
  const expected = "expected an address such as https://in.example/records";
  const parsed = URL.parse(url);
  const hasLogin = parsed !== null && parsed.username + parsed.password !== "";
  if (hasLogin || /^[^:]+:\/\/[^/?#]*@/.test(url)) {
    return "no login in the address: token, or user and password, are it";
  }
  if (parsed === null || parsed.hostname === "" || !url.includes("://")) return expected;
  if (!["http:", "https:"].includes(parsed.protocol)) {
    return `${parsed.protocol}// is neither https nor http`;
  }
  return parsed.hash === "" && parsed.port !== "0" ? undefined : expected;
}

/** Those that say what a POST carries are the agent's own. */
const ownHeaders: ReadonlySet<string> = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "idempotency-key",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "weir-first",
  "weir-lane",
  "weir-outbox",
]);

function headerFindings(
  headers: PostSection["headers"],
  { at, hasLogin }: { readonly at: Path; readonly hasLogin: boolean },
): Finding[] {
  const names = Object.keys(headers);
  if (names.length > limits.postHeadersMax) {
    const message = `expected at most ${limits.postHeadersMax} headers`;
    return [{ path: [...at, "headers"], message }];
  }
  const known = new Set<string>();
  return names.flatMap((name) => {
    const lower = name.toLowerCase();
    const message = headerProblem(lower, headers[name] ?? "", {
      isKnown: known.has(lower),
      hasLogin,
    });
    known.add(lower);
    return message === undefined ? [] : [{ path: [...at, "headers", name], message }];
  });
}

function headerProblem(
  name: string,
  value: string,
  { isKnown, hasLogin }: { readonly isKnown: boolean; readonly hasLogin: boolean },
): string | undefined {
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]{1,64}$/.test(name)) return "this is no name of a header";
  if (ownHeaders.has(name)) return "this header says what a POST carries, and is set by the agent";
  if (isKnown) return "this header is there already";
  if (name === "authorization" && hasLogin)
    return "the login is set already: remove one of the two";
  if (!/^[\x20-\x7e]*$/.test(value)) return "its value has visible ASCII characters only";
  return value.length > limits.postHeaderCharactersMax
    ? `its value is longer than ${limits.postHeaderCharactersMax} characters`
    : undefined;
}

/** Whether what goes there can be read on the way. */
function isOpen(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed !== null && parsed.protocol === "http:" && !isLoopback(hostOf(parsed));
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}
