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
import type { Socket } from "node:net";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import { waitFor } from "./retry.ts";
import { awayFor, refusalOf, strangerAt } from "./trouble.ts";

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
  /** Called where there is a connection: from then on it may be at the other side. */
  readonly onSent?: () => void;
};

export type AgentAnswer = {
  readonly status: number;
  readonly body: string;
  /** When the agent wants to be asked again. */
  readonly retryAfterMs: number | undefined;
};

/** An `address` as a person wrote it. Throws an Error that says what is wrong. */
export function urlOf(address: string): URL {
  if (address === "") {
    throw new Error("the agent has no address: write it as http://127.0.0.1:8080");
  }
  const url = URL.parse(address.includes("://") ? address : `http://${address}`);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new Error(
      `${JSON.stringify(address)} is no address of an agent: write it as http://127.0.0.1:8080`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new Error("the address has a user or password in it: put the token in its own field");
  }
  // What is behind # is for browsers; a path would be lost, and with it the way through a proxy.
  const { pathname, search } = url;
  const rest = `${pathname === "/" ? "" : pathname}${search}`;
  if (rest !== "") {
    throw new Error(
      `the address has ${JSON.stringify(rest)} behind its port: write ${url.origin} alone; an agent behind a proxy needs a name or a port of its own there`,
    );
  }
  return new URL(url.origin);
}

class TooLong extends Error {}

/** Connections that were closed before the answer began; whether they were kept ones, used again. */
const cut = new WeakMap<Error, { readonly isKept: boolean }>();

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

  /** What an answer that is no success says. */
  refusalOf(answer: Pick<AgentAnswer, "status" | "body">): Error {
    return refusalOf(this.#address.url, answer);
  }

  /** Of an answer that no agent would give. */
  strangerOf({ status }: Pick<AgentAnswer, "status">): Error {
    return strangerAt(this.#address.url, status);
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
        if (!(error instanceof Error) || cut.get(error)?.isKept !== true) throw error;
        return this.#once(asked, signals);
      });
    } catch (error) {
      throw this.#away(error, deadline.aborted);
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
   * The same, parsed; asked again where the agent is busy for a moment. Rejects with AgentAway, AgentBusy
   * and AgentRefusal.
   */
  async json(asked: AgentRequest, signal?: AbortSignal): Promise<unknown> {
    for (let again = 0; ; again++) {
      const answer = await this.request(asked, signal);
      const { status, retryAfterMs = Number.POSITIVE_INFINITY } = answer;
      if (status >= 200 && status < 300) return this.#parsed(answer);
      const isBusy = status === 503 && retryAfterMs <= flowLimits.busyWaitMsMax;
      if (!isBusy || again === flowLimits.busyRetriesMax) {
        throw this.refusalOf(answer);
      }
      await waitFor(retryAfterMs, signal ?? new AbortController().signal);
    }
  }

  #parsed(answer: AgentAnswer): unknown {
    try {
      return JSON.parse(answer.body);
    } catch {
      throw this.strangerOf(answer);
    }
  }

  /**
   * Gives the text of an answer as it comes; resolves when it ends, after `onBegin` where it began.
   * Rejects with AgentAway, AgentBusy and AgentRefusal.
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
    const { statusCode: status = 0, headers } = response;
    if (status !== 200) {
      const body = await textOf(response).catch((error: unknown) => {
        throw this.#away(error);
      });
      throw this.refusalOf({ status, body });
    }
    if (headers["content-type"]?.startsWith("text/event-stream") !== true) {
      response.destroy();
      throw this.strangerOf({ status });
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
      throw this.#away(error, late.signal.aborted);
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
    { method = "GET", path, query, headers, body, onSent }: AgentRequest,
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
      // Not request.reusedSocket: a request that waited for a connection gets a used one without that mark.
      let isKept = false;
      request.once("socket", (socket) => {
        isKept = !isConnecting(socket);
        if (onSent === undefined) return;
        if (isKept) return onSent();
        const connected = url.protocol === "https:" ? "secureConnect" : "connect";
        socket.once(connected, onSent);
        request.once("close", () => void socket.off(connected, onSent));
      });
      request.on("error", (error) => {
        if ("code" in error && error.code === "ECONNRESET") cut.set(error, { isKept });
        reject(error);
      });
      request.setTimeout(flowLimits.answerWaitMs, () =>
        request.destroy(new Error("it has been silent")),
      );
      request.end(body);
    });
  }

  #away(cause: unknown, isLate = false): Error {
    const { url } = this.#address;
    if (cause instanceof TooLong) return new Error(`the agent at ${url.host}: ${cause.message}`);
    const isCut = cause instanceof Error && cut.has(cause);
    if (!isLate) return awayFor(url, { cause, isCut });
    return awayFor(url, { cause: new Error("it did not answer in time", { cause }), isCut: false });
  }
}

/** Of TLS also while the two sides greet: nothing of a request is sent before. */
function isConnecting(socket: Socket): boolean {
  const isGreeting = "secureConnecting" in socket && socket.secureConnecting === true;
  return socket.connecting || isGreeting;
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > flowLimits.answerBytesMax) {
      throw new TooLong(
        `its answer has more than ${flowLimits.answerBytesMax} bytes: ask for less`,
      );
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
