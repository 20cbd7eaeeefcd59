/**
 * The real network: TCP by node:net, TLS and WebSocket on it.
 *
 *   listen   TCP -> [TLS] -> [WebSocket upgrade] -> accept         what is not through has a deadline
 *   connect  TCP -> [TLS] -> [WebSocket upgrade] -> NetSocket      one deadline for all
 */

import { createServer, type Server, type Socket } from "node:net";
import { assert } from "../../core/assert.ts";
import type {
  CertificateStatus,
  Clock,
  ConnectAddress,
  ListenAddress,
  NetAddress,
  Net,
  NetListener,
  NetSocket,
  Wire,
} from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { Turns } from "../../core/turns.ts";
import { systemClock } from "./clock.ts";
import { connected, keepProbed } from "./connected.ts";
import { type Handshake, Handshakes } from "./handshakes.ts";
import { type HandleOf, noHandle, StreamSocket, takeHandle } from "./stream-socket.ts";
import { openTlsGate, type TlsGate } from "./tls.ts";
import { openWebSocketGate, upgradeOwn, type WebSocketGate } from "./websocket.ts";

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
    const options = {
      waitMs,
      wire,
      clock: this.#clock,
      onCertificate: (status: CertificateStatus) => {
        this.#ownCertificates.set(status.file, status);
      },
    };
    return await connected<NetSocket>(address, options, (socket, reasonOf) => {
      if (webSocket !== undefined) {
        return upgradeOwn(socket, { host, port, path: webSocket.path, reasonOf });
      }
      socket.pause();
      const isPlain = tls === undefined && wire === undefined;
      const handleOf = isPlain ? this.#handleOf : noHandle;
      return new StreamSocket(socket, { handleOf, ended: this.#ended, reasonOf });
    });
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
