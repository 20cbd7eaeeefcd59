/**
 * The HTTP server: status page, health, metrics and the API, on loopback, or elsewhere behind tokens.
 *
 *   request -> guard: Host, token, role -> method -> route -> reply with fixed headers, or a query
 *
 * What is written are readings, requests for raw ones, pauses and budgets; only bodies of readings are read.
 * Who asks with a token says so in a header that no page of another site can send; where there are no tokens, another such header is needed
 * for what changes something: so there is nothing to forge. Connections, headers and times are bounded: a client
 * that is slow or rude costs little.
 */

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { CertificateStatus, Clock, TlsListen } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { isLoopback } from "../../core/loopback.ts";
import type { WatchedTls } from "../doors/tls-files.ts";
import { networkOf } from "../../core/addresses.ts";
import type { AgentView, Status } from "../status.ts";
import { Guard, type GuardCounters, type GuardOptions } from "./guard.ts";
import type { Queries } from "../query/queries.ts";
import type { Streams } from "../stream/streams.ts";
import type { LinkDesk } from "../uplinks/link-desk.ts";
import { linkMethods, linkPath, linkReply } from "./link-routes.ts";
import { queryRoutes } from "./query-routes.ts";
import { type PostDesk, postReply, readingsPath } from "./post-routes.ts";
import { type RawDesk, rawMethods, rawPath, rawReply } from "./raw-routes.ts";
import { problem, type Reply, type StreamedReply } from "./reply.ts";
import { openRoutes, routes } from "./routes.ts";
import { streamPath, streamReply } from "./stream-routes.ts";
import { send, sendPieces } from "./send.ts";
import type { Role, TokenStatus } from "./tokens.ts";

export type HttpServer = {
  readonly host: string;
  readonly port: number;
  readonly counters: () => GuardCounters;
  readonly tokens: readonly TokenStatus[];
  readonly certificates: () => readonly CertificateStatus[];
  /** Stops listening and closes every connection. */
  readonly close: () => Promise<void>;
};

/** As the status has it. */
export function httpStatus({ host, port, tokens, counters }: HttpServer): Status["http"] {
  return { host, port, tokens, counters: counters() };
}

export type HttpOptions = ServerOptions & {
  readonly view: AgentView;
  /** Closed by the caller, after the server. */
  readonly queries: Queries;
  /** Closed by the caller, too; absent: there are none. */
  readonly streams?: Streams;
  /** Where raw readings are asked for; absent: nowhere. */
  readonly raw?: RawDesk;
  /** Where uplinks are paused and links get budgets; absent: nowhere. */
  readonly link?: Pick<LinkDesk, "view" | "act">;
  /** Where readings are posted; absent: nowhere. */
  readonly posting?: PostDesk;
};

export type ServerOptions = Omit<GuardOptions, "clock"> & {
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls?: TlsListen | undefined;
  readonly clock: Clock;
};

/** Faults: LISTENER_NOT_SECURED, PORT_IN_USE, ADDRESS_UNAVAILABLE, TLS_FILE_UNUSABLE. */
export async function openHttp(options: HttpOptions): Promise<HttpServer> {
  const { raw, link, posting, clock } = options;
  const writable = new Map<string, Writable>();
  if (raw !== undefined) {
    const write: Writable["write"] = ({ method, search }) =>
      rawReply(raw, { method, search, now: clock.now() });
    writable.set(rawPath, { methods: rawMethods, write });
  }
  if (link !== undefined) {
    writable.set(linkPath, { methods: linkMethods, write: (asked) => linkReply(link, asked) });
  }
  if (posting !== undefined) {
    const write: Writable["write"] = (asked) => postReply(posting, asked);
    writable.set(readingsPath, { methods: ["POST"], needs: "publisher", write });
  }
  return await openServer(options, { paths, writable, answer: answerOf(options) });
}

/** All that can be read, where this agent has it. */
const paths = [...routes.keys(), ...queryRoutes.keys(), rawPath, linkPath, streamPath];

/** A path that takes more than GET and HEAD, or answers these by itself. */
export type Writable = {
  readonly methods: readonly string[];
  /** Who may use those that are not for reading; default an operator. */
  readonly needs?: Role;
  /** To one of them, of somebody who is known. What it leaves of the body nobody reads. */
  readonly write: (asked: {
    readonly method: string;
    readonly search: URLSearchParams;
    readonly request: IncomingMessage;
  }) => Promise<Reply>;
};

/** What is served to a request that the guard admitted. */
export type Site = {
  /** Those of `answer`. */
  readonly paths: readonly string[];
  readonly writable?: ReadonlyMap<string, Writable>;
  /** To a GET or HEAD of one of these; undefined where it is not there after all. */
  readonly answer: (asked: {
    readonly path: string;
    readonly search: URLSearchParams;
    /** Nobody knows who asks. */
    readonly open: boolean;
    /** Where the client was in a stream that was cut. */
    readonly lastEventId?: string;
  }) => Promise<Reply | StreamedReply | undefined>;
};

/** The server with other answers. Faults as `openHttp`. */
export async function openServer(options: ServerOptions, site: Site): Promise<HttpServer> {
  const { host, port, tls, clock } = options;
  if (!isLoopback(host) && options.tokens.length === 0) {
    const message = `HTTP on ${host} can be reached from other machines and has no tokens: add http.tokens, or listen on 127.0.0.1`;
    throw new Fault("LISTENER_NOT_SECURED", message, { facts: { host } });
  }
  const guard = new Guard(options);
  const files = tls === undefined ? undefined : await watchFiles(tls, clock);
  const known = new Set([...site.paths, ...(site.writable?.keys() ?? [])]);
  const server = createServer(files);
  server.on(
    "request",
    (request: IncomingMessage, response: ServerResponse) =>
      void answerTo(request, response, { site, known, guard }),
  );
  boundPerHost(server);
  server.maxHeadersCount = limits.httpHeadersMax;
  server.maxConnections = limits.httpConnectionsMax;
  server.maxRequestsPerSocket = limits.httpRequestsPerConnectionMax;
  server.timeout = limits.httpSilenceMs;
  try {
    const bound = await listen(server, { host, port });
    return {
      host,
      port: bound,
      counters: () => guard.counters,
      tokens: options.tokens.map(({ name, role, expires }) => ({ name, role, expires })),
      certificates: () => (files === undefined ? [] : [files.status]),
      close: async () => {
        files?.close();
        await close(server);
      },
    };
  } catch (error) {
    files?.close();
    throw error;
  }
}

async function watchFiles(tls: TlsListen, clock: Clock): Promise<WatchedTls> {
  const { watchListenFiles } = await import("../doors/tls-files.ts");
  return await watchListenFiles(tls, clock);
}

function createServer(files: WatchedTls | undefined): Server {
  const bounds = {
    maxHeaderSize: limits.httpHeaderBytesMax,
    requestTimeout: limits.httpRequestWaitMs,
    headersTimeout: limits.httpHeadersWaitMs,
    keepAliveTimeout: limits.httpKeepAliveMs,
    connectionsCheckingInterval: 1_000,
    requireHostHeader: false,
  };
  // Not imported: an import of node:http evaluates its lazy exports (fetch among them), 16 MB of RSS.
  if (files === undefined) return process.getBuiltinModule("node:http").createServer(bounds);
  const https = process.getBuiltinModule("node:https");
  const handshakeTimeout = limits.handshakeWaitMs;
  const server = https.createServer({ ...bounds, ...files.options, handshakeTimeout });
  files.onChange = (options) => server.setSecureContext(options);
  return server;
}

/** A host that has its share of the connections gets no further ones. */
function boundPerHost(server: Server): void {
  const counts = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const host = networkOf(socket.remoteAddress ?? "?");
    const count = (counts.get(host) ?? 0) + 1;
    if (count > limits.httpConnectionsPerAddressMax) {
      socket.destroy();
      return;
    }
    counts.set(host, count);
    socket.once("close", () => {
      const left = (counts.get(host) ?? 1) - 1;
      if (left === 0) counts.delete(host);
      else counts.set(host, left);
    });
  });
}

async function answerTo(
  request: IncomingMessage,
  response: ServerResponse,
  answering: Answering,
): Promise<void> {
  const reply = await answerOrProblem(request, answering);
  if ("body" in reply) send(request, response, reply);
  else await sendPieces(request, response, reply);
}

type Answering = {
  readonly site: Site;
  /** All its paths. */
  readonly known: ReadonlySet<string>;
  readonly guard: Guard;
};

/** A view whose environment fails is an answer; a bug is not. */
async function answerOrProblem(
  request: IncomingMessage,
  answering: Answering,
): Promise<Reply | StreamedReply> {
  try {
    return await answer(request, answering);
  } catch (error) {
    if (error instanceof Fault) return problem(500, error.code, error.message);
    throw error;
  }
}

async function answer(
  request: IncomingMessage,
  { site, known, guard }: Answering,
): Promise<Reply | StreamedReply> {
  const { method = "", url = "" } = request;
  const [path = "", query = ""] = url.split("?", 2);
  const writable = site.writable?.get(path);
  const needed = isReading(method) ? "viewer" : (writable?.needs ?? "operator");
  // Where nothing is, whoever is known may be told so.
  const verdict = guard.check(request, path, known.has(path) ? needed : undefined);
  if (verdict.kind === "refused") return verdict.reply;
  if (!known.has(path)) return notFound(known);
  if (!verdict.open && writable?.methods.includes(method) === true) {
    if (!isReading(method) && !isOwnClient(request)) return unsafeOrigin();
    return await writable.write({ method, search: new URLSearchParams(query), request });
  }
  if (!isReading(method)) {
    const allowed = [...new Set(["GET", "HEAD", ...(writable?.methods ?? [])])];
    const message = `only ${allowed.join(" and ")} are answered here`;
    const reply = problem(405, "method_not_allowed", message);
    return { ...reply, headers: { Allow: allowed.join(", ") } };
  }
  const isLong = url.length > limits.httpTargetCharactersMax;
  const lastEventId = request.headers["last-event-id"];
  const reply = await site.answer({
    path: isLong ? "" : path,
    search: new URLSearchParams(query),
    open: verdict.open,
    ...(typeof lastEventId === "string" ? { lastEventId } : {}),
  });
  return reply ?? notFound(known);
}

function isReading(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

/** It has a header that no page of another site can send without asking first, which is never granted. */
function isOwnClient({ headers }: IncomingMessage): boolean {
  return headers.authorization !== undefined || headers["x-weir"] !== undefined;
}

function unsafeOrigin(): Reply {
  const message = "what changes something needs a token, or the header X-Weir: 1";
  return problem(403, "forbidden", message);
}

/** What an agent that runs answers. */
function answerOf({
  view,
  queries,
  streams,
}: Pick<HttpOptions, "view" | "queries" | "streams">): Site["answer"] {
  return async ({ path, search, open, ...asking }) => {
    if (!open && streams !== undefined && path === streamPath) {
      return await streamReply(streams, { search, ...asking });
    }
    const asked = open ? undefined : queryRoutes.get(path);
    if (asked !== undefined) return await asked(queries, search);
    const known = open ? openRoutes : routes;
    return known.get(path)?.(view, search);
  };
}

function notFound(paths: Iterable<string>): Reply {
  return problem(404, "not_found", `nothing is here; known are ${[...paths].join(" ")}`);
}

// ---- listening ----

function listen(
  server: Server,
  address: { readonly host: string; readonly port: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    // Stays: after listening there is nothing to reject, and an error must not end the process.
    server.on("error", (error) => reject(listenFault(error, address)));
    server.listen({ ...address, exclusive: true }, () => {
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : address.port);
    });
  });
}

function listenFault(
  cause: Error,
  { host, port }: { readonly host: string; readonly port: number },
): Fault {
  const code = "code" in cause ? cause.code : undefined;
  const facts = { host, port };
  if (code === "EADDRINUSE") {
    return new Fault(
      "PORT_IN_USE",
      `another program listens on ${host}:${port}; stop it, or set another http.port`,
      { cause, facts },
    );
  }
  const why =
    code === "EACCES"
      ? "this user may not; ports below 1024 belong to root"
      : "this machine has no such address";
  return new Fault(
    "ADDRESS_UNAVAILABLE",
    `HTTP cannot listen on ${host}:${port}: ${why}; set another http.host or http.port`,
    { cause, facts },
  );
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
