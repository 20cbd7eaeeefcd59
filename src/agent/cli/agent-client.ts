/** A running agent, asked over HTTP or HTTPS, with a token where it wants one. */

import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import type { ConnectionOptions } from "node:tls";
import { Fault } from "../../core/faults.ts";
import { awayReasonOf, type TlsRemedies } from "../../core/http-away.ts";
import { limits } from "../../core/limits.ts";
import type { Config } from "../config/config.ts";
import { UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";

const WAIT_MS = 5_000;
/** An answer that comes in lines may pause for as long as a query may take. */
const SILENCE_MS = limits.queryMs + WAIT_MS;
const ANSWER_CHARACTERS_MAX = 67_108_864; // 64 MiB

export type AgentAddress = {
  readonly url: string;
  /** PEM file of the authority of its certificate. */
  readonly ca: string | undefined;
  /** PEM file of its very certificate: then neither authority nor name matter. */
  readonly certificate: string | undefined;
  readonly tokenFile: string | undefined;
};

/** What commands that ask a running agent take, for addressOf. */
export const agentOptions = {
  config: { type: "string", short: "c" },
  url: { type: "string" },
  "token-file": { type: "string" },
  ca: { type: "string" },
} as const;

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

/** What the agent of this folder runs with, as `weir run` takes it. */
const here = "weir.yaml";

/** What the options of a command say, and of what they leave out its configuration: one that lies here, where none is named. */
export async function addressOf(values: {
  readonly config?: string;
  readonly url?: string;
  readonly ca?: string;
  readonly "token-file"?: string;
}): Promise<AgentAddress> {
  const { url, ca, "token-file": tokenFile } = values;
  const config = values.config ?? (url === undefined && existsSync(here) ? here : undefined);
  const configured = config === undefined ? undefined : agentOf(await readConfig(config));
  const own = url === undefined && ca === undefined ? configured?.certificate : undefined;
  return {
    url: url ?? configured?.url ?? "http://127.0.0.1:8080",
    ca,
    certificate: own,
    tokenFile,
  };
}

/** The result asks for one path and gives the JSON; it rejects with a Fault. */
export function agentAt(
  address: AgentAddress,
  method: "GET" | "POST" | "DELETE" = "GET",
): (path: string) => Promise<unknown> {
  const open = openerOf(address, method);
  return async (path) => {
    const signal = AbortSignal.timeout(WAIT_MS);
    return parsedOf(await bodyOf(await open(path, { signal }), address));
  };
}

/**
 * The result asks for one path and gives the lines of the answer as they come, and asks for no more
 * than are taken. It throws a Fault, and a UsageError where the agent does not understand the path.
 */
export function linesAt(address: AgentAddress): (path: string) => AsyncGenerator<string> {
  const open = openerOf(address);
  return async function* (path) {
    const response = await open(path, { timeout: SILENCE_MS });
    let rest = "";
    try {
      for await (const part of response) {
        const lines = (rest + String(part)).split("\n");
        rest = lines.pop() ?? "";
        yield* lines;
      }
    } catch (cause) {
      throw unreachable(address, cause);
    }
    if (rest !== "") yield rest;
  };
}

type AnswerWait = { readonly signal: AbortSignal } | { readonly timeout: number };

/** Resolves to an answer of 200 or 202, of which nothing is read yet. */
function openerOf(
  address: AgentAddress,
  method = "GET",
): (path: string, waiting: AnswerWait) => Promise<IncomingMessage> {
  const { url, ca, certificate, tokenFile } = address;
  const at = URL.parse(url);
  if (at === null || !/^https?:$/.test(at.protocol)) {
    throw new UsageError(`--url must be an address such as http://127.0.0.1:8080, not ${url}`);
  }
  const trust = {
    ...(ca === undefined ? {} : { ca: textOf(ca, "--ca") }),
    ...(certificate === undefined ? {} : thisOne(textOf(certificate, "http.tls.certificate"))),
  };
  const token = tokenFile === undefined ? undefined : tokenIn(tokenFile);
  return async (path, waiting) => {
    const options = { ...trust, ...waiting, method };
    const response = await request(new URL(path, at), options, token).catch((cause: unknown) => {
      const isCut = cause instanceof Error && "code" in cause && cause.code === "ECONNRESET";
      throw unreachable(address, cause, isCut);
    });
    const { statusCode: status = 0 } = response;
    if (status === 200 || status === 202) return response;
    const said = messageIn(await bodyOf(response, address));
    if (said === undefined) throw unknownAgent(address, status);
    if (status === 400) throw new UsageError(said);
    const message = `the agent at ${url} answers ${status}: ${said}${tokenText(status, tokenFile)}`;
    throw new Fault("AGENT_UNREACHABLE", message);
  };
}

/** Which token it was that did not do. */
function tokenText(status: number, file: string | undefined): string {
  if (status !== 401 && status !== 403) return "";
  return file === undefined
    ? "; name the file of a token: --token-file"
    : ` (--token-file ${file})`;
}

/** It answered, and not as an agent does; `status`: with this one. */
export function unknownAgent({ url }: AgentAddress, status?: number): Fault {
  const answer = status === undefined ? "" : ` (${status})`;
  const what =
    status === 426
      ? "wants a WebSocket: is that the port of its HTTP, not of its MQTT?"
      : "is no agent that this weir knows: is it another program, or another version?";
  return new Fault("AGENT_UNREACHABLE", `what answers at ${url}${answer} ${what}`);
}

function unreachable({ url }: AgentAddress, cause: unknown, isCut = false): Fault {
  const isLate = cause instanceof Error && ["AbortError", "TimeoutError"].includes(cause.name);
  const reason = isLate
    ? "it did not answer in time"
    : awayReasonOf(new URL(url), { cause, isCut }, remedies);
  const isNowhere = cause instanceof Error && "code" in cause && nowhere.has(cause.code);
  const where = isNowhere ? " (-c or --url say where it is)" : "";
  return new Fault("AGENT_UNREACHABLE", `no agent answers at ${url}: ${reason}${where}`, { cause });
}

const nowhere: ReadonlySet<unknown> = new Set(["ECONNREFUSED", "ENOTFOUND"]);

const remedies: TlsRemedies = {
  trust: "name the file of what to trust: --ca",
  name: "ask it by a name that it has: --url",
  own: "no command has one to show: ask it without, or by another address",
};

function textOf(path: string, option: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new UsageError(`${option}: ${cause instanceof Error ? cause.message : path}`);
  }
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

/** What an agent says of an answer that is no success: the message, or why its health is as it is. Undefined for what no agent says. */
function messageIn(body: string): string | undefined {
  const parsed = parsedOf(body);
  if (typeof parsed !== "object" || parsed === null) return undefined;
  if ("message" in parsed) return String(parsed.message);
  const reasons: readonly unknown[] =
    "reasons" in parsed && Array.isArray(parsed.reasons) ? parsed.reasons : [];
  return reasons.length === 0 ? "no reason is given" : reasons.map(String).join("; ");
}

async function bodyOf(response: IncomingMessage, address: AgentAddress): Promise<string> {
  let body = "";
  try {
    for await (const part of response) {
      body += String(part);
      if (body.length > ANSWER_CHARACTERS_MAX) throw new Error("the answer is too long");
    }
  } catch (cause) {
    throw unreachable(address, cause);
  }
  return body;
}

/** With the header that says that no page of another site asks. */
async function request(
  url: URL,
  options: ConnectionOptions & AnswerWait & { readonly method: string },
  token: string | undefined,
): Promise<IncomingMessage> {
  const { request: requestBy } =
    url.protocol === "https:" ? await import("node:https") : await import("node:http");
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const login = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const headers = { "X-Weir": "1", ...login };
  const sent = requestBy(url, { ...options, headers }, (response: IncomingMessage) => {
    response.setEncoding("utf8");
    resolve(response);
  });
  sent.on("timeout", () => sent.destroy(new Error("no answer for a long time")));
  sent.on("error", reject);
  sent.end();
  return await promise;
}
