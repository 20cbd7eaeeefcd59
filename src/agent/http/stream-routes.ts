/** Streams over HTTP: parameters, a place among the few, then events as they come. */

import { parseStreamRequest } from "../stream/stream-request.ts";
import type { Streams } from "../stream/streams.ts";
import { problem, type Reply, type StreamedReply } from "./reply.ts";

export const streamPath = "/v1/stream";

/** `lastEventId`: the header of a client that goes on where it was. */
export async function streamReply(
  streams: Streams,
  { search, lastEventId }: { readonly search: URLSearchParams; readonly lastEventId?: string },
): Promise<Reply | StreamedReply> {
  const parsed = parseStreamRequest(search, lastEventId);
  if (parsed.kind === "refused") return problem(400, "bad_request", parsed.message);
  const stream = await streams.open(parsed.request);
  if (stream === undefined) {
    return { ...problem(503, "busy", streams.busy), headers: { "Retry-After": "10" } };
  }
  return { code: 200, type: "text/event-stream", pieces: stream.pieces(), source: stream };
}
