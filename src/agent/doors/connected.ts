/**
 * A connection of ours: TCP -> [TLS] -> whatever its owner makes of it, under one deadline for all.
 */

import { Socket } from "node:net";
import type {
  CertificateStatus,
  Clock,
  ConnectAddress,
  NetAddress,
  Wire,
} from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { unconnected } from "./tls.ts";
import { serverReason } from "./tls-reasons.ts";
import { localOf, wired } from "./wired-socket.ts";

/** A peer that vanished without a word is noticed by the kernel's probes. */
const PROBE_AFTER_MS = 60_000;

/** What an error of the connection means, where more can be said than its code. */
export type ReasonOf = (error: NodeJS.ErrnoException) => string | undefined;

export type ConnectOptions = {
  readonly waitMs: number;
  readonly wire?: Wire | undefined;
  readonly clock: Clock;
  /** Is told of a client certificate that is shown. */
  readonly onCertificate?: (status: CertificateStatus) => void;
};

/**
 * What `own` makes of the connected socket, in the turn in which it is connected. Rejects with a Fault:
 * CONNECT_FAILED, TLS_FILE_UNUSABLE.
 */
export async function connected<Value>(
  address: NetAddress & Pick<ConnectAddress, "tls">,
  options: ConnectOptions,
  own: (socket: Socket, reasonOf: ReasonOf) => Value | Promise<Value>,
): Promise<Value> {
  const { host, port, tls } = address;
  const { waitMs, wire, clock } = options;
  const at = { host, port, ...localOf(wire) };
  const raw = wire === undefined ? undefined : wired(new Socket(), wire);
  const socket = tls === undefined ? (raw ?? new Socket()) : await begin(address, options, raw);
  const reasonOf: ReasonOf = (error) =>
    tls === undefined
      ? undefined
      : serverReason(error, {
          nowMs: clock.now(),
          ownCertificate: tls.certificateFile !== undefined,
        });
  const { promise, resolve, reject } = Promise.withResolvers<Value>();
  const failed = (error: NodeJS.ErrnoException): void => {
    cancel();
    socket.destroy();
    reject(connectFault(error, address, reasonOf(error)));
  };
  const cancel = clock.after(waitMs, () => failed(new Error(`no answer within ${waitMs} ms`)));
  const given = (value: Value): void => {
    cancel();
    socket.removeListener("error", failed);
    resolve(value);
  };
  socket.on("error", failed);
  // What is the kernel's business is that of the socket under TLS.
  const bare = raw ?? socket;
  bare.setNoDelay(true);
  const onConnected = (): void => {
    keepProbed(bare);
    const value = own(socket, reasonOf);
    if (value instanceof Promise) value.then(given, failed);
    else given(value);
  };
  if (tls === undefined) socket.connect(at, onConnected);
  else {
    raw?.connect(at);
    socket.once("secureConnect", onConnected);
  }
  return await promise;
}

export function keepProbed(socket: Socket): void {
  socket.setKeepAlive(true, PROBE_AFTER_MS);
}

async function begin(
  { host, port, tls = {} }: NetAddress & Pick<ConnectAddress, "tls">,
  { clock, onCertificate }: ConnectOptions,
  raw: Socket | undefined,
): Promise<Socket> {
  const { socket, expires } = await unconnected(tls, { host, port, raw, nowMs: clock.now() });
  const { certificateFile: file } = tls;
  if (file !== undefined && expires !== undefined) {
    onCertificate?.({ file, expires, reloads: 0, reloadFailures: 0, trouble: undefined });
  }
  return socket;
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
