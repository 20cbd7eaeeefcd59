/**
 * One broker and the connection to it. It may be asked several things at once; it never reconnects:
 * a connection that was lost stays lost, and whoever needs it begins another session.
 *
 *   open      TCP, TLS and login, then ApiVersions: what this broker can be asked
 *   ask       one request by a function of the client
 *   exchange  one request that we write and read ourselves (exchanges.ts)
 */

import { Fault } from "../../../core/faults.ts";
import { checkAnswers, checkFrames } from "./answers.ts";
import { type ClusterOptions, type LinkedSockets, principalOf } from "./cluster-options.ts";
import { connectionOptions } from "./connection-options.ts";
import {
  connectFault,
  decisive,
  lostFault,
  type Peer,
  type Refusal,
  refusalFault,
} from "./client-faults.ts";
import type { Connection, Protocol, Reader, Writer } from "./protocol.ts";
import { type Asked, requests, type Versions, versionLack } from "./requests.ts";

/** A request of our own: how it is written, and how its answer is read. */
export type Exchange<Answer> = {
  readonly write: (writer: Writer) => Writer;
  readonly read: (reader: Reader) => Answer;
};

type Parts = { readonly protocol: Protocol; readonly options: ClusterOptions };

export class Broker {
  /** "host:port", and where it is reached if that is elsewhere. */
  readonly address: string;
  /** Where it is reached. */
  readonly #host: string;
  readonly #port: number;
  readonly #protocol: Protocol;
  readonly #options: ClusterOptions;
  readonly #peer: Peer;
  readonly #connection: Connection;
  /** What TLS is spoken on, where a link is to know. */
  readonly #linked: ReturnType<LinkedSockets["forTls"]> | undefined;
  #versions: Versions = new Map();
  /** What broke the connection: told by an event before requests learn that it is closed. */
  #broken: Error | undefined;
  #hasAnswered = false;
  #isClosed = false;

  /** Touches no network before `open`. */
  constructor(address: string, { protocol, options }: Parts) {
    const at = options.addresses?.[address] ?? address;
    const { host, port } = hostAndPort(at);
    this.address = at === address ? address : `${address} (at ${at})`;
    this.#host = host;
    this.#port = port;
    this.#protocol = protocol;
    this.#options = options;
    this.#peer = {
      address: this.address,
      principal: principalOf(options.sasl),
      mechanism: options.sasl?.mechanism,
      tls: options.tls !== undefined,
      certificate: options.tls?.cert !== undefined,
    };
    this.#linked = options.tls === undefined ? undefined : options.sockets?.forTls();
    this.#connection = new protocol.Connection(
      options.clientId,
      connectionOptions(options, {
        host: hostAndPort(address).host,
        protocol,
        socket: this.#linked?.socket,
      }),
    );
    checkAnswers(this.#connection, protocol);
    this.#connection.on("error", (error) => {
      this.#broken ??= error;
    });
  }

  /** The broker hung up, or the connection broke, after it was open. */
  get isLost(): boolean {
    if (this.#isClosed || this.#versions.size === 0) return false;
    const { socket, status } = this.#connection;
    // It logs in again from time to time and is not lost while it does.
    return socket.destroyed || (status !== "connected" && status !== "reauthenticating");
  }

  /**
   * Bytes on its socket. With TLS these are those before it encrypts and after it decrypts, but over a
   * link, where they are those on the network.
   */
  get traffic(): { readonly sent: number; readonly received: number } {
    const socket = this.#linked?.socket ?? this.#connection.socket;
    if (socket === undefined) return { sent: 0, received: 0 };
    return { sent: socket.bytesWritten, received: socket.bytesRead };
  }

  async open(): Promise<void> {
    const { connectTimeoutMs, requestTimeoutMs } = this.#options;
    await this.#opening(connectTimeoutMs, async () => await this.#connect());
    const { apiKeys } = await this.#opening(
      requestTimeoutMs,
      async () => await this.#protocol.apiVersionsV1.api.async(this.#connection, "", ""),
    );
    this.#versions = new Map(
      apiKeys.map(({ apiKey, minVersion: min, maxVersion: max }) => [apiKey, { min, max }]),
    );
  }

  /** One request; an error in its answer, or none at all, is a fault about what was `asked`. */
  async ask<Answer>(
    asked: Asked,
    send: (connection: Connection) => Promise<Answer>,
  ): Promise<Answer> {
    const lack = versionLack(asked.request, this.#versions);
    if (lack !== undefined) {
      const facts = { broker: this.address, request: asked.request, error: "UNSUPPORTED_VERSION" };
      throw new Fault("UPLINK_REFUSED", `broker ${this.address} ${lack}`, { facts });
    }
    try {
      const answer = await send(this.#connection);
      this.#hasAnswered = true;
      return answer;
    } catch (error) {
      throw this.#faultOf(error, asked);
    }
  }

  async exchange<Answer>(asked: Asked, { write, read }: Exchange<Answer>): Promise<Answer> {
    const { key, version } = requests[asked.request];
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const payload = (): Writer => write(this.#protocol.Writer.create());
    return await this.ask(asked, async (connection) => {
      connection.send(
        key,
        version,
        payload,
        (_correlation, _key, _version, reader) => read(reader),
        false,
        false,
        (error, answer) => {
          if (error !== null || answer === undefined) reject(error);
          else resolve(answer);
        },
      );
      return await promise;
    });
  }

  /** The fault for an error, by its name in the protocol, found in an answer. */
  refusal(error: string, asked: Asked, detail?: string): Fault {
    const known = this.#protocol.protocolErrors[error]?.message;
    return refusalFault({ error, detail: detail ?? known }, asked, this.#peer);
  }

  /** The name of a protocol error; a number newer than our client keeps its number. */
  errorName(code: number): string {
    return this.#protocol.protocolErrorsCodesById[code] ?? `ERROR_${code}`;
  }

  /** Cuts the connection at once; what is under way rejects. */
  close(): void {
    const { socket } = this.#connection;
    this.#isClosed = true;
    // Ends reauthentication and whoever waits for the connection; waits itself for the peer to read.
    void this.#connection.close();
    // A destroyed socket may still report what it was doing, and close() takes the listeners away.
    socket?.on("error", () => undefined);
    socket?.destroy();
  }

  async #connect(): Promise<void> {
    const { sockets } = this.#options;
    const begin = (): Promise<void> | void => this.#connection.connect(this.#host, this.#port);
    const isPlain = this.#linked === undefined && sockets !== undefined;
    const connected = isPlain ? sockets.plain(begin) : begin();
    checkFrames(this.#connection.socket, { tls: this.#peer.tls });
    // A port that is none is told by the client.
    if (this.#port >= 0) this.#linked?.connect({ host: this.#host, port: this.#port });
    await connected;
  }

  async #opening<Value>(timeoutMs: number, step: () => Promise<Value>): Promise<Value> {
    try {
      return await step();
    } catch (error) {
      this.close();
      const peer = { ...this.#peer, nowMs: this.#options.now?.() };
      throw connectFault(this.#broken ?? error, peer, timeoutMs);
    }
  }

  #faultOf(error: unknown, asked: Asked): Fault {
    if (error instanceof this.#protocol.ResponseError) {
      const first = decisive(error.errors.map(refusalIn));
      return this.refusal(first?.error ?? "UNKNOWN_SERVER_ERROR", asked, first?.detail);
    }
    return lostFault(this.#broken ?? error, {
      asked,
      peer: this.#peer,
      timeoutMs: this.#options.requestTimeoutMs,
      isFirst: !this.#hasAnswered,
    });
  }
}

/** The client's ProtocolError, one for each error in an answer, in our terms. */
function refusalIn(part: unknown): Refusal {
  const { apiId, serverErrorMessage: words } = Object(part) as Record<string, unknown>;
  return {
    error: typeof apiId === "string" ? apiId : "UNKNOWN_SERVER_ERROR",
    detail: typeof words === "string" ? words : undefined,
  };
}

/** "host:port" or "[address]:port"; a port that is none is told when it is connected to. */
function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(address.slice(colon + 1) || NaN) };
}
