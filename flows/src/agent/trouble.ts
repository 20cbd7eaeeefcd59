/**
 * What goes wrong between a node and its agent: a word for the status of the node, and a sentence that names
 * the agent and the remedy.
 */

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

/** Why no answer came. `isCut`: the connection was closed before the answer began. */
export function awayFor(
  url: URL,
  { cause, isCut }: { readonly cause: unknown; readonly isCut: boolean },
): AgentAway {
  const reason = isCut ? cutReasonOf(url) : reasonOf(url, cause);
  return new AgentAway(`the agent at ${url.host} is away: ${reason}`, { cause });
}

const strangeAuthority =
  "its certificate is of an authority that is not trusted; choose a TLS configuration with it";

/** By the codes of Node and OpenSSL. */
const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there; is it running?",
  ENOTFOUND: "there is no host of that name",
  EAI_AGAIN: "no name server answers; is there a network?",
  EHOSTUNREACH: "there is no way to that host",
  ENETUNREACH: "there is no way to that network; is there a link?",
  ETIMEDOUT: "that host does not answer; is it on, and does a firewall let this port through?",
  ECONNRESET: "it closed the connection",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "its certificate is signed by itself; choose a TLS configuration that trusts it",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: strangeAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: strangeAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: strangeAuthority,
  CERT_HAS_EXPIRED: "its certificate has expired; renew it, or set the clock of this machine",
  CERT_NOT_YET_VALID: "its certificate is not valid yet; is the clock of this machine right?",
};

/** What OpenSSL says of a server that answers a TLS greeting with something else. */
const noTls = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNKNOWN_PROTOCOL|HTTP_REQUEST/;

function reasonOf(url: URL, cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { message } = cause;
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  const known = reasons[code];
  if (known !== undefined) return known;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `its certificate is for ${namesIn(cause)}, not for ${url.hostname}; write the address with a name that it has`;
  }
  if (noTls.test(`${code} ${message.toUpperCase().replaceAll(" ", "_")}`)) {
    return `it speaks no TLS there; write http://${url.host}`;
  }
  if (code.startsWith("ERR_SSL_") || code === "EPROTO") {
    return `TLS failed (${code}); does it want a certificate? choose a TLS configuration with one`;
  }
  if (code.startsWith("HPE_")) return `what it says is no HTTP; ${portRemedyOf(url)}`;
  return message === "" ? code : message;
}

function cutReasonOf(url: URL): string {
  return `it closed the connection without an answer; if that stays so, ${portRemedyOf(url)}`;
}

function portRemedyOf({ protocol, host }: URL): string {
  return protocol === "https:"
    ? `is that the port of its HTTP, not of its MQTT? without TLS write http://${host}`
    : `is that the port of its HTTP, not of its MQTT? with TLS write https://${host}`;
}

/** Of the certificate that Node found to be of others. */
function namesIn(cause: Error): string {
  const cert = "cert" in cause ? cause.cert : undefined;
  if (typeof cert !== "object" || cert === null || !("subjectaltname" in cert)) return "others";
  return String(cert.subjectaltname).slice(0, 200);
}
