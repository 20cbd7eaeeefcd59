/** Sends answers: one that is whole, or pieces at the pace of the client. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Reply, StreamedReply } from "./reply.ts";

const fixedHeaders = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
};

export function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  const body = Buffer.from(reply.body);
  // What a client sends along is not read.
  request.resume();
  response.writeHead(reply.code, {
    "Content-Type": reply.type,
    "Content-Length": body.length,
    ...fixedHeaders,
    ...reply.headers,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/**
 * Sends the pieces, each once the client took those before, and disposes of their source. A client that
 * goes stops it; one that is too slow finds the end when it is stopped.
 */
export async function sendPieces(
  request: IncomingMessage,
  response: ServerResponse,
  { code, type, pieces, source }: StreamedReply,
): Promise<void> {
  using _ = source;
  request.resume();
  if (response.destroyed) return;
  response.on("close", () => source.stop("abandoned"));
  response.writeHead(code, { "Content-Type": type, ...fixedHeaders });
  if (request.method !== "HEAD") {
    for await (const piece of pieces) {
      if (response.destroyed) break;
      if (!response.write(piece)) await drained(response, source.signal);
    }
  }
  response.end();
}

/** Resolves when the client took what was written, or nobody waits for that any more. */
function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      response.off("drain", settle);
      response.off("close", settle);
      signal.removeEventListener("abort", settle);
      resolve();
    };
    if (signal.aborted) return resolve();
    response.on("drain", settle);
    response.on("close", settle);
    signal.addEventListener("abort", settle);
  });
}
