/** A running agent, asked over HTTP or HTTPS, with a token where it wants one. */

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import type { ConnectionOptions } from "node:tls";
import { Fault } from "../../core/faults.ts";
import type { Config } from "../config/config.ts";
import { UsageError } from "./command.ts";

const WAIT_MS = 5_000;
const ANSWER_BYTES_MAX = 67_108_864; // 64 MiB

export type AgentAddress = {
  readonly url: string;
  /** PEM file of the authority of its certificate. */
  readonly ca: string | undefined;
  /** PEM file of its very certificate: then neither authority nor name matter. */
  readonly certificate: string | undefined;
  readonly tokenFile: string | undefined;
};

/** Where the agent of a configuration is asked on this machine. Throws a UsageError where it is not. */
export function agentOf({ http }: Pick<Config, "http">): Pick<AgentAddress, "url" | "certificate"> {
  if (http === undefined || http.port === 0) {
    throw new UsageError("the configuration has http off, or on any free port: say --url");
  }
  const here = { "0.0.0.0": "127.0.0.1", "::": "::1" }[http.host] ?? http.host;
  const host = here.includes(":") ? `[${here}]` : here;
  const scheme = http.tls === undefined ? "http" : "https";
  return { url: `${scheme}://${host}:${http.port}`, certificate: http.tls?.certificateFile };
}

/** The result asks for one path and gives the JSON; it rejects with a Fault. */
export function agentAt({
  url,
  ca,
  certificate,
  tokenFile,
}: AgentAddress): (path: string) => Promise<unknown> {
  const at = URL.parse(url);
  if (at === null || !/^https?:$/.test(at.protocol)) {
    throw new UsageError(`--url must be an address such as http://127.0.0.1:8080, not ${url}`);
  }
  const trust = {
    ...(ca === undefined ? {} : { ca: textOf(ca, "--ca") }),
    ...(certificate === undefined ? {} : thisOne(textOf(certificate, "http.tls.certificate"))),
  };
  const token = tokenFile === undefined ? undefined : tokenIn(tokenFile);
  return async (path) => {
    const answer = await get(new URL(path, at), { trust, token }).catch((cause: unknown) => {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
      const message = `no agent answers at ${url} (${code}); ${remedyOf(code)}`;
      throw new Fault("AGENT_UNREACHABLE", message, { cause });
    });
    if (answer.status === 200) return parsedOf(answer.body);
    const wants = [401, 403].includes(answer.status)
      ? "; name the file of a token: --token-file"
      : "";
    const message = `the agent at ${url} answers ${answer.status}: ${messageIn(answer.body)}${wants}`;
    throw new Fault("AGENT_UNREACHABLE", message);
  };
}

function textOf(path: string, option: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new UsageError(`${option}: ${cause instanceof Error ? cause.message : path}`);
  }
}

/** What to look at, by the code of the failure. */
function remedyOf(code: string): string {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return "its certificate is for another name: ask it by a name that is in it (--url)";
  }
  if (/SIGNATURE|SELF_SIGNED|ISSUER/.test(code)) {
    return "its certificate is of an authority that is not known here: name its file (--ca)";
  }
  if (code === "ECONNRESET") return "does it speak https, or http? (--url)";
  return "is it running, and is its http address this one? (-c, --url, --ca)";
}

/** A token alone, and nothing of what was printed around it. */
function tokenIn(path: string): string {
  const token = textOf(path, "--token-file").trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new UsageError(`--token-file: ${path} holds more, or less, than a token`);
}

/** What trusts nothing but the first certificate of this text. */
function thisOne(pem: string): ConnectionOptions {
  return {
    ca: pem,
    allowPartialTrustChain: true,
    checkServerIdentity: (_host, { raw }) =>
      raw.equals(new X509Certificate(pem).raw)
        ? undefined
        : new Error("its certificate is not that of http.tls.certificate"),
  };
}

/** Undefined for what is no JSON. */
function parsedOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not ours, then: a proxy's page, say. Whoever asked looks at what there is.
    return undefined;
  }
}

function messageIn(body: string): string {
  const parsed = parsedOf(body);
  return typeof parsed === "object" && parsed !== null && "message" in parsed
    ? String(parsed.message)
    : "no reason is given";
}

async function get(
  url: URL,
  { trust, token }: { readonly trust: ConnectionOptions; readonly token: string | undefined },
): Promise<{ readonly status: number; readonly body: string }> {
  const isSecure = url.protocol === "https:";
  const { get: getBy } = isSecure ? await import("node:https") : await import("node:http");
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const options = {
    signal: AbortSignal.timeout(WAIT_MS),
    ...trust,
    ...(token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } }),
  };
  const request = getBy(url, options, (response: IncomingMessage) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (part: string) => {
      body += part;
      if (body.length > ANSWER_BYTES_MAX) response.destroy(new Error("the answer is too long"));
    });
    response.on("error", reject);
    response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
  });
  request.on("error", reject);
  return await promise;
}
