/**
 * HTTP to a weir agent: requests with one answer, and streams of events. Connections are kept for the
 * next request. Each wait has a bound, and so has each answer.
 */

import {
  Agent as HttpAgent,
  type AgentOptions,
  type IncomingMessage,
  request as httpRequest,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import { waitFor } from "./retry.ts";

export type AgentAddress = {
  /** http or https, without a path. */
  readonly url: URL;
  /** Bearer token; undefined on loopback, where an agent may need none. */
  readonly token: string | undefined;
  /** For node:https: ca, cert, key and so on, as the TLS node of Node-RED gives them. */
  readonly tls: Readonly<Record<string, unknown>>;
};

export type AgentRequest = {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

export type AgentAnswer = {
  readonly status: number;
  readonly body: string;
  /** When the agent wants to be asked again. */
  readonly retryAfterMs: number | undefined;
};

/** The agent did not answer, or not in time: another try may. The message names it and what failed. */
export class AgentAway extends Error {
  override readonly name = "AgentAway";
}

/** An `address` as a person wrote it. Throws an Error that says what is wrong. */
export function urlOf(address: string): URL {
  const url = URL.parse(address.includes("://") ? address : `http://${address}`);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new Error(
      `${JSON.stringify(address)} is no address of an agent: write it as http://127.0.0.1:8080`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new Error("the address has a user or password in it: put the token in its own field");
  }
  return new URL(url.origin);
}

/** Errors of connections that were kept and closed by the other side before they were used again. */
const stale = new WeakSet<Error>();

export class AgentClient {
  readonly #address: AgentAddress;
  readonly #connections: HttpAgent;
  /** Streams have connections beside those of requests, and would hold them. */
  readonly #streams: HttpAgent;
  #isClosed = false;

  constructor(address: AgentAddress) {
    this.#address = address;
    const { url, tls } = address;
    const agentOf = (options: AgentOptions): HttpAgent =>
      url.protocol === "https:" ? new HttpsAgent({ ...options, ...tls }) : new HttpAgent(options);
    this.#connections = agentOf({ keepAlive: true, maxSockets: flowLimits.agentConnectionsMax });
    this.#streams = agentOf({ keepAlive: false });
  }

  /** As people know it. */
  get name(): string {
    return this.#address.url.host;
  }

  /**
   * Resolves with whatever the agent answers, also where it refuses. Rejects with AgentAway. Asks once more
   * where the agent closed a connection that it had kept, just as it was used again: what is asked here may
   * be asked twice.
   */
  async request(asked: AgentRequest, signal?: AbortSignal): Promise<AgentAnswer> {
    const deadline = AbortSignal.timeout(flowLimits.answerWaitMs);
    const signals = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
    try {
      return await this.#once(asked, signals).catch((error: unknown) => {
        if (!(error instanceof Error) || !stale.has(error)) throw error;
        return this.#once(asked, signals);
      });
    } catch (error) {
      throw this.#away(error, deadline.aborted ? "it did not answer in time" : undefined);
    }
  }

  async #once(asked: AgentRequest, signal: AbortSignal): Promise<AgentAnswer> {
    const response = await this.#open(asked, { signal, agent: this.#connections });
    const retryAfter = Number(response.headers["retry-after"]);
    return {
      status: response.statusCode ?? 0,
      body: await textOf(response),
      retryAfterMs: Number.isFinite(retryAfter) ? retryAfter * 1_000 : undefined,
    };
  }

  /**
   * The same, parsed; asked again where the agent is busy for a moment. Rejects with AgentAway, and with an Error that says what the agent said where it
   * refuses.
   */
  async json(asked: AgentRequest, signal?: AbortSignal): Promise<unknown> {
    for (let again = 0; ; again++) {
      const answer = await this.request(asked, signal);
      const { status, body, retryAfterMs = Number.POSITIVE_INFINITY } = answer;
      if (status >= 200 && status < 300) return JSON.parse(body);
      const isBusy = status === 503 && retryAfterMs <= flowLimits.busyWaitMsMax;
      if (!isBusy || again === flowLimits.busyRetriesMax) {
        throw new Error(refusalOf(this.name, answer));
      }
      await waitFor(retryAfterMs, signal ?? new AbortController().signal);
    }
  }

  /**
   * Gives the text of an answer as it comes; resolves when it ends, after `onBegin` where it began.
   * Rejects with AgentAway, and with an Error where the agent refuses.
   */
  async stream(
    asked: AgentRequest,
    {
      signal,
      onBegin,
      onText,
    }: {
      readonly signal: AbortSignal;
      readonly onBegin: () => void;
      readonly onText: (text: string) => void;
    },
  ): Promise<void> {
    const response = await this.#openStream(asked, signal);
    if (response.statusCode !== 200) {
      const answer = { status: response.statusCode ?? 0, body: await textOf(response) };
      throw new Error(refusalOf(this.name, answer));
    }
    onBegin();
    response.setEncoding("utf8");
    response.setTimeout(flowLimits.streamSilenceMs, () =>
      response.destroy(new Error("it has been silent")),
    );
    const pieces = response[Symbol.asyncIterator]();
    for (;;) {
      const piece = await pieces.next().catch((error: unknown) => {
        throw this.#away(error);
      });
      if (piece.done === true) return;
      onText(String(piece.value));
    }
  }

  async #openStream(asked: AgentRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), flowLimits.answerWaitMs);
    try {
      const signals = AbortSignal.any([signal, late.signal]);
      return await this.#open(asked, { signal: signals, agent: this.#streams });
    } catch (error) {
      throw this.#away(error, late.signal.aborted ? "it did not answer in time" : undefined);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Lets go of connections that nobody uses, now or later; what is under way ends by itself, or by its signal. */
  close(): void {
    this.#isClosed = true;
    const idle = Object.values(this.#connections.freeSockets).flatMap((sockets) => sockets ?? []);
    for (const socket of idle) socket.destroy();
  }

  #open(
    { method = "GET", path, query, headers, body }: AgentRequest,
    { signal, agent }: { readonly signal: AbortSignal; readonly agent: HttpAgent },
  ): Promise<IncomingMessage> {
    const { url, token } = this.#address;
    const target = new URL(path, url);
    if (query !== undefined) target.search = query.toString();
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request = send(
        target,
        {
          method,
          signal,
          agent,
          headers: {
            // No page of another site can send it, so the agent knows that we are none.
            "X-Weir": "1",
            ...(this.#isClosed ? { Connection: "close" } : {}),
            ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
            ...(body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) }),
            ...headers,
          },
        },
        resolve,
      );
      request.on("error", (error) => {
        if (request.reusedSocket && "code" in error && error.code === "ECONNRESET")
          stale.add(error);
        reject(error);
      });
      request.setTimeout(flowLimits.answerWaitMs, () =>
        request.destroy(new Error("it has been silent")),
      );
      request.end(body);
    });
  }

  #away(cause: unknown, why?: string): AgentAway {
    const reason = why ?? reasonOf(cause);
    return new AgentAway(`the agent at ${this.name} is away: ${reason}`, { cause });
  }
}

/** What the agent says of why it refuses, in a sentence. */
export function refusalOf(
  name: string,
  { status, body }: Pick<AgentAnswer, "status" | "body">,
): string {
  const said = messageIn(body);
  return `the agent at ${name} refuses (${status})${said === undefined ? "" : `: ${said}`}`;
}

function messageIn(body: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== "object" || parsed === null || !("message" in parsed)) return undefined;
    return typeof parsed.message === "string" ? parsed.message : undefined;
  } catch {
    // Not an agent's: whatever else answers there says nothing that helps.
    return undefined;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there; is it running?",
  ENOTFOUND: "there is no host of that name",
  EHOSTUNREACH: "there is no way to that host",
  ECONNRESET: "it closed the connection",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "its certificate is signed by itself; choose a TLS configuration that trusts it",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate is of an authority that is not trusted; choose a TLS configuration with it",
  SELF_SIGNED_CERT_IN_CHAIN:
    "its certificate is of an authority that is not trusted; choose a TLS configuration with it",
};

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  return reasons[code] ?? (cause.message === "" ? code : cause.message);
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > flowLimits.answerBytesMax) {
      throw new Error(`its answer has more than ${flowLimits.answerBytesMax} bytes: ask for less`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
