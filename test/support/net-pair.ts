/**
 * Two ends of one real connection, both ours, on each transport of the network door; what arrives at
 * each is written down.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  ConnectAddress,
  ListenAddress,
  Net,
  NetListener,
  NetSocket,
} from "../../src/core/doors.ts";
import {
  type Authority,
  type Identity,
  issue,
  makeAuthority,
  serverNames,
} from "./certificates.ts";

/** One end, started. */
export type End = {
  readonly socket: NetSocket;
  readonly received: () => string;
  readonly receivedBytes: () => number;
  /** How often everything had left. */
  readonly drains: () => number;
  readonly closed: Promise<string>;
  /** Resolves when so many bytes have arrived. */
  readonly arrived: (bytes: number) => Promise<void>;
};

export function startEnd(socket: NetSocket): End {
  const chunks: Buffer[] = [];
  const closed = Promise.withResolvers<string>();
  let count = 0;
  let drains = 0;
  let waiting: { readonly bytes: number; readonly resolve: () => void } | undefined;
  socket.start({
    onBytes: (bytes, length) => {
      chunks.push(Buffer.from(bytes.subarray(0, length)));
      count += length;
      if (waiting !== undefined && count >= waiting.bytes) waiting.resolve();
    },
    onDrain: () => {
      drains += 1;
    },
    onClose: (reason) => closed.resolve(reason),
  });
  return {
    socket,
    received: () => Buffer.concat(chunks).toString(),
    receivedBytes: () => count,
    drains: () => drains,
    closed: closed.promise,
    arrived: (bytes) =>
      new Promise((resolve) => {
        if (count >= bytes) resolve();
        else waiting = { bytes, resolve };
      }),
  };
}

export type Pair = {
  readonly accepted: End;
  readonly opened: End;
  readonly listener: NetListener;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export async function openPair(
  net: Net,
  how: {
    readonly listen?: Partial<ListenAddress>;
    readonly connect?: Partial<ConnectAddress>;
  } = {},
): Promise<Pair> {
  const taken = Promise.withResolvers<End>();
  const listener = await net.listen({ host: "127.0.0.1", port: 0, ...how.listen }, (socket) => {
    taken.resolve(startEnd(socket));
  });
  const { host, port } = listener;
  const opened = startEnd(await net.connect({ host, port, ...how.connect }, { waitMs: 5_000 }));
  const accepted = await taken.promise;
  return {
    accepted,
    opened,
    listener,
    [Symbol.asyncDispose]: async () => {
      opened.socket.destroy();
      accepted.socket.destroy();
      await listener.close();
    },
  };
}

/** An authority, a server and a client of it, in a folder of their own. */
export type TlsRig = {
  readonly folder: string;
  readonly authority: Authority;
  readonly server: Identity;
  readonly client: Identity;
  readonly remove: () => void;
};

export function makeTlsRig(): TlsRig {
  const folder = mkdtempSync(join(tmpdir(), "weir-tls-"));
  const authority = makeAuthority(folder);
  return {
    folder,
    authority,
    server: issue(authority, { name: "server", names: serverNames }),
    client: issue(authority, { name: "pump-7" }),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
