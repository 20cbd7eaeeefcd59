/** A running agent, asked over HTTP or HTTPS, with a token where it wants one. */

import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Fault } from "../../core/faults.ts";
import { UsageError } from "./command.ts";

const WAIT_MS = 5_000;
const ANSWER_BYTES_MAX = 67_108_864; // 64 MiB

export type AgentAddress = {
  readonly url: string;
  /** PEM file of the authority of its certificate. */
  readonly ca: string | undefined;
  readonly tokenFile: string | undefined;
};

/** The result asks for one path and gives the JSON; it rejects with a Fault. */
export function agentAt({ url, ca, tokenFile }: AgentAddress): (path: string) => Promise<unknown> {
  const at = URL.parse(url);
  if (at === null || !/^https?:$/.test(at.protocol)) {
    throw new UsageError(`--url must be an address such as http://127.0.0.1:8080, not ${url}`);
  }
  const authority = ca === undefined ? undefined : textOf(ca, "--ca");
  const token = tokenFile === undefined ? undefined : tokenIn(tokenFile);
  return async (path) => {
    const answer = await get(new URL(path, at), { authority, token }).catch((cause: unknown) => {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
      const message = `no agent answers at ${url} (${code}); ${remedyOf(code)}`;
      throw new Fault("AGENT_UNREACHABLE", message, { cause });
    });
    if (answer.status === 200) return jsonOf(answer.body);
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
  return "is it running, and is its http address this one? (--url, --ca)";
}

/** A token alone, and nothing of what was printed around it. */
function tokenIn(path: string): string {
  const token = textOf(path, "--token-file").trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new UsageError(`--token-file: ${path} holds more, or less, than a token`);
}

function jsonOf(text: string): unknown {
  return JSON.parse(text);
}

function messageIn(body: string): string {
  try {
    const parsed = jsonOf(body);
    if (typeof parsed === "object" && parsed !== null && "message" in parsed) {
      return String(parsed.message);
    }
  } catch {
    // Not ours, then: a proxy's page, say.
  }
  return "no reason is given";
}

async function get(
  url: URL,
  {
    authority,
    token,
  }: { readonly authority: string | undefined; readonly token: string | undefined },
): Promise<{ readonly status: number; readonly body: string }> {
  const isSecure = url.protocol === "https:";
  const { get: getBy } = isSecure ? await import("node:https") : await import("node:http");
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const options = {
    signal: AbortSignal.timeout(WAIT_MS),
    ...(authority === undefined ? {} : { ca: authority }),
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
