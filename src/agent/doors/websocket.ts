/**
 * MQTT over WebSocket (MQTT 3.1.1 and 5, chapter 6; RFC 6455) on connected sockets, both ways.
 *
 *   stream --HTTP upgrade: path, origin, subprotocol--> WebSocket --binary messages--> bytes
 *
 * Packets are not aligned with messages [MQTT-6.0.0-2]: what a message holds is handed on as bytes of
 * one stream. Text closes the connection [MQTT-6.0.0-1]. Nothing is compressed.
 *
 * A web page of any site can open a WebSocket to this machine, through the browser of somebody who
 * may reach it: so an upgrade that names its page (Origin) is taken only from pages of this very
 * host, and from those that are allowed by name. A host's name proves nothing (DNS rebinding), its
 * address does.
 *
 * A message is kept until it is whole; webSocketsMax * webSocketMessageBytesMax is the worst of that.
 */

import type { IncomingMessage, Server } from "node:http";
import { isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { WebSocket, WebSocketServer } from "ws";
import { assert } from "../../core/assert.ts";
import type { NetHandlers, NetSocket, WebSocketListen } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { isLoopback } from "../../core/loopback.ts";
import { portalHint } from "../../core/strangers.ts";
import type { Handshake } from "./handshakes.ts";

/** The names of MQTT as a subprotocol; the second is that of 3.1. */
const subprotocols = ["mqtt", "mqttv3.1"];

const receiving = {
  perMessageDeflate: false,
  maxPayload: limits.webSocketMessageBytesMax,
  // What one message may be cut into: each piece costs more than its bytes.
  maxBufferedChunks: 4_096,
  maxFragments: 1_024,
  closeTimeout: limits.closeWaitMs,
} as const;

// ---- clients that connect to us ----

/** The upgrades of one listener; the library is loaded when the first is opened. */
export async function openWebSocketGate(options: WebSocketListen): Promise<WebSocketGate> {
  const { WebSocketServer: Constructor } = await import("ws");
  // Not imported: an import of node:http evaluates its lazy exports (fetch among them), 16 MB of RSS.
  const { createServer } = process.getBuiltinModule("node:http");
  // Neither listens: connections are given to them.
  const server = createServer({ maxHeaderSize: limits.httpHeaderBytesMax, keepAlive: false });
  server.maxHeadersCount = limits.httpHeadersMax;
  const webSockets = new Constructor({
    ...receiving,
    noServer: true,
    clientTracking: false,
    handleProtocols: (offered) => subprotocols.find((name) => offered.has(name)) ?? false,
  });
  return new WebSocketGate({ options, server, webSockets });
}

type WaitingUpgrade = {
  readonly handshake: Handshake;
  readonly certificateName: string | undefined;
  readonly onUpgraded: (socket: NetSocket) => void;
};

type Refusal = { readonly answer: string; readonly why: string };

/** What stands before the sockets of one listener: upgrades or refuses. */
export class WebSocketGate {
  readonly #options: WebSocketListen;
  readonly #server: Server;
  readonly #webSockets: WebSocketServer;
  readonly #waiting = new WeakMap<Duplex, WaitingUpgrade>();
  #open = 0;

  /** Use `openWebSocketGate`. */
  constructor(parts: {
    readonly options: WebSocketListen;
    readonly server: Server;
    readonly webSockets: WebSocketServer;
  }) {
    this.#options = parts.options;
    this.#server = parts.server;
    this.#webSockets = parts.webSockets;
    this.#server.on("request", (request, response) => {
      response.setHeader("Connection", "close");
      response.writeHead(426, { Upgrade: "websocket" }).end();
      const why = "it asked for a page where MQTT over WebSocket is spoken";
      this.#waiting.get(request.socket)?.handshake.refuse(why, () => undefined);
    });
    this.#server.on("clientError", (_error, stream) => {
      const handshake = this.#waiting.get(stream)?.handshake;
      if (handshake === undefined) stream.destroy();
      else handshake.refuse("it spoke no HTTP: its address may want ws:// or wss://");
    });
    this.#server.on("upgrade", (request, stream, head) => this.#onUpgrade(request, stream, head));
  }

  /** `stream` is a new connection, secured if it is to be; `onUpgraded` follows unless it is refused or leaves. */
  upgrade(stream: Socket, waiting: WaitingUpgrade): void {
    this.#waiting.set(stream, waiting);
    this.#server.emit("connection", stream);
  }

  #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const waiting = this.#waiting.get(stream);
    if (waiting === undefined) {
      stream.destroy();
      return;
    }
    const { handshake, certificateName, onUpgraded } = waiting;
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined) {
      const farewell = `HTTP/1.1 ${refusal.answer}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
      handshake.refuse(refusal.why, () => stream.end(farewell));
      return;
    }
    this.#webSockets.once("wsClientError", refused);
    this.#webSockets.handleUpgrade(request, stream, head, (webSocket) => {
      this.#open += 1;
      webSocket.once("close", () => {
        this.#open -= 1;
      });
      handshake.done();
      const { remote } = handshake;
      onUpgraded(new WebSocketEnd(webSocket, { stream, remote, certificateName }));
    });
    this.#webSockets.removeListener("wsClientError", refused);

    function refused(error: Error): void {
      handshake.refuse(`it asked for no WebSocket as RFC 6455 has it: ${error.message}`);
    }
  }

  #refusalOf({ url = "", headers }: IncomingMessage): Refusal | undefined {
    if (url.split("?", 1)[0] !== this.#options.path) {
      return {
        answer: "404 Not Found",
        why: `it asked for another path than ${this.#options.path}`,
      };
    }
    const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    if (!subprotocols.some((name) => offered.includes(name))) {
      return { answer: "400 Bad Request", why: "it offered no subprotocol mqtt" };
    }
    if (headers.origin !== undefined && !this.#isAllowed(headers.origin, headers.host)) {
      const why = `a page of ${shown(headers.origin)} is not allowed (allowedOrigins)`;
      return { answer: "403 Forbidden", why };
    }
    if (this.#open >= limits.webSocketsMax) {
      return { answer: "503 Service Unavailable", why: "too many WebSockets are open" };
    }
    return undefined;
  }

  #isAllowed(origin: string, host: string | undefined): boolean {
    if (this.#options.allowedOrigins?.includes(origin) === true) return true;
    const page = hostOf(origin);
    const asked = host === undefined ? undefined : hostOf(`http://${host}`);
    if (page === undefined || page !== asked) return false;
    return isLoopback(page) || isIP(page.replace(/^\[(.*)\]$/, "$1")) !== 0;
  }
}

function hostOf(url: string): string | undefined {
  return URL.parse(url)?.hostname;
}

/** What a stranger sent, fit for a line of a log. */
function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

// ---- connections of ours ----

/** Upgrades a connection that we opened; rejects with an Error. */
export async function upgradeOwn(
  stream: Socket,
  at: {
    readonly host: string;
    readonly port: number;
    readonly path: string;
    /** What an error of the stream means, where more can be said than its code. */
    readonly reasonOf: (error: NodeJS.ErrnoException) => string | undefined;
  },
): Promise<NetSocket> {
  const { WebSocket: Constructor } = await import("ws");
  const { host, port, path, reasonOf } = at;
  const name = isIP(host) === 6 ? `[${host}]` : host;
  const remote = `${stream.remoteAddress ?? "?"}:${stream.remotePort ?? 0}`;
  const { promise, resolve, reject } = Promise.withResolvers<NetSocket>();
  const webSocket = new Constructor(`ws://${name}:${port}${path}`, ["mqtt"], {
    ...receiving,
    createConnection: () => stream,
  });
  webSocket.once("error", (error) => {
    const status = /^Unexpected server response: (\d+)$/.exec(error.message)?.[1];
    reject(
      status === undefined
        ? error
        : new Error(`it answered ${status} to a WebSocket at ${path}${webHints[status] ?? ""}`),
    );
  });
  webSocket.once("open", () => {
    // Nothing arrives before the owner has said where to.
    webSocket.pause();
    resolve(new WebSocketEnd(webSocket, { stream, remote, certificateName: undefined, reasonOf }));
  });
  return await promise;
}

/** By the status of an answer to an upgrade; 511 is what a network that wants a login should say. */
const webHints: Readonly<Record<string, string>> = {
  "404": ": is the path right?",
  "200": `; ${portalHint}`,
  "302": `; ${portalHint}`,
  "303": `; ${portalHint}`,
  "307": `; ${portalHint}`,
  "511": `; ${portalHint}`,
};

// ---- one end ----

/** What we send in one message at most: the other side keeps it until it is whole, too. */
const MESSAGE_BYTES = 65_536;

/** Codes of an end that is in order: normal, going away, none given. */
const orderly = new Set([1_000, 1_001, 1_005]);

class WebSocketEnd implements NetSocket {
  readonly remote: string;
  readonly certificateName: string | undefined;
  readonly #webSocket: WebSocket;
  readonly #stream: Duplex;
  #reason: string | undefined;
  #started = false;
  #isRefused = false;

  /** `webSocket` is open and, on `stream`, gives nothing before this turn is over. */
  constructor(
    webSocket: WebSocket,
    parts: {
      readonly stream: Duplex;
      readonly remote: string;
      readonly certificateName: string | undefined;
      readonly reasonOf?: (error: NodeJS.ErrnoException) => string | undefined;
    },
  ) {
    const { stream, remote, certificateName, reasonOf } = parts;
    this.#webSocket = webSocket;
    this.#stream = stream;
    this.remote = remote;
    this.certificateName = certificateName;
    const onError = (error: NodeJS.ErrnoException): void => {
      this.#reason ??= reasonOf?.(error) ?? error.code ?? error.message;
    };
    stream.on("error", onError);
    webSocket.on("error", onError);
  }

  get queuedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  start(handlers: NetHandlers): void {
    assert(!this.#started, "a socket is started once");
    this.#started = true;
    this.#webSocket.on("message", (message, isBinary) => {
      assert(Buffer.isBuffer(message), "messages come as one buffer");
      // What stands behind a text that was refused is not read; the library still brings it.
      if (this.#isRefused) return;
      if (isBinary) handlers.onBytes(message, message.length);
      else this.#refuseText();
    });
    this.#stream.on("drain", () => handlers.onDrain());
    this.#webSocket.on("close", (code) => {
      handlers.onClose(this.#reason ?? (orderly.has(code) ? "" : `WebSocket closed with ${code}`));
    });
    this.#webSocket.resume();
  }

  write(bytes: Uint8Array): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return;
    for (let start = 0; start < bytes.length; start += MESSAGE_BYTES) {
      const part = bytes.subarray(start, start + MESSAGE_BYTES);
      this.#webSocket.send(part, { binary: true, compress: false });
    }
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  end(): void {
    this.#reason ??= "";
    this.#webSocket.close(1_000);
    // The other side's answer is to be read.
    this.#webSocket.resume();
  }

  destroy(): void {
    this.#reason ??= "";
    this.#webSocket.terminate();
  }

  #refuseText(): void {
    this.#isRefused = true;
    this.#reason ??= "a text message where only binary ones are MQTT";
    this.#webSocket.close(1_003);
  }
}
