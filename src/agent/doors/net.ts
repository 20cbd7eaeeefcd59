/**
 * The real network: TCP by node:net, TLS and WebSocket on it.
 *
 *   listen   TCP -> [TLS] -> [WebSocket upgrade] -> accept         what is not through has a deadline
 *   connect  TCP -> [TLS] -> [WebSocket upgrade] -> NetSocket      one deadline for all
 *
 * Plain TCP sockets read into one buffer that they all share: the kernel copies into it, the receiver
 * takes what it wants during the call, and nothing is allocated per read. Node offers that only for
 * sockets it creates itself, so the handle of an open one is handed to a new socket. The handle
 * is not documented; where it is missing (or on Windows, whose reads are not immediate) the plain
 * `data` event serves, at more CPU per read. TLS always reads by `data`.
 */

import { type BoundSocket, createServer, type Server, Socket } from "node:net";
import { assert } from "../../core/assert.ts";
import type {
  CertificateStatus,
  Clock,
  ConnectAddress,
  ListenAddress,
  Net,
  NetAddress,
  NetHandlers,
  NetListener,
  NetSocket,
} from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { systemClock } from "./clock.ts";
import { Handshakes } from "./handshakes.ts";
import { connectOptions, openTlsGate, type TlsGate } from "./tls.ts";
import { serverReason } from "./tls-reasons.ts";

const READ_BYTES = 64 * 1024;
/** A peer that vanished without a word is noticed by the kernel's probes. */
const PROBE_AFTER_MS = 60_000;

const sharedBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** `clock` is for deadlines, and for looking at the files of certificates. */
export function systemNet(clock: Clock = systemClock()): Net {
  return new SystemNet(clock, takeHandle);
}

/** The same without the hand-over of handles: what is left where Node has none. */
export function plainNet(): Net {
  return new SystemNet(systemClock(), noHandle);
}

type HandleOf = (socket: Socket) => object | undefined;

const noHandle: HandleOf = () => undefined;

class SystemNet implements Net {
  readonly #clock: Clock;
  readonly #handleOf: HandleOf;
  readonly #gates = new Set<TlsGate>();

  constructor(clock: Clock, handleOf: HandleOf) {
    this.#clock = clock;
    this.#handleOf = handleOf;
  }

  async listen(address: ListenAddress, accept: (socket: NetSocket) => void): Promise<NetListener> {
    const { tls } = address;
    assert(address.webSocket === undefined, "WebSocket is not there yet");
    const gate = tls === undefined ? undefined : await openTlsGate(tls, this.#clock);
    try {
      const listener = await this.#listen(address, gate, accept);
      if (gate !== undefined) this.#gates.add(gate);
      return listener;
    } catch (error) {
      gate?.close();
      throw error;
    }
  }

  #listen(
    address: ListenAddress,
    gate: TlsGate | undefined,
    accept: (socket: NetSocket) => void,
  ): Promise<NetListener> {
    const handshakes = gate === undefined ? undefined : new Handshakes(this.#clock);
    const server = createServer({ pauseOnConnect: gate === undefined, noDelay: true });
    server.on("connection", (socket) => {
      keepProbed(socket);
      if (gate === undefined || handshakes === undefined) {
        accept(new StreamSocket(socket, { handleOf: this.#handleOf }));
        return;
      }
      const handshake = handshakes.begin(socket);
      gate.secure(handshake, ({ socket: secured, certificateName }) => {
        handshake.done();
        secured.pause();
        accept(new StreamSocket(secured, { handleOf: noHandle, certificateName }));
      });
    });
    const onClose = (): void => {
      handshakes?.close();
      gate?.close();
      if (gate !== undefined) this.#gates.delete(gate);
    };
    return new Promise((resolve, reject) => {
      server.once("error", (error) => reject(faultOf(error, address)));
      server.listen({ host: address.host, port: address.port }, () => {
        server.removeAllListeners("error");
        resolve(listenerOf(server, { handshakes, onClose }));
      });
    });
  }

  async connect(
    address: ConnectAddress,
    { waitMs }: { readonly waitMs: number },
  ): Promise<NetSocket> {
    const { host, port, tls } = address;
    assert(address.webSocket === undefined, "WebSocket is not there yet");
    const nowMs = this.#clock.now();
    const secured = tls === undefined ? undefined : await connectOptions(tls, { host, nowMs });
    const { promise, resolve, reject } = Promise.withResolvers<NetSocket>();
    const reasonOf = (error: NodeJS.ErrnoException): string | undefined =>
      tls === undefined
        ? undefined
        : serverReason(error, {
            nowMs: this.#clock.now(),
            ownCertificate: tls.certificateFile !== undefined,
          });
    const { connect: connectTls } = tls === undefined ? {} : await import("node:tls");
    const socket =
      secured === undefined || connectTls === undefined
        ? new Socket()
        : connectTls({ host, port, ...secured.options });
    const failed = (error: NodeJS.ErrnoException): void => {
      cancel();
      socket.destroy();
      reject(connectFault(error, address, reasonOf(error)));
    };
    const cancel = this.#clock.after(waitMs, () =>
      failed(new Error(`no answer within ${waitMs} ms`)),
    );
    socket.once("error", failed);
    socket.setNoDelay(true);
    const connected = (): void => {
      cancel();
      socket.removeListener("error", failed);
      socket.pause();
      keepProbed(socket);
      const handleOf = secured === undefined ? this.#handleOf : noHandle;
      resolve(new StreamSocket(socket, { handleOf, reasonOf }));
    };
    if (secured === undefined) socket.connect({ host, port }, connected);
    else socket.once("secureConnect", connected);
    return await promise;
  }

  certificates(): readonly CertificateStatus[] {
    return [...this.#gates].map(({ status }) => status);
  }
}

function keepProbed(socket: Socket): void {
  socket.setKeepAlive(true, PROBE_AFTER_MS);
}

function listenerOf(
  server: Server,
  {
    handshakes,
    onClose,
  }: { readonly handshakes: Handshakes | undefined; readonly onClose: () => void },
): NetListener {
  const bound = server.address();
  assert(bound !== null && typeof bound === "object", "a TCP listener has an address and a port");
  let acceptErrors = 0;
  server.on("error", () => {
    acceptErrors += 1;
  });
  return {
    host: bound.address,
    port: bound.port,
    get acceptErrors() {
      return acceptErrors;
    },
    get handshakes() {
      return handshakes?.status;
    },
    // The server's own `close` event waits for connections, which stay open here on purpose.
    close: () =>
      new Promise((resolve) => {
        server.close();
        onClose();
        setImmediate(resolve);
      }),
  };
}

function connectFault(
  error: NodeJS.ErrnoException,
  { host, port }: NetAddress,
  reason: string | undefined,
): Fault {
  const what = error.code ?? error.message;
  return new Fault("CONNECT_FAILED", `cannot connect to ${host}:${port}: ${reason ?? what}`, {
    cause: error,
    facts: { host, port, error: what },
  });
}

function faultOf(error: NodeJS.ErrnoException, address: NetAddress): Fault {
  const where = `${address.host}:${address.port}`;
  const facts = { host: address.host, port: address.port, error: error.code ?? error.message };
  if (error.code === "EADDRINUSE") {
    return new Fault(
      "PORT_IN_USE",
      `cannot listen on ${where}: another program already does; stop it or choose another port`,
      { cause: error, facts },
    );
  }
  const why =
    error.code === "EACCES"
      ? "it needs a privilege; choose a port above 1023"
      : "this machine has no such address; choose one it has, 127.0.0.1 for itself only";
  return new Fault("ADDRESS_UNAVAILABLE", `cannot listen on ${where}: ${why}`, {
    cause: error,
    facts,
  });
}

type StreamParts = {
  readonly handleOf: HandleOf;
  readonly certificateName?: string | undefined;
  /** What an error means, where more can be said than its code. */
  readonly reasonOf?: (error: NodeJS.ErrnoException) => string | undefined;
};

class StreamSocket implements NetSocket {
  readonly remote: string;
  readonly certificateName: string | undefined;
  readonly #handleOf: HandleOf;
  readonly #onError: (error: NodeJS.ErrnoException) => void;
  #socket: Socket;
  #reason = "";
  #started = false;

  /** `socket` is connected, by TLS too if it is to be, and does not read yet. */
  constructor(socket: Socket, { handleOf, certificateName, reasonOf }: StreamParts) {
    this.#socket = socket;
    this.#handleOf = handleOf;
    this.certificateName = certificateName;
    this.remote = `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`;
    this.#onError = (error) => {
      this.#reason = reasonOf?.(error) ?? error.code ?? error.message;
    };
    socket.on("error", this.#onError);
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  start(handlers: NetHandlers): void {
    assert(!this.#started, "a socket is started once");
    this.#started = true;
    const handle = this.#handleOf(this.#socket);
    if (handle === undefined) this.#readEvents(handlers);
    else this.#readShared(handle, handlers);
    const socket = this.#socket;
    socket.on("drain", () => handlers.onDrain());
    socket.on("close", () => handlers.onClose(this.#reason));
    socket.resume();
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #readShared(handle: object, handlers: NetHandlers): void {
    const options = {
      manualStart: true,
      onread: {
        buffer: sharedBuffer,
        callback: (length: number, buffer: Uint8Array): boolean => {
          handlers.onBytes(buffer, length);
          return true;
        },
      },
    };
    // The types know neither the handle of an accepted socket nor `manualStart`.
    const socket = new Socket(Object.assign(options, { handle: handle as BoundSocket }));
    socket.on("error", this.#onError);
    this.#socket = socket;
  }

  #readEvents(handlers: NetHandlers): void {
    this.#socket.on("data", (bytes: Buffer) => handlers.onBytes(bytes, bytes.length));
  }
}

/** Takes the handle out of an open socket, which is an empty shell from then on. */
function takeHandle(socket: Socket): object | undefined {
  if (process.platform === "win32") return undefined;
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null) return undefined;
  Reflect.set(socket, "_handle", null);
  return handle;
}
