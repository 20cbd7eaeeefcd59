/** The effective `http` section, and what of it depends on several values. Tokens are kept as digests. */

import { resolve } from "node:path";
import { assert } from "../../core/assert.ts";
import type { TlsListen } from "../../core/doors.ts";
import { isLoopback } from "../../core/loopback.ts";
import { digestOfToken, type TokenConfig } from "../http/tokens.ts";
import { millisOfText } from "../ingest/decode/time.ts";
import type { Finding, Path } from "./fault.ts";
import type { HttpSection, TokenSection } from "./http-section.ts";

export type HttpConfig = {
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsListen;
  readonly tokens?: readonly TokenConfig[];
  readonly allowedHosts?: readonly string[];
};

/** 128 bits take 22 characters of base64, 32 of hexadecimal digits. */
const TOKEN_CHARACTERS_MIN = 32;

/** `taken`: ports of other listeners. */
export function checkHttp(
  section: HttpSection,
  taken: readonly number[],
): { readonly findings: readonly Finding[]; readonly warnings: readonly Finding[] } {
  const { host, port, tls, tokens } = section;
  const findings: Finding[] = [];
  const warnings: Finding[] = [];
  const isReachable = !isLoopback(host);
  if (isReachable && tokens.length === 0) {
    const message = `${host} can be reached from other machines: add tokens (weir token new makes one), or use 127.0.0.1`;
    findings.push({ path: ["http", "host"], message });
  }
  if (isReachable && tokens.length > 0 && tls === undefined) {
    const message =
      "tokens cross the network as they are: add tls, or use 127.0.0.1 and a reverse proxy";
    warnings.push({ path: ["http", "host"], message });
  }
  if (taken.includes(port)) {
    findings.push({ path: ["http", "port"], message: `${port} is the port of mqtt as well` });
  }
  for (const [index, token] of tokens.entries()) {
    findings.push(...tokenFindings(token, { index, tokens, at: ["http", "tokens", index] }));
  }
  return { findings, warnings };
}

function tokenFindings(
  section: TokenSection,
  {
    index,
    tokens,
    at,
  }: { readonly index: number; readonly tokens: readonly TokenSection[]; readonly at: Path },
): Finding[] {
  const { name, token, tokenHash, expires } = section;
  const findings: Finding[] = [];
  const before = tokens.findIndex((other) => other.name === name);
  if (before !== index) {
    const message = `this name is http.tokens[${before}] already`;
    findings.push({ path: [...at, "name"], message });
  }
  if ((token === undefined) === (tokenHash === undefined)) {
    const message = "each token is one of token and tokenHash";
    findings.push({ path: at, message });
  }
  const digest = digestOf(section);
  const same = tokens.findIndex((other) => digest !== undefined && digestOf(other) === digest);
  if (same !== -1 && same !== index) {
    const message = `is the token of http.tokens[${same}]: with two names nobody knows whose role it has`;
    findings.push({ path: at, message });
  }
  if (token !== undefined && !/^[\w.~+/=-]+$/.test(token)) {
    const message = "a token has letters, digits and . _ ~ + / = - only: weir token new makes one";
    findings.push({ path: [...at, "token"], message });
  } else if (token !== undefined && token.length < TOKEN_CHARACTERS_MIN) {
    const message = `too short to be random, at least ${TOKEN_CHARACTERS_MIN} characters: weir token new makes one`;
    findings.push({ path: [...at, "token"], message });
  }
  if (expires !== undefined && millisOfExpiry(expires) === undefined) {
    const message = "is no time: a day as 2027-01-31, or 2027-01-31T12:00:00Z";
    findings.push({ path: [...at, "expires"], message });
  }
  return findings;
}

/**
 * The first moment at which a token is no longer valid: a day counts to its end, in UTC. Undefined for
 * what is no time.
 */
export function millisOfExpiry(text: string): number | undefined {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const bytes = Buffer.from(isDay ? `${text}T00:00:00Z` : text);
  const millis = millisOfText(bytes, 0, bytes.length, false);
  if (Number.isNaN(millis)) return undefined;
  return isDay ? millis + 86_400_000 : millis;
}

/** `section` has passed all checks; relative paths are relative to `directory`. */
export function httpConfig(section: HttpSection, directory: string): HttpConfig {
  const { host, port, tls, tokens, allowedHosts } = section;
  return {
    host,
    port,
    ...(tls === undefined
      ? {}
      : {
          tls: {
            certificateFile: resolve(directory, tls.certificate),
            keyFile: resolve(directory, tls.key),
            clientCertificate: "none",
          },
        }),
    ...(tokens.length === 0 ? {} : { tokens: tokens.map(tokenConfig) }),
    ...(allowedHosts.length === 0 ? {} : { allowedHosts }),
  };
}

function tokenConfig(section: TokenSection): TokenConfig {
  const { name, role, expires } = section;
  const digest = digestOf(section);
  assert(digest !== undefined, "a checked token is there, or its hash");
  const until = expires === undefined ? undefined : millisOfExpiry(expires);
  return { name, digest, role, ...(until === undefined ? {} : { expires: until }) };
}

function digestOf({ token, tokenHash }: TokenSection): string | undefined {
  return token === undefined ? tokenHash?.slice("sha256:".length) : digestOfToken(token);
}
