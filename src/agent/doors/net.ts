/**
 * The real network: TCP by node:net.
 *
 * Sockets read into one buffer that they all share: the kernel copies into it, the receiver takes
 * what it wants during the call, and nothing is allocated per read. Node offers that only for
 * sockets it creates itself, so the handle of an open one is handed to a new socket. The handle
 * is not documented; where it is missing (or on Windows, whose reads are not immediate) the plain
 * `data` event serves, at more CPU per read.
 */

import { type BoundSocket, createServer, type Server, Socket } from "node:net";
import { assert } from "../../core/assert.ts";
import type { Net, NetAddress, NetHandlers, NetListener, NetSocket } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";

const READ_BYTES = 64 * 1024;
/** A peer that vanished without a word is noticed by the kernel's probes. */
const PROBE_AFTER_MS = 60_000;

const sharedBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

export function systemNet(): Net {
  return { listen: (address, accept) => listen(address, accept, takeHandle), connect };
}

/** The same without the hand-over of handles: what is left where Node has none. */
export function plainNet(): Net {
  return { listen: (address, accept) => listen(address, accept, () => undefined), connect };
}

type HandleOf = (socket: Socket) => object | undefined;

function listen(
  address: NetAddress,
  accept: (socket: NetSocket) => void,
  handleOf: HandleOf,
): Promise<NetListener> {
  const server = createServer({ pauseOnConnect: true, noDelay: true });
  server.on("connection", (socket) => accept(new TcpSocket(socket, handleOf)));
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(faultOf(error, address)));
    server.listen({ host: address.host, port: address.port }, () => {
      server.removeAllListeners("error");
      resolve(listenerOf(server));
    });
  });
}

function listenerOf(server: Server): NetListener {
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
    // The server's own `close` event waits for connections, which stay open here on purpose.
    close: () =>
      new Promise((resolve) => {
        server.close();
        setImmediate(resolve);
      }),
  };
}

function connect(address: NetAddress, { waitMs }: { readonly waitMs: number }): Promise<NetSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<NetSocket>();
  const socket = new Socket();
  socket.setNoDelay(true);
  const failed = (error: NodeJS.ErrnoException): void => {
    socket.destroy();
    reject(connectFault(error, address));
  };
  socket.setTimeout(waitMs, () => failed(new Error(`no answer within ${waitMs} ms`)));
  socket.once("error", failed);
  socket.connect({ host: address.host, port: address.port }, () => {
    socket.setTimeout(0);
    socket.removeListener("error", failed);
    socket.pause();
    resolve(new TcpSocket(socket, takeHandle));
  });
  return promise;
}

function connectFault(error: NodeJS.ErrnoException, { host, port }: NetAddress): Fault {
  const what = error.code ?? error.message;
  return new Fault("CONNECT_FAILED", `cannot connect to ${host}:${port}: ${what}`, {
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

class TcpSocket implements NetSocket {
  readonly remote: string;
  readonly #handleOf: HandleOf;
  #socket: Socket;
  #reason = "";
  #started = false;

  /** `socket` is connected and does not read yet. */
  constructor(socket: Socket, handleOf: HandleOf) {
    this.#socket = socket;
    this.#handleOf = handleOf;
    this.remote = `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`;
    socket.setKeepAlive(true, PROBE_AFTER_MS);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#reason = error.code ?? error.message;
    });
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
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#reason = error.code ?? error.message;
    });
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
