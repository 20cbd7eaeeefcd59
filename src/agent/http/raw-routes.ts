/**
 * Requests for raw readings over HTTP: asked for, listed and cancelled. All is in the parameters; no body
 * is read.
 */

import { unreachable } from "../../core/assert.ts";
import { parseRawRequest } from "../query/requests.ts";
import type { AskOutcome, RawAnswers } from "../raw/raw-answers.ts";
import { json, problem, type Reply } from "./reply.ts";

/** Where requests are left. */
export type RawDesk = Pick<RawAnswers, "ask" | "cancel" | "status">;

export const rawPath = "/v1/raw";

/** What may be done at `rawPath`. */
export const rawMethods: readonly string[] = ["GET", "HEAD", "POST", "DELETE"];

export async function rawReply(
  desk: RawDesk,
  {
    method,
    search,
    now,
  }: { readonly method: string; readonly search: URLSearchParams; readonly now: number },
): Promise<Reply> {
  if (method === "POST") {
    const parsed = parseRawRequest(search, { now });
    if (parsed.kind === "refused") return problem(400, "bad_request", parsed.message);
    const outcome = await desk.ask(parsed.request);
    return replyTo(outcome.kind === "conflict" ? await askedAgain(desk, search, outcome) : outcome);
  }
  if (method === "DELETE") {
    const id = search.get("id") ?? "";
    if (await desk.cancel(id)) return json(200, { id, state: "cancelling" });
    return problem(404, "not_found", `no request ${JSON.stringify(id)} is open`);
  }
  return json(200, { requests: desk.status });
}

/** Sent twice under its id, `-1h` and `now` mean what they meant at first. */
async function askedAgain(
  desk: RawDesk,
  search: URLSearchParams,
  conflict: AskOutcome & { readonly kind: "conflict" },
): Promise<AskOutcome> {
  const parsed = parseRawRequest(search, { now: conflict.known.asked });
  return parsed.kind === "refused" ? conflict : await desk.ask(parsed.request);
}

function replyTo(outcome: AskOutcome): Reply {
  switch (outcome.kind) {
    case "asked":
    case "known": {
      const { id, select, from, to, priority, state } = outcome.request;
      const code = outcome.kind === "asked" ? 202 : 200;
      return json(code, { id, select, from, to, priority, state });
    }
    case "malformed":
      return problem(400, "bad_request", outcome.message);
    case "conflict":
      return problem(409, "conflict", outcome.message);
    case "tooMany":
      return { ...problem(503, "busy", outcome.message), headers: { "Retry-After": "60" } };
    default:
      return unreachable(outcome);
  }
}
