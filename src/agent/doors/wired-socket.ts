/**
 * A TCP socket whose bytes are counted and held back by a link (Wire): each piece is written when the
 * link lets it go. TLS is spoken on such a socket as on any stream, so what counts is what is on the
 * network, handshakes among it.
 *
 *   client ─ write ─▶ [TLS] ─▶ _write: piece, piece, ... ─▶ kernel
 *   client ◀─ data ── [TLS] ◀─ push ◀──────────────────────
 *
 * `_write` and `push` are what node:stream documents for those who make streams; here they are put
 * around those of the socket. The kernel takes what it is given whole, so a piece is out when it is
 * written.
 */

import { Socket } from "node:net";
import { assert } from "../../core/assert.ts";
import type { Wire } from "../../core/doors.ts";
import type { LinkedSockets } from "../../sync/kafka/client/cluster-options.ts";

type Done = (error?: Error | null) => void;

/** `socket`, which is not connected yet. */
export function wired(socket: Socket, wire: Wire): Socket {
  const write = socket._write.bind(socket);
  const push = socket.push.bind(socket);
  let cancel: (() => void) | undefined;
  const next = (bytes: Uint8Array, done: Done): void => {
    const piece = bytes.subarray(0, wire.pieceBytesMax);
    const rest = bytes.subarray(piece.length);
    cancel = wire.send(piece.length, () => {
      cancel = undefined;
      const after: Done = (error) => {
        if (rest.length === 0 || (error !== undefined && error !== null)) done(error);
        else next(rest, done);
      };
      // The types do not know what a stream calls bytes.
      Reflect.apply(write, socket, [piece, "buffer", after]);
    });
  };
  // Several chunks as one would go past `_write`.
  Reflect.set(socket, "_writev", null);
  socket._write = (chunk: Uint8Array | string, encoding, done) => {
    next(typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk, done);
  };
  socket.push = (chunk: Uint8Array | null, encoding) => {
    if (chunk !== null) wire.received(chunk.length);
    return push(chunk, encoding);
  };
  socket.once("close", () => cancel?.());
  // Whoever speaks TLS on it hears of its errors, and tells them.
  socket.on("error", () => undefined);
  return socket;
}

export function localOf(wire: Wire | undefined): { readonly localAddress?: string } {
  const { localAddress } = wire ?? {};
  return localAddress === undefined ? {} : { localAddress };
}

/** For a Kafka client. */
export function socketsOver(wire: Wire): LinkedSockets {
  return {
    forTls: () => {
      const socket = wired(new Socket(), wire);
      return {
        socket,
        connect: (at) => {
          socket.setNoDelay(true);
          socket.connect({ ...at, ...localOf(wire) });
        },
      };
    },
    plain: (connect) => wiredWithin(wire, connect),
  };
}

/**
 * Calls `connect`, whose plain socket is then under `wire`: for a client that makes its sockets itself,
 * and gives no options to them. For the length of this call a socket that connects is taken before it
 * does; nothing else runs meanwhile.
 */
function wiredWithin<Value>(wire: Wire, connect: () => Value): Value {
  const original: unknown = Reflect.get(Socket.prototype, "connect");
  assert(typeof original === "function", "a socket connects");
  Reflect.set(Socket.prototype, "connect", function (this: Socket, ...args: unknown[]): Socket {
    wired(this, wire);
    // createConnection gives one list: options, callback.
    const given: readonly unknown[] = Array.isArray(args[0]) ? args[0] : args;
    const options = given[0];
    Object.assign(Object(options), localOf(wire));
    Reflect.apply(original, this, args);
    return this;
  });
  try {
    return connect();
  } finally {
    Reflect.set(Socket.prototype, "connect", original);
  }
}
