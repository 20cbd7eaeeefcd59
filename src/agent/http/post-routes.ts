/**
 * Readings over HTTP: a body of messages, answered once they are durable. What it may look like, and what the
 * answers mean, is in docs/http.md.
 */

import type { IncomingMessage } from "node:http";
import { counted } from "../../core/counted.ts";
import { unreachable } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import {
  type BodyType,
  bodyTypes,
  type PostedBody,
  topicFault,
} from "../ingest/post/posted-body.ts";
import type { PostOutcome, Posts } from "../ingest/post/posts.ts";
import type { Bodies, Body } from "./bodies.ts";
import { json, problem, type Reply } from "./reply.ts";

export const readingsPath = "/v1/readings";

export type PostDesk = {
  readonly posts: Pick<Posts, "take">;
  readonly bodies: Bodies;
};

/** Refuses by what the request says of itself, before its body is read. */
export async function postReply(
  { posts, bodies }: PostDesk,
  { request, search }: { readonly request: IncomingMessage; readonly search: URLSearchParams },
): Promise<Reply> {
  const { headers } = request;
  const type = typeOf(headers["content-type"]);
  const encoding = headers["content-encoding"] ?? "identity";
  if (type === undefined || encoding !== "identity") {
    const message = `a body is of ${bodyTypes.join(", ")}, and not compressed`;
    return problem(415, "unsupported_media_type", message);
  }
  const topic = search.get("topic") ?? undefined;
  const refused = parametersFault(search) ?? (topic === undefined ? undefined : faultOf(topic));
  const key = headers["idempotency-key"];
  if (refused !== undefined) return problem(400, "bad_request", refused);
  if (key !== undefined && !(typeof key === "string" && isKey(key))) {
    const message = `Idempotency-Key is one text of 1 to ${limits.postKeyCharactersMax} visible ASCII characters`;
    return problem(400, "bad_request", message);
  }
  return await bodies.read(request, async (body) =>
    body.kind === "whole"
      ? replyTo(await posts.take({ bytes: body.bytes, type, topic }, key), { key, type, topic })
      : replyToNone(body),
  );
}

/** While the agent waits for its disk. */
export function notYetReply(message: string): Reply {
  return later("not_ready", message);
}

function typeOf(header: string | undefined): BodyType | undefined {
  const said = header?.split(";", 1)[0]?.trim().toLowerCase();
  return bodyTypes.find((type) => type === said);
}

function parametersFault(search: URLSearchParams): string | undefined {
  const names = [...search.keys()];
  const other = names.find((name) => name !== "topic");
  if (other !== undefined) return `${JSON.stringify(other)} is no parameter: there is topic`;
  return names.length > 1 ? "there is one topic, or each message names its own" : undefined;
}

function faultOf(topic: string): string | undefined {
  const bytes = Buffer.from(topic);
  return topicFault(bytes, 0, bytes.length);
}

function isKey(key: string): boolean {
  return key.length <= limits.postKeyCharactersMax && /^[\x21-\x7e]+$/.test(key);
}

function replyTo(
  outcome: PostOutcome,
  { key, ...sent }: Pick<PostedBody, "type" | "topic"> & { readonly key: string | undefined },
): Reply {
  switch (outcome.kind) {
    case "durable":
      return json(200, outcome.answer);
    case "malformed":
      return problem(400, "bad_request", `nothing was taken: ${outcome.message}`);
    case "tooLong": {
      const message = `nothing was taken: a body has at most ${limits.postMessagesMax} messages; send several`;
      return problem(413, "too_large", message);
    }
    case "unwanted": {
      const message = `nothing was taken: no source wants the topic ${JSON.stringify(outcome.topic)}, nor any other of the body; add a source with such a topic to weir.yaml, or post to another${spaceText(sent)}`;
      return problem(422, "unwanted", message);
    }
    case "otherBody": {
      const message =
        "nothing was taken: this Idempotency-Key came with another body, type or topic; take a new key for each body";
      return problem(422, "key_of_another_body", message);
    }
    case "noRoom":
      return later("no_room", noRoomText(outcome.taken, key));
    case "ended":
      return later("ending", "the agent ends; send it again when it is back");
    default:
      return unreachable(outcome);
  }
}

/** A space in a query may have been a plus sign; that can be no part of a topic either. */
function spaceText({ topic }: Pick<PostedBody, "topic">): string {
  if (topic?.includes(" ") !== true) return "";
  return ". A + in a query is a space: a plus sign is written %2B, but no topic to publish on has one";
}

function noRoomText(taken: number, key: string | undefined): string {
  const why = "the agent has no room for readings, or its disk does not take them (see /readyz)";
  if (taken === 0) return `${why}: nothing was taken; send it again`;
  const again =
    key === undefined
      ? "sent again they come twice, where no Idempotency-Key says that they are the same"
      : "send the same body again under its Idempotency-Key: it goes on behind them";
  return `${why}: taken and not durable yet: ${counted(taken, "message")}; ${again}`;
}

function replyToNone(body: Exclude<Body, { kind: "whole" }>): Reply {
  switch (body.kind) {
    case "tooLarge": {
      const message = `nothing was taken: a body has at most ${limits.postBodyBytesMax} bytes; send several`;
      return { ...problem(413, "too_large", message), headers: { Connection: "close" } };
    }
    case "busy":
      return later("busy", "too many bodies are under way: nothing was taken; send it again");
    case "gone":
      return problem(400, "bad_request", "the body did not come whole: nothing was taken");
    default:
      return unreachable(body);
  }
}

function later(error: string, message: string): Reply {
  const headers = { "Retry-After": String(limits.postRetrySeconds) };
  return { ...problem(503, error, message), headers };
}
