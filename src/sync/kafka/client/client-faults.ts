/**
 * Failures of a cluster as Faults: a sentence for a person that says what failed, where, and what to
 * set. Errors of sockets, of TLS and of the client arrive nested (the client wraps causes, Node joins
 * the addresses of a name); the innermost one that we know decides. Credentials are never quoted.
 */

import { InvariantError } from "../../../core/assert.ts";
import { limits } from "../../../core/limits.ts";
import { clockHint, portalHint } from "../../../core/strangers.ts";
import { rfc3339 } from "../message/rfc3339.ts";
import { Fault, type FaultCode } from "../../../core/faults.ts";
import { UnreadableAnswer } from "./answers.ts";
import type { Asked, RequestName } from "./requests.ts";

/** The broker talked to, and how. */
export type Peer = {
  /** "host:port". */
  readonly address: string;
  /** `User:alice`, where it is known. */
  readonly principal: string | undefined;
  readonly mechanism: string | undefined;
  readonly tls: boolean;
  /** Whether we show a client certificate. */
  readonly certificate: boolean;
  /** The gateway's clock, ms since 1970, where it is known. */
  readonly nowMs?: number | undefined;
};

/** An error in an answer. */
export type Refusal = {
  /** Its name in the Kafka protocol. */
  readonly error: string;
  /** The broker's own words, or what the protocol says about the error. */
  readonly detail: string | undefined;
};

// ---- answers ----

/** The fault for an answer that holds an error. */
export function refusalFault({ error, detail }: Refusal, asked: Asked, peer: Peer): Fault {
  const facts = { ...asked, error, broker: peer.address };
  const lack = rightLacking(error, asked);
  if (lack !== undefined) {
    const who = peer.principal ?? "this client";
    const message = `the cluster does not let ${who} ${lack.act}: grant ${lack.grant}`;
    return new Fault("UPLINK_RIGHT_MISSING", message, { facts });
  }
  const words = detail === undefined || detail === "" ? error : `${error} (${detail})`;
  const message = `broker ${peer.address} refused ${asked.request}${objectOf(asked)}: ${words}`;
  return new Fault("UPLINK_REFUSED", message, { facts });
}

/** The error of a nested answer that tells why: not that of parts left undone because of it. */
export function decisive<Part extends { readonly error: string }>(
  parts: readonly Part[],
): Part | undefined {
  return parts.find(({ error }) => error !== "OPERATION_NOT_ATTEMPTED") ?? parts[0];
}

const topicOperations: Partial<Record<RequestName, string>> = {
  Produce: "WRITE",
  AddPartitionsToTxn: "WRITE",
  Fetch: "READ",
  TxnOffsetCommit: "READ",
  CreateTopics: "CREATE",
  DescribeConfigs: "DESCRIBE_CONFIGS",
};

type Lack = { readonly act: string; readonly grant: string };

function rightLacking(error: string, asked: Asked): Lack | undefined {
  const { request, topic = "?", transactionalId = "?", group = "?" } = asked;
  switch (error) {
    case "TOPIC_AUTHORIZATION_FAILED": {
      const operation = topicOperations[request] ?? "DESCRIBE";
      const act = `${operation}${operation === "WRITE" ? " to" : ""} topic ${topic}`;
      return { act, grant: `${operation} on Topic ${topic}` };
    }
    case "TRANSACTIONAL_ID_AUTHORIZATION_FAILED":
      return {
        act: `use transactional id ${transactionalId}`,
        grant: `WRITE and DESCRIBE on TransactionalId ${transactionalId}`,
      };
    case "GROUP_AUTHORIZATION_FAILED":
      return { act: `use group ${group}`, grant: `READ on Group ${group}` };
    case "CLUSTER_AUTHORIZATION_FAILED":
      return request === "CreateTopics"
        ? { act: `CREATE topic ${topic}`, grant: `CREATE on Topic ${topic} or on Cluster` }
        : { act: "write idempotently", grant: "IDEMPOTENT_WRITE on Cluster" };
    default:
      return undefined;
  }
}

function objectOf({ topic, partition, transactionalId, group }: Asked): string {
  if (topic !== undefined) return ` for ${topic}${partition === undefined ? "" : `/${partition}`}`;
  if (transactionalId !== undefined) return ` for transactional id ${transactionalId}`;
  return group === undefined ? "" : ` for group ${group}`;
}

// ---- connections ----

/** The fault for a connection that could not be opened, TLS and login included. */
export function connectFault(error: unknown, peer: Peer, timeoutMs: number): Fault {
  if (error instanceof Fault) return error;
  const { code, reason } =
    reasonOf(error, peer) ??
    unreachable(
      isTimeout(error)
        ? `no answer within ${timeoutMs} ms`
        : isClosed(error)
          ? closedAtOnce(peer)
          : innermost(error),
    );
  return peerFault(code, `broker ${peer.address}: ${reason}`, peer, { cause: error });
}

/** The fault for a request that got no answer, or one that cannot be read. */
export function lostFault(
  error: unknown,
  at: {
    readonly asked: Asked;
    readonly peer: Peer;
    readonly timeoutMs: number;
    /** Whether the connection has not answered anything yet. */
    readonly isFirst: boolean;
  },
): Fault {
  if (error instanceof Fault) return error;
  const { asked, peer, timeoutMs, isFirst } = at;
  const closed = isClosed(error);
  const { code, reason } =
    reasonOf(error, peer) ??
    unreachable(
      isTimeout(error)
        ? `no answer within ${timeoutMs} ms`
        : closed && isFirst
          ? closedAtOnce(peer)
          : closed
            ? "the connection was lost"
            : `its answer cannot be read: ${innermost(error)}`,
    );
  const message = `broker ${peer.address}, ${asked.request}${objectOf(asked)}: ${reason}`;
  const { request } = asked;
  const facts = isTimeout(error) ? { request, waitedMs: timeoutMs } : { request };
  return peerFault(code, message, peer, { cause: error, facts });
}

/** One fault for all brokers that were tried, which keeps the gravest code. */
export function noBrokerFault(faults: readonly Fault[]): Fault {
  const [only] = faults;
  if (only !== undefined && faults.length === 1) return only;
  const login = faults.some(({ code }) => code === "UPLINK_LOGIN_REFUSED");
  const message = `no broker could be used: ${faults.map(({ message }) => message).join("; ")}`;
  return new Fault(login ? "UPLINK_LOGIN_REFUSED" : "UPLINK_UNREACHABLE", message, {
    cause: faults.at(-1),
    facts: { brokers: faults.length },
  });
}

function peerFault(
  code: FaultCode,
  message: string,
  peer: Peer,
  { cause, facts }: { readonly cause: unknown; readonly facts?: Fault["facts"] },
): Fault {
  return new Fault(code, message, { cause, facts: { broker: peer.address, ...facts } });
}

type Reason = { readonly code: FaultCode; readonly reason: string };

function reasonOf(error: unknown, peer: Peer): Reason | undefined {
  const chain = chainOf(error);
  const bug = chain.find((link) => link instanceof InvariantError);
  if (bug !== undefined) throw bug;
  return (
    first(chain, (link) => tlsReason(link, peer)) ??
    first(chain, (link) => saslReason(link, peer)) ??
    first(chain, networkReason)
  );
}

const untrusted = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

function tlsReason(error: Error, peer: Peer): Reason | undefined {
  const code = codeOf(error);
  if (code === "CERT_HAS_EXPIRED") {
    return refused(
      isUnset(peer)
        ? `its certificate has expired, and ${clockOf(peer)}`
        : `its certificate has expired: renew it, unless this gateway's clock is ahead${saysOf(peer)}`,
    );
  }
  if (code === "CERT_NOT_YET_VALID") {
    return refused(
      isUnset(peer)
        ? `its certificate is not valid yet, and ${clockOf(peer)}`
        : `its certificate is not valid yet: this gateway's clock seems to be behind${saysOf(peer)}`,
    );
  }
  if (untrusted.has(code)) {
    return refused(
      `its certificate comes from an authority not known here: set tls.ca to it; ${portalHint}`,
    );
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return refused(
      `${error.message}: use a name of the certificate, or set tls.serverName; ${portalHint}`,
    );
  }
  if (/ALERT_(BAD_CERT|CERTIFICATE_|HANDSHAKE_FAIL|UNKNOWN_CA|UNSUPPORTED_CERT)/.test(code)) {
    return refused(
      peer.certificate
        ? "it refused our client certificate: check tls.certificate and tls.key"
        : "it wants a client certificate: set tls.certificate and tls.key",
    );
  }
  if (/WRONG_VERSION_NUMBER/.test(code) || error.message.startsWith("TLS handshake failed")) {
    return refused(
      `no TLS is spoken on this port: use the port for TLS, or leave tls out; ${portalHint}`,
    );
  }
  if (error.message.startsWith("Broker requires TLS")) {
    return refused("this port wants TLS: set tls, or use the port for plain text");
  }
  if (/^ERR_(OSSL|CRYPTO)/.test(code)) {
    return refused(`tls.ca, tls.certificate or tls.key cannot be used: ${error.message}`);
  }
  return /^ERR_(SSL|TLS)/.test(code) && peer.tls
    ? refused(`the TLS handshake failed: ${error.message}`)
    : undefined;
}

function isUnset({ nowMs }: Peer): boolean {
  return nowMs !== undefined && nowMs < limits.clockFloorMs;
}

function clockOf({ nowMs = 0 }: Peer): string {
  const text = rfc3339(nowMs);
  return clockHint(nowMs, text === undefined ? "no date" : new TextDecoder().decode(text));
}

function saysOf(peer: Peer): string {
  return peer.nowMs === undefined ? "" : ` (${clockOf(peer)})`;
}

function saslReason(error: Error, { mechanism, principal }: Peer): Reason | undefined {
  if (mechanism === undefined) return undefined;
  const protocolError = "apiId" in error ? error.apiId : undefined;
  switch (protocolError) {
    case "SASL_AUTHENTICATION_FAILED":
      return refused(
        principal === undefined
          ? "the login was refused: check the token and what issues it"
          : `the login of ${principal} by ${mechanism} was refused: check sasl.username and sasl.password`,
      );
    case "UNSUPPORTED_SASL_MECHANISM":
      return refused(`it does not offer ${mechanism}: set sasl.mechanism to one it offers`);
    case "ILLEGAL_SASL_STATE":
      return refused("no login is wanted on this port: use the port for SASL, or leave sasl out");
    default:
      if (/provider threw/.test(error.message)) {
        return unreachable(`no token could be had for the login: ${innermost(error)}`);
      }
      return codeOf(error) === "PLT_KFK_AUTHENTICATION" && !("cause" in error)
        ? refused(`the login failed: ${error.message}`)
        : undefined;
  }
}

function networkReason(error: Error): Reason | undefined {
  if (error instanceof UnreadableAnswer) return unreachable(error.message);
  switch (codeOf(error)) {
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return unreachable("its name cannot be resolved: check the address and the DNS");
    case "ECONNREFUSED":
      return unreachable("nothing listens there: check the port and that the broker is running");
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return unreachable("there is no route to it: check the network");
    case "ERR_SOCKET_BAD_PORT":
      return unreachable("its address has no valid port: write host:port");
    case "ECONNRESET":
    case "EPIPE":
      return unreachable("the connection was lost");
    default:
      return undefined;
  }
}

/** What a broker does when it meets a client that it did not expect on this port. */
function closedAtOnce({ tls, mechanism, certificate }: Peer): string {
  const wants = [
    ...(tls ? [] : ["TLS (tls)"]),
    ...(tls && !certificate ? ["a client certificate (tls.certificate)"] : []),
    ...(mechanism === undefined ? ["a login (sasl)"] : []),
  ];
  const closed = "it closed the connection before it answered: perhaps it is down behind a proxy";
  return wants.length === 0 ? closed : `${closed}, or this port wants ${wants.join(" or ")}`;
}

function refused(reason: string): Reason {
  return { code: "UPLINK_LOGIN_REFUSED", reason };
}

function unreachable(reason: string): Reason {
  return { code: "UPLINK_UNREACHABLE", reason };
}

// ---- nested errors ----

/** The error, the errors it joins and its causes, outermost first. */
function chainOf(error: unknown): readonly Error[] {
  if (!(error instanceof Error)) return [];
  const joined = error instanceof AggregateError ? error.errors.flatMap(chainOf) : [];
  return [error, ...joined, ...chainOf(error.cause)];
}

function first<Value>(
  chain: readonly Error[],
  find: (error: Error) => Value | undefined,
): Value | undefined {
  for (const error of chain) {
    const value = find(error);
    if (value !== undefined) return value;
  }
  return undefined;
}

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : "";
}

function isTimeout(error: unknown): boolean {
  return chainOf(error).some(({ message }) => /timed out/.test(message));
}

/** The client says "Connection closed" to whoever waits for an answer. */
function isClosed(error: unknown): boolean {
  return chainOf(error).some(({ message }) => message.startsWith("Connection closed"));
}

function innermost(error: unknown): string {
  return chainOf(error).at(-1)?.message ?? String(error);
}
