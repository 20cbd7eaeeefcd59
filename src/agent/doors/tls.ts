/**
 * TLS on connected sockets, both ways: at least version 1.2, names and certificates checked. node:tls
 * is loaded by whoever needs it first.
 *
 * A listener asks for client certificates but never leaves it to OpenSSL to refuse them: so we know
 * why one was refused, and say so. Nothing a client sends is read before its certificate is verified.
 */

import { isIP, type Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import type { CertificateStatus, Clock, TlsConnect, TlsListen } from "../../core/doors.ts";
import type { Millis } from "../../core/units.ts";
import type { Handshake } from "./handshakes.ts";
import { readConnectFiles, watchListenFiles, type WatchedTls } from "./tls-files.ts";
import { certificateReason, clientReason } from "./tls-reasons.ts";

/** A client that is through. */
type Secured = {
  readonly socket: TLSSocket;
  /** Common name of its verified certificate. */
  readonly certificateName: string | undefined;
};

/** The TLS of one listener. Faults: TLS_FILE_UNUSABLE. */
export async function openTlsGate(tls: TlsListen, clock: Clock): Promise<TlsGate> {
  const { createServer } = await import("node:tls");
  const files = await watchListenFiles(tls, clock);
  // It never listens: connections are given to it.
  const server = createServer({
    ...files.options,
    requestCert: tls.clientCertificate !== "none",
    rejectUnauthorized: false,
    // Handshakes have their own deadline.
    handshakeTimeout: 2 ** 31 - 1,
  });
  return new TlsGate({ tls, files, server });
}

type WaitingHandshake = {
  readonly handshake: Handshake;
  readonly onSecured: (secured: Secured) => void;
};

/** What stands before the sockets of one listener: secures or refuses. */
export class TlsGate {
  readonly #files: WatchedTls;
  readonly #server: Server;
  readonly #clientCertificate: TlsListen["clientCertificate"];
  /** By the two ends of the connection, which node:tls tells of both its socket and ours. */
  readonly #waiting = new Map<string, WaitingHandshake>();

  /** Use `openTlsGate`. */
  constructor(parts: {
    readonly tls: TlsListen;
    readonly files: WatchedTls;
    readonly server: Server;
  }) {
    this.#clientCertificate = parts.tls.clientCertificate;
    this.#files = parts.files;
    this.#server = parts.server;
    this.#files.onChange = (options) => this.#server.setSecureContext(options);
    this.#server.on("secureConnection", (socket) => this.#onSecure(socket));
    this.#server.on("tlsClientError", (error, socket) => this.#onError(error, socket));
  }

  get status(): CertificateStatus {
    return this.#files.status;
  }

  /** `handshake` is of a new connection; `onSecured` is called unless it is refused or leaves. */
  secure(handshake: Handshake, onSecured: (secured: Secured) => void): void {
    const { socket } = handshake;
    const ends = endsOf(socket);
    const waiting = { handshake, onSecured };
    this.#waiting.set(ends, waiting);
    socket.on("close", () => {
      // Another connection may have the same ends by then.
      if (this.#waiting.get(ends) === waiting) this.#waiting.delete(ends);
    });
    this.#server.emit("connection", socket);
  }

  /** Files are watched no longer; what is open stays. */
  close(): void {
    this.#files.close();
  }

  #onSecure(socket: TLSSocket): void {
    const waiting = this.#take(socket);
    if (waiting === undefined) {
      socket.destroy();
      return;
    }
    const { handshake, onSecured } = waiting;
    const verified = this.#verify(socket);
    if (verified.kind === "refused") handshake.refuse(verified.why);
    else onSecured({ socket, certificateName: verified.name });
  }

  #onError(error: Error, socket: TLSSocket): void {
    const handshake = this.#take(socket)?.handshake;
    const why = clientReason(error);
    if (why === undefined) handshake?.destroy();
    else handshake?.refuse(why);
  }

  #take(socket: TLSSocket): WaitingHandshake | undefined {
    const ends = endsOf(socket);
    const waiting = this.#waiting.get(ends);
    this.#waiting.delete(ends);
    return waiting;
  }

  #verify(socket: TLSSocket): Verified {
    if (this.#clientCertificate === "none") return { kind: "verified", name: undefined };
    const { subject } = socket.getPeerCertificate();
    if (subject === undefined) {
      if (this.#clientCertificate === "optional") return { kind: "verified", name: undefined };
      return { kind: "refused", why: "it has no client certificate" };
    }
    if (!socket.authorized) {
      // The types want an Error; it is the code.
      return { kind: "refused", why: certificateReason(String(socket.authorizationError)) };
    }
    const name = singleName(subject.CN);
    if (name !== undefined) return { kind: "verified", name };
    return { kind: "refused", why: "its certificate has no common name, or several" };
  }
}

type Verified =
  | { readonly kind: "verified"; readonly name: string | undefined }
  | { readonly kind: "refused"; readonly why: string };

/** What has rights must have one name, of characters that can be shown. */
function singleName(name: string | readonly string[] | undefined): string | undefined {
  return typeof name === "string" && /^[^\p{C}]{1,256}$/u.test(name) ? name : undefined;
}

function endsOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

// ---- connections of ours ----

/**
 * A connection that is under way to its `secureConnect`, and until when our certificate for it is
 * valid, where there is one. Faults: TLS_FILE_UNUSABLE.
 */
export async function unconnected(
  tls: TlsConnect,
  at: {
    readonly host: string;
    readonly port: number;
    readonly nowMs: number;
    /** Connected by the caller, once this has it. */
    readonly raw?: Socket | undefined;
  },
): Promise<{ readonly socket: TLSSocket; readonly expires: Millis | undefined }> {
  const { checkServerIdentity, connect } = await import("node:tls");
  const { host, port, nowMs, raw } = at;
  const { options, expires } = await readConnectFiles(tls, nowMs);
  const name = tls.serverName ?? host;
  const socket = connect({
    ...options,
    host,
    port,
    ...(raw === undefined ? {} : { socket: raw }),
    rejectUnauthorized: true,
    // Addresses are not sent as a server name (RFC 6066, 3), and are checked as what they are.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  });
  return { socket, expires };
}
