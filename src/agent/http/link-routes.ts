/**
 * The sync over HTTP: how uplinks and links are, pausing, resuming, budgets. All is in the parameters; no body
 * is read.
 */

import { unreachable } from "../../core/assert.ts";
import { parseLinkRequest } from "../query/requests.ts";
import type { LinkDesk, LinkOutcome } from "../uplinks/link-desk.ts";
import { json, problem, type Reply } from "./reply.ts";

export const linkPath = "/v1/link";

/** What may be done at `linkPath`. */
export const linkMethods: readonly string[] = ["GET", "HEAD", "POST"];

/** A POST is answered as a GET is, once what it asks for is durable. */
export async function linkReply(
  desk: Pick<LinkDesk, "view" | "act">,
  { method, search }: { readonly method: string; readonly search: URLSearchParams },
): Promise<Reply> {
  if (method !== "POST") return json(200, desk.view);
  const parsed = parseLinkRequest(search);
  if (parsed.kind === "refused") return problem(400, "bad_request", parsed.message);
  const outcome = await desk.act(parsed.request);
  return outcome.kind === "done" ? json(200, desk.view) : refusalOf(outcome);
}

function refusalOf(outcome: Exclude<LinkOutcome, { kind: "done" }>): Reply {
  switch (outcome.kind) {
    case "unknown": {
      const { what, name, known } = outcome;
      const others = known.length === 0 ? "there are none" : `known are ${known.join(", ")}`;
      const asked = name === "" ? `there is no ${what}` : `no ${what} is called ${quoted(name)}`;
      return problem(404, "not_found", `${asked}: ${others}`);
    }
    case "noQuota": {
      const message = `link ${quoted(outcome.name)} has no quota: give it one in the configuration (links[].quota), then a budget may take its place`;
      return problem(409, "conflict", message);
    }
    default:
      return unreachable(outcome);
  }
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
