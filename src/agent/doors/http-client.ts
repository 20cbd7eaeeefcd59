/**
 * The door to an HTTP endpoint: POSTs over one connection, kept alive (HTTP/1.1, RFC 9112).
 *
 *   POST ─▶ connect, where there is no connection ─▶ body, piece by piece ─▶ answer, its beginning read
 *           one deadline                             no piece for `answerMs`  all of it within `answerMs`
 *
 * No redirection is followed. An endpoint may close a connection that is idle in the moment in which the
 * next POST is sent on it: that POST is sent again at once, on a new one.
 *
 * node:http is not imported but asked for when it is needed: an import evaluates its lazy exports, 16 MB.
 */

import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Clock, NetAddress, TlsConnect, Wire } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { portalHint } from "../../core/strangers.ts";
import type { Answer, HttpConnection, Post } from "../../sync/http/http-connection.ts";
import { connected, type ReasonOf } from "./connected.ts";
import { bytesOf, refusal, secretBytesMax } from "./pem-files.ts";

export type HttpTarget = {
  /** For people: neither login nor query. */
  readonly shown: string;
  readonly address: NetAddress & { readonly tls?: TlsConnect };
  /** Host as the header has it. */
  readonly host: string;
  /** With its query. */
  readonly path: string;
  /** Of every POST, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly login: HttpLogin | undefined;
};

export type HttpLogin =
  | { readonly kind: "basic"; readonly user: string; readonly password: string }
  | { readonly kind: "bearer"; readonly token: string }
  /** Read at each POST. */
  | { readonly kind: "bearerFile"; readonly file: string };

export type HttpConnectionOptions = {
  readonly target: HttpTarget;
  readonly connectMs: number;
  readonly answerMs: number;
  /** What the next connection is opened over. */
  readonly wire: () => Wire | undefined;
};

export interface HttpDoor {
  open(options: HttpConnectionOptions): HttpConnection;
}

export function systemHttp(clock: Clock): HttpDoor {
  return { open: (options) => new Connection(options, clock) };
}

/** The words of the header `authorization`. Faults: UPLINK_LOGIN_REFUSED, naming the file. */
export async function authorizationOf(login: HttpLogin): Promise<string> {
  if (login.kind === "bearer") return `Bearer ${login.token}`;
  if (login.kind === "basic") {
    return `Basic ${Buffer.from(`${login.user}:${login.password}`).toString("base64")}`;
  }
  const source = {
    noun: "the token",
    path: login.file,
    bytesMax: secretBytesMax,
    code: "UPLINK_LOGIN_REFUSED",
  } as const;
  const bytes = await bytesOf(source);
  const token = bytes.toString("latin1").trim();
  if (/^[\x21-\x7e]+$/.test(token)) return `Bearer ${token}`;
  throw refusal(source, "holds no token: put one there, and nothing else");
}

class Connection implements HttpConnection {
  readonly #options: HttpConnectionOptions;
  readonly #clock: Clock;
  #agent: Agent | undefined;
  #request: ClientRequest | undefined;
  #socket: Socket | undefined;
  #reasonOf: ReasonOf = () => undefined;
  #before = { sent: 0, received: 0 };
  #isClosed = false;

  constructor(options: HttpConnectionOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get traffic(): HttpConnection["traffic"] {
    const { sent, received } = this.#before;
    const { bytesWritten = 0, bytesRead = 0 } = this.#socket ?? {};
    return { sent: sent + bytesWritten, received: received + bytesRead };
  }

  async post(post: Post): Promise<Answer> {
    const { target } = this.#options;
    const { login } = target;
    const authorization = login && (await authorizationOf(login));
    const headers = {
      host: target.host,
      connection: "keep-alive",
      "user-agent": "weir",
      accept: "*/*",
      ...target.headers,
      ...(authorization === undefined ? {} : { authorization }),
      ...post.headers,
      "content-length": String(post.body.length),
    };
    const secrets = [...Object.values(target.headers), ...secretsOf(authorization)];
    const first = await this.#try({ headers, body: post.body, secrets });
    if (first.kind === "answer") return first.answer;
    if (!first.isStale || this.#isClosed) throw first.fault;
    const second = await this.#try({ headers, body: post.body, secrets });
    if (second.kind === "answer") return second.answer;
    throw second.fault;
  }

  close(): void {
    this.#isClosed = true;
    this.#request?.destroy();
    this.#agent?.destroy();
  }

  // ---- one try ----

  async #try(sending: Sending): Promise<Tried> {
    const { shown, path } = this.#options.target;
    if (this.#isClosed) return { kind: "lost", fault: lostFault(shown, "it was closed") };
    const { request: begin } = process.getBuiltinModule("node:http");
    this.#agent ??= this.#makeAgent();
    const sent = begin({
      agent: this.#agent,
      method: "POST",
      path,
      headers: sending.headers,
      setDefaultHeaders: false,
    });
    this.#request = sent;
    const { promise, resolve } = Promise.withResolvers<Tried>();
    let hasAnswer = false;
    const lost = (error: NodeJS.ErrnoException): void => {
      cancel();
      const isStale = sent.reusedSocket && !hasAnswer && staleCodes.has(error.code ?? "");
      resolve({ kind: "lost", fault: this.#faultOf(error), isStale });
    };
    let cancel = (): void => undefined;
    const owed = (): void => {
      const { answerMs } = this.#options;
      cancel();
      cancel = this.#clock.after(answerMs, () => {
        sent.destroy(new Error(`it took and answered nothing within ${answerMs} ms`));
      });
    };
    sent.on("error", lost);
    sent.on("close", () => {
      if (!hasAnswer) lost(new Error("the connection ended without an answer"));
    });
    sent.on("upgrade", (_response, socket) => {
      lost(new Error("it answers in another protocol"));
      socket.destroy();
    });
    sent.on("response", (response) => {
      hasAnswer = true;
      readAnswer(response, { secrets: sending.secrets, nowMs: this.#clock.now() }).then(
        (answer) => {
          cancel();
          // An answer before the end of the body: nobody reads the rest of it.
          if (!sent.writableFinished || !response.complete) sent.destroy();
          resolve({ kind: "answer", answer });
        },
        lost,
      );
    });
    sent.once("socket", () => {
      owed();
      writePieces(sent, sending.body, owed);
    });
    try {
      return await promise;
    } finally {
      cancel();
    }
  }

  #makeAgent(): Agent {
    const { Agent } = process.getBuiltinModule("node:http");
    const agent = new Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
    agent.createConnection = (_options, done) => {
      this.#connect().then(
        (socket) => done?.(null, socket),
        // The types want a stream with an error, too.
        (error: unknown) => {
          Reflect.apply(done ?? ignore, undefined, [error]);
        },
      );
      return undefined;
    };
    return agent;
  }

  async #connect(): Promise<Socket> {
    const { target, connectMs, wire } = this.#options;
    const options = { waitMs: connectMs, wire: wire(), clock: this.#clock };
    return await connected(target.address, options, (socket, reasonOf) => {
      if (this.#isClosed) socket.destroy();
      const { traffic } = this;
      this.#before = traffic;
      this.#socket = socket;
      this.#reasonOf = reasonOf;
      return socket;
    });
  }

  #faultOf(error: NodeJS.ErrnoException): Fault {
    const { shown } = this.#options.target;
    if (error instanceof Fault) {
      return new Fault(error.code, `${shown}: ${error.message}`, { cause: error });
    }
    const isNoHttp = error.code?.startsWith("HPE_") === true;
    const why = isNoHttp
      ? `it does not speak HTTP here: is it a port for TLS, so https? ${portalHint}`
      : (this.#reasonOf(error) ?? error.code ?? error.message);
    return lostFault(shown, why, error);
  }
}

type Sending = {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly secrets: readonly string[];
};

type Tried =
  | { readonly kind: "answer"; readonly answer: Answer }
  /** `isStale`: the connection was over before this POST was begun. */
  | { readonly kind: "lost"; readonly fault: Fault; readonly isStale?: boolean };

const staleCodes: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE"]);

function ignore(): void {
  return undefined;
}

function lostFault(shown: string, why: string, cause?: unknown): Fault {
  return new Fault("UPLINK_UNREACHABLE", `${shown}: no answer: ${why}`, { cause });
}

/** `onPiece`: the connection has taken one. */
function writePieces(sent: ClientRequest, body: Uint8Array, onPiece: () => void): void {
  const next = (from: number): void => {
    const to = Math.min(body.length, from + limits.postPieceBytes);
    const piece = body.subarray(from, to);
    if (to === body.length) sent.end(piece, onPiece);
    else {
      sent.write(piece, (error) => {
        if (error !== undefined && error !== null) return;
        onPiece();
        next(to);
      });
    }
  };
  next(0);
}

// ---- answers ----

async function readAnswer(
  response: IncomingMessage,
  { secrets, nowMs }: { readonly secrets: readonly string[]; readonly nowMs: number },
): Promise<Answer> {
  const { headers, statusCode: status = 0 } = response;
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    parts.push(part.subarray(0, limits.postAnswerBytesMax - length));
    length += part.length;
    if (length >= limits.postAnswerBytesMax) break;
  }
  const contentType = (headers["content-type"] ?? "").split(";")[0]!.trim().toLowerCase();
  const isText = /^text\/plain$|json$/.test(contentType);
  return {
    status,
    contentType,
    retryAfterMs: retryAfterOf(headers["retry-after"], nowMs),
    location: locationOf(headers.location),
    words: isText ? wordsOf(Buffer.concat(parts).toString(), secrets) : "",
  };
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfterOf(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(text)) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

function locationOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text, "http://x");
  if (url === null) return undefined;
  const path = url.pathname.slice(0, limits.postWordsMax);
  return url.host === "x" ? path : `${url.protocol}//${url.host}${path}`;
}

/** An endpoint may say what it was sent: our secrets are in no message. */
function wordsOf(text: string, secrets: readonly string[]): string {
  const plain = secrets.reduce((said, secret) => said.replaceAll(secret, "***"), text);
  const line = plain.replaceAll(/[\p{C}\s]+/gu, " ").trim();
  return line.length > limits.postWordsMax ? `${line.slice(0, limits.postWordsMax)}...` : line;
}

/** The words of a login, and in them the password of a basic one. */
function secretsOf(authorization: string | undefined): readonly string[] {
  const [scheme, words = ""] = (authorization ?? "").split(" ");
  if (words === "") return [];
  const plain = Buffer.from(words, "base64").toString();
  const password = plain.slice(plain.indexOf(":") + 1);
  return scheme === "Basic" && password !== "" ? [words, plain, password] : [words];
}
