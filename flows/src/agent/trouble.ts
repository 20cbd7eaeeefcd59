/**
 * What goes wrong between a node and its agent: a word for the status of the node, and a sentence that names
 * the agent and the remedy.
 */

import { awayReasonOf, type TlsRemedies } from "../../../src/core/http-away.ts";

/** The agent did not answer, or something else did: another try may. */
export class AgentAway extends Error {
  override readonly name = "AgentAway";
}

/** The agent answered that it cannot now, as it has no room, or ends: another try may. */
export class AgentBusy extends Error {
  override readonly name = "AgentBusy";
}

/** The agent answered that it will not. */
export class AgentRefusal extends Error {
  override readonly name = "AgentRefusal";
}

/** As in `status` of src/locales. */
export type TroubleWord = "away" | "busy" | "refuses" | "failed";

export function wordOf(error: unknown): TroubleWord {
  if (error instanceof AgentAway) return "away";
  if (error instanceof AgentBusy) return "busy";
  return error instanceof AgentRefusal ? "refuses" : "failed";
}

type Answer = { readonly status: number; readonly body: string };

/** What an answer that is no success says. */
export function refusalOf(
  url: URL,
  { status, body }: Answer,
): AgentRefusal | AgentBusy | AgentAway {
  const said = messageIn(body);
  if (said === undefined) return strangerAt(url, status);
  if (status === 503) return new AgentBusy(`the agent at ${url.host} is busy (503): ${said}`);
  return new AgentRefusal(`the agent at ${url.host} refuses (${status}): ${said}`);
}

/** The answer came whole, and no agent answers so. */
export function strangerAt(url: URL, status: number): AgentAway {
  return new AgentAway(
    `the agent at ${url.host} is away: what answers there (${status}) is no agent; is it a proxy, a login page, or another program? open ${url.origin} in a browser`,
  );
}

function messageIn(body: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== "object" || parsed === null || !("message" in parsed)) return undefined;
    return typeof parsed.message === "string" ? parsed.message : undefined;
  } catch {
    return undefined;
  }
}

/** What came instead of an answer was no HTTP: no agent is there, nor a way to one. */
export function isNoHttp(error: unknown): boolean {
  const cause = error instanceof AgentAway ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && String(cause.code).startsWith("HPE_");
}

/** Why no answer came. `isCut`: the connection was closed before the answer began. */
export function awayFor(
  url: URL,
  silence: { readonly cause: unknown; readonly isCut: boolean },
): AgentAway {
  const reason = awayReasonOf(url, silence, remedies);
  return new AgentAway(`the agent at ${url.host} is away: ${reason}`, { cause: silence.cause });
}

const remedies: TlsRemedies = {
  trust: "choose a TLS configuration that trusts it",
  name: "write the address with a name that it has",
  own: "choose a TLS configuration with one",
};
