/**
 * The real network: TCP by node:net, TLS and WebSocket on it.
 *
 *   listen   TCP -> [TLS] -> [WebSocket upgrade] -> accept         what is not through has a deadline
 *   connect  TCP -> [TLS] -> [WebSocket upgrade] -> NetSocket      one deadline for all
 */

import { createServer, type Server, Socket } from "node:net";
import { assert } from "../../core/assert.ts";
import type {
  CertificateStatus,
  Clock,
  ConnectAddress,
  ListenAddress,
  Net,
  NetAddress,
  NetListener,
  NetSocket,
  TlsConnect,
  Wire,
} from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { Turns } from "../../core/turns.ts";
import { systemClock } from "./clock.ts";
import { type Handshake, Handshakes } from "./handshakes.ts";
import { type HandleOf, noHandle, StreamSocket, takeHandle } from "./stream-socket.ts";
import { openTlsGate, type TlsGate, unconnected } from "./tls.ts";
import { serverReason } from "./tls-reasons.ts";
import { openWebSocketGate, upgradeOwn, type WebSocketGate } from "./websocket.ts";
import { localOf, wired } from "./wired-socket.ts";

/** A peer that vanished without a word is noticed by the kernel's probes. */
const PROBE_AFTER_MS = 60_000;

/** `clock` is for deadlines, and for looking at the files of certificates. */
export function systemNet(clock: Clock = systemClock()): Net {
  return new SystemNet(clock, takeHandle);
}

/** The same without the hand-over of handles: what is left where Node has none. */
export function plainNet(): Net {
  return new SystemNet(systemClock(), noHandle);
}

class SystemNet implements Net {
  readonly #clock: Clock;
  readonly #handleOf: HandleOf;
  readonly #ended = new Turns({
    perTurnMax: limits.endedPerTurnMax,
    soon: (run) => setImmediate(run),
  });
  readonly #gates = new Set<TlsGate>();
  /** Client certificates, by file as the configuration names them, as they were last read. */
  readonly #ownCertificates = new Map<string, CertificateStatus>();

  constructor(clock: Clock, handleOf: HandleOf) {
    this.#clock = clock;
    this.#handleOf = handleOf;
  }

  async listen(address: ListenAddress, accept: (socket: NetSocket) => void): Promise<NetListener> {
    const { tls, webSocket } = address;
    const upgrades = webSocket === undefined ? undefined : await openWebSocketGate(webSocket);
    const gate = tls === undefined ? undefined : await openTlsGate(tls, this.#clock);
    try {
      const listener = await this.#listen(address, { gate, upgrades, accept });
      if (gate !== undefined) this.#gates.add(gate);
      return listener;
    } catch (error) {
      gate?.close();
      throw error;
    }
  }

  #listen(address: ListenAddress, parts: ListenParts): Promise<NetListener> {
    const { gate, upgrades, accept } = parts;
    const isPlain = gate === undefined && upgrades === undefined;
    const handshakes = isPlain ? undefined : new Handshakes(this.#clock);
    const server = createServer({ pauseOnConnect: isPlain, noDelay: true });
    server.on("connection", (socket) => {
      keepProbed(socket);
      if (handshakes === undefined) {
        accept(new StreamSocket(socket, { handleOf: this.#handleOf, ended: this.#ended }));
      } else {
        const handshake = handshakes.begin(socket);
        if (handshake !== undefined) admit(handshake, { ...parts, ended: this.#ended });
      }
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
    { waitMs, wire }: { readonly waitMs: number; readonly wire?: Wire | undefined },
  ): Promise<NetSocket> {
    const { host, port, tls, webSocket } = address;
    const at = { host, port, ...localOf(wire) };
    const raw = wire === undefined ? undefined : wired(new Socket(), wire);
    const socket =
      tls === undefined ? (raw ?? new Socket()) : await this.#begin(tls, { host, port, raw });
    const reasonOf = (error: NodeJS.ErrnoException): string | undefined =>
      tls === undefined
        ? undefined
        : serverReason(error, {
            nowMs: this.#clock.now(),
            ownCertificate: tls.certificateFile !== undefined,
          });
    const { promise, resolve, reject } = Promise.withResolvers<NetSocket>();
    const failed = (error: NodeJS.ErrnoException): void => {
      cancel();
      socket.destroy();
      reject(connectFault(error, address, reasonOf(error)));
    };
    const cancel = this.#clock.after(waitMs, () =>
      failed(new Error(`no answer within ${waitMs} ms`)),
    );
    const given = (end: NetSocket): void => {
      cancel();
      socket.removeListener("error", failed);
      resolve(end);
    };
    socket.on("error", failed);
    // What is the kernel's business is that of the socket under TLS.
    const bare = raw ?? socket;
    bare.setNoDelay(true);
    const connected = (): void => {
      keepProbed(bare);
      if (webSocket !== undefined) {
        upgradeOwn(socket, { host, port, path: webSocket.path, reasonOf }).then(given, failed);
        return;
      }
      socket.pause();
      const handleOf = tls === undefined && raw === undefined ? this.#handleOf : noHandle;
      given(new StreamSocket(socket, { handleOf, ended: this.#ended, reasonOf }));
    };
    if (tls === undefined) socket.connect(at, connected);
    else {
      raw?.connect(at);
      socket.once("secureConnect", connected);
    }
    return await promise;
  }

  async #begin(
    tls: TlsConnect,
    at: NetAddress & { readonly raw: Socket | undefined },
  ): Promise<Socket> {
    const nowMs = this.#clock.now();
    const { socket, expires } = await unconnected(tls, { ...at, nowMs });
    const { certificateFile: file } = tls;
    if (file !== undefined && expires !== undefined) {
      const status = { file, expires, reloads: 0, reloadFailures: 0, trouble: undefined };
      this.#ownCertificates.set(file, status);
    }
    return socket;
  }

  certificates(): readonly CertificateStatus[] {
    return [...[...this.#gates].map(({ status }) => status), ...this.#ownCertificates.values()];
  }
}

type ListenParts = {
  readonly gate: TlsGate | undefined;
  readonly upgrades: WebSocketGate | undefined;
  readonly accept: (socket: NetSocket) => void;
};

/** Takes a new peer through what stands before it is given out. */
function admit(
  handshake: Handshake,
  { gate, upgrades, accept, ended }: ListenParts & { readonly ended: Turns },
): void {
  const secured = (stream: Socket, certificateName: string | undefined): void => {
    if (upgrades !== undefined) {
      upgrades.upgrade(stream, { handshake, certificateName, onUpgraded: accept });
      return;
    }
    handshake.done();
    stream.pause();
    accept(new StreamSocket(stream, { handleOf: noHandle, ended, certificateName }));
  };
  if (gate === undefined) secured(handshake.socket, undefined);
  else gate.secure(handshake, ({ socket, certificateName }) => secured(socket, certificateName));
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
