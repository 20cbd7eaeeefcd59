/**
 * Asks a schema registry for the id of a schema, by the REST interface of Confluent's that others
 * speak too (Apicurio, Karapace, Redpanda):
 *
 *   POST {url}/subjects/{subject}/versions   {"schema": "<the schema as JSON text>"}
 *   200 {"id": 7}       409, 422, ... {"error_code": 42201, "message": "..."}
 *
 * Registering what is registered gives the same id again, so it may be tried any number of times.
 * One request on one connection, bounded in time and in what is read; redirects are not followed.
 * Source: Confluent Schema Registry API reference, "Register a new schema under the specified subject".
 */

import type { IncomingMessage, RequestOptions } from "node:http";
import { Fault, type FaultCode } from "../../core/faults.ts";

export type SchemaToRegister = {
  /** http or https, with the path before `/subjects` where there is one; no login in it. */
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /** PEM of the authorities, where they are not those that come with Node. */
  readonly ca?: Uint8Array;
  readonly subject: string;
  /** JSON text of an Avro schema. */
  readonly schema: string;
  /** For all of it: connection, login and answer. */
  readonly timeoutMs: number;
};

/**
 * The id of the schema, below 2^32. Faults: UPLINK_UNREACHABLE without an answer,
 * UPLINK_LOGIN_REFUSED, and UPLINK_REFUSED for any other answer, with the registry's own words.
 */
export async function registerSchema(asked: SchemaToRegister): Promise<number> {
  const place = placeOf(asked);
  const answer = await post(asked, place);
  if (answer.status !== 200) throw refusalOf(answer, place);
  const id = fieldOf(answer.body, "id");
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < 2 ** 32) return id;
  const what = answer.isWhole
    ? "gives no schema id"
    : `is longer than ${answerBytesMax / 1024} KiB`;
  throw fault("UPLINK_REFUSED", place, `its answer ${what}: check that the url is a registry's`);
}

/** Name of the subject for the values of a topic (TopicNameStrategy, the default of consumers). */
export function valueSubject(topic: string): string {
  return `${topic}-value`;
}

const answerBytesMax = 65_536; // 64 KiB
/** Of the registry's own words; those about an incompatible schema quote it whole. */
const wordsCharactersMax = 500;
const mediaType = "application/vnd.schemaregistry.v1+json";

/** Where the request goes; `base` is what messages call it, without a password. */
type Place = { readonly url: URL; readonly base: string; readonly subject: string };

function placeOf({ url: text, subject }: SchemaToRegister): Place {
  const given = URL.parse(text);
  if (given === null || !["http:", "https:"].includes(given.protocol)) {
    const message = "the address of the schema registry is none: write https://host:port";
    throw new Fault("CONFIG_INVALID", message, { facts: { subject } });
  }
  if (given.username + given.password !== "") {
    const message = "no login in the address of the schema registry: set its user and password";
    throw new Fault("CONFIG_INVALID", message, { facts: { subject } });
  }
  const base = `${given.origin}${given.pathname.replace(/\/+$/, "")}`;
  const url = new URL(`${base}/subjects/${encodeURIComponent(subject)}/versions`);
  return { url, base, subject };
}

// ---- the exchange ----

type Answer = {
  readonly status: number;
  /** As JSON; undefined if it is none. */
  readonly body: unknown;
  /** False where it was longer than is read. */
  readonly isWhole: boolean;
};

async function post(asked: SchemaToRegister, place: Place): Promise<Answer> {
  const { schema, timeoutMs } = asked;
  const body = Buffer.from(JSON.stringify({ schema }));
  const signal = AbortSignal.timeout(timeoutMs);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const fail = (error: Error): void => {
    const late = `no answer within ${timeoutMs} ms: check the address, or try again later`;
    reject(lostFault(error, place, signal.aborted ? late : undefined));
  };
  // Not imported: an import of node:http evaluates its lazy exports (fetch among them), 16 MB of RSS.
  const { request } = process.getBuiltinModule(
    place.url.protocol === "https:" ? "node:https" : "node:http",
  );
  const options = { ...requestOptions(asked, body.length), signal };
  const sent = request(place.url, options, (response) => {
    void readAnswer(response).then(resolve, fail);
  });
  sent.on("error", fail);
  sent.end(body);
  try {
    return await promise;
  } finally {
    sent.destroy();
  }
}

function requestOptions(
  { user, password = "", ca }: SchemaToRegister,
  length: number,
): RequestOptions & { readonly ca?: Buffer } {
  return {
    method: "POST",
    agent: false,
    ...(user === undefined ? {} : { auth: `${user}:${password}` }),
    ...(ca === undefined ? {} : { ca: Buffer.from(ca) }),
    headers: {
      Accept: `${mediaType}, application/json`,
      "Content-Type": mediaType,
      "Content-Length": length,
    },
  };
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const status = response.statusCode ?? 0;
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > answerBytesMax) return { status, body: undefined, isWhole: false };
    parts.push(part);
  }
  return { status, body: jsonOf(Buffer.concat(parts).toString()), isWhole: true };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function fieldOf(body: unknown, name: string): unknown {
  return typeof body === "object" && body !== null ? Reflect.get(body, name) : undefined;
}

// ---- faults ----

function refusalOf({ status, body }: Answer, place: Place): Fault {
  const { code, problem, remedy } = meaningOf(status, place.subject);
  const registryError = fieldOf(body, "error_code");
  const facts = { status, ...(typeof registryError === "number" ? { registryError } : {}) };
  const reason = `${problem}${wordsOf(body)}${remedy === undefined ? "" : `: ${remedy}`}`;
  return fault(code, place, reason, { facts });
}

type Meaning = {
  readonly code: FaultCode;
  readonly problem: string;
  readonly remedy?: string;
};

function meaningOf(status: number, subject: string): Meaning {
  switch (status) {
    case 401:
      return {
        code: "UPLINK_LOGIN_REFUSED",
        problem: "the login was refused",
        remedy: "check user and password",
      };
    case 403:
      return {
        code: "UPLINK_LOGIN_REFUSED",
        problem: `this user may not register schemas of ${subject}`,
        remedy: "give it the right to, or set the ids of the schemas instead",
      };
    case 404:
      return {
        code: "UPLINK_REFUSED",
        problem: "it knows nothing of subjects",
        remedy: "check that the url is a registry's",
      };
    case 409:
      return {
        code: "UPLINK_REFUSED",
        problem: `the schema is incompatible with an earlier one of ${subject}`,
        remedy: "choose a topic of its own, or change the compatibility of that subject",
      };
    case 422:
      return { code: "UPLINK_REFUSED", problem: `it does not take the schema of ${subject}` };
    default:
      return {
        code: "UPLINK_REFUSED",
        problem: `it answered with HTTP status ${status} to the schema of ${subject}`,
      };
  }
}

/** What the registry said about it, made fit for one line: " (...)", or nothing. */
function wordsOf(body: unknown): string {
  const message = fieldOf(body, "message");
  if (typeof message !== "string") return "";
  const line = message.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
  if (line === "") return "";
  return line.length > wordsCharactersMax
    ? ` (${line.slice(0, wordsCharactersMax)}...)`
    : ` (${line})`;
}

const untrusted = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

const losses: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there: check the port and that the registry is running",
  ENOTFOUND: "its name cannot be resolved: check the address and the DNS",
  EAI_AGAIN: "its name cannot be resolved: check the address and the DNS",
  EHOSTUNREACH: "there is no route to it: check the network",
  ENETUNREACH: "there is no route to it: check the network",
  ECONNRESET: "it closed the connection before it answered: perhaps this port wants https",
  EPROTO: "no TLS is spoken on this port: use the port for TLS, or http",
  ERR_SSL_WRONG_VERSION_NUMBER: "no TLS is spoken on this port: use the port for TLS, or http",
  CERT_HAS_EXPIRED: "its certificate has expired: renew it, unless this gateway's clock is ahead",
  CERT_NOT_YET_VALID: "its certificate is not valid yet: this gateway's clock seems to be behind",
};

/** The fault for a request that got no answer; `late` says that its time was over. */
function lostFault(error: Error, place: Place, late: string | undefined): Fault {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const reason =
    late ??
    losses[code] ??
    (untrusted.has(code)
      ? "its certificate comes from an authority not known here: set the authorities to trust"
      : error.message);
  return fault("UPLINK_UNREACHABLE", place, reason, { cause: error });
}

function fault(
  code: FaultCode,
  { base, subject }: Place,
  reason: string,
  rest: { readonly cause?: unknown; readonly facts?: Readonly<Record<string, number>> } = {},
): Fault {
  const facts = { registry: base, subject, ...rest.facts };
  return new Fault(code, `schema registry ${base}: ${reason}`, { cause: rest.cause, facts });
}
