/**
 * The HTTP server: status page, health, metrics and the read-only API, on loopback.
 *
 *   request -> method -> Host header -> route -> reply with fixed headers
 *
 * Nothing is written and no body is read, so there is nothing to forge; a page of another site could
 * still read by DNS rebinding, therefore the Host header must name this machine. Connections,
 * headers and times are bounded: a client that is slow or rude costs little.
 */

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { isLoopback } from "../../core/loopback.ts";
import type { AgentView } from "../status.ts";
import { problem, type Reply } from "./reply.ts";
import { routes } from "./routes.ts";

export type HttpServer = {
  readonly host: string;
  readonly port: number;
  /** Stops listening and closes every connection. */
  readonly close: () => Promise<void>;
};

export type HttpOptions = {
  readonly view: AgentView;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
};

/** Faults: PORT_IN_USE, ADDRESS_UNAVAILABLE. */
export async function openHttp({ view, host, port }: HttpOptions): Promise<HttpServer> {
  // Not imported: an import of node:http evaluates its lazy exports (fetch among them), 16 MB of RSS.
  const { createServer } = process.getBuiltinModule("node:http");
  const server = createServer(
    {
      maxHeaderSize: limits.httpHeaderBytesMax,
      requestTimeout: limits.httpRequestWaitMs,
      headersTimeout: limits.httpHeadersWaitMs,
      keepAliveTimeout: limits.httpKeepAliveMs,
      connectionsCheckingInterval: 1_000,
      requireHostHeader: false,
    },
    (request, response) => send(request, response, answerOrProblem(request, view, host)),
  );
  server.maxHeadersCount = limits.httpHeadersMax;
  server.maxConnections = limits.httpConnectionsMax;
  server.maxRequestsPerSocket = limits.httpRequestsPerConnectionMax;
  server.timeout = limits.httpSilenceMs;
  const bound = await listen(server, { host, port });
  return { host, port: bound, close: () => close(server) };
}

/** A view whose environment fails is an answer; a bug is not. */
function answerOrProblem(request: IncomingMessage, view: AgentView, host: string): Reply {
  try {
    return answer(request, view, host);
  } catch (error) {
    if (error instanceof Fault) return problem(500, error.code, error.message);
    throw error;
  }
}

function answer(request: IncomingMessage, view: AgentView, host: string): Reply {
  const { method = "", url = "" } = request;
  if (method !== "GET" && method !== "HEAD") {
    const reply = problem(405, "method_not_allowed", "only GET and HEAD are answered here");
    return { ...reply, headers: { Allow: "GET, HEAD" } };
  }
  if (!isOurName(request.headers.host, host)) {
    const message = `this server is asked as localhost or ${host}, not by another name`;
    return problem(421, "misdirected_request", message);
  }
  const [path = "", query = ""] = url.split("?", 2);
  const route = url.length <= limits.httpTargetCharactersMax ? routes.get(path) : undefined;
  if (route === undefined) {
    return problem(404, "not_found", `nothing is here; known are ${[...routes.keys()].join(" ")}`);
  }
  return route(view, new URLSearchParams(query));
}

/** Names of this machine; the port does not matter, there may be a forwarded one. */
function isOurName(header: string | undefined, host: string): boolean {
  if (header === undefined) return false;
  const name = header.toLowerCase().replace(/:\d{1,5}$/, "");
  return isLoopback(name) || name.replace(/^\[(.*)\]$/, "$1") === host.toLowerCase();
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  const body = Buffer.from(reply.body);
  // What a client sends along is not read.
  request.resume();
  response.writeHead(reply.code, {
    "Content-Type": reply.type,
    "Content-Length": body.length,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    ...reply.headers,
  });
  response.end(request.method === "HEAD" ? undefined : body);
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
