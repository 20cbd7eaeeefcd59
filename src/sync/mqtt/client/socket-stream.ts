/**
 * A socket of the Net door as a stream, which is what MQTT.js talks to: TLS, files of certificates
 * and the simulated network are the door's affair.
 */

import { Duplex } from "node:stream";
import type { NetSocket } from "../../../core/doors.ts";

export type SocketStream = {
  readonly stream: Duplex;
  readonly traffic: { sent: number; received: number };
  /** Why the socket closed; undefined while it is open. */
  readonly closed: () => string | undefined;
};

/** Starts the socket, in the turn in which it was given. The stream closes with it. */
export function streamOf(socket: NetSocket): SocketStream {
  const traffic = { sent: 0, received: 0 };
  let reason: string | undefined;
  /** A write that waits until the kernel has taken what is queued. */
  let waiting: (() => void) | undefined;
  const send = (bytes: Uint8Array, done: () => void): void => {
    traffic.sent += bytes.length;
    socket.write(bytes);
    if (socket.queuedBytes === 0) done();
    else waiting = done;
  };
  const drained = (): void => {
    const done = waiting;
    waiting = undefined;
    done?.();
  };
  const stream = new Duplex({
    read: () => socket.resume(),
    write: (piece: Uint8Array, _encoding, done) => send(piece, done),
    writev: (pieces, done) =>
      send(Buffer.concat(pieces.map(({ chunk }: { chunk: Uint8Array }) => chunk)), done),
    final: (done) => {
      socket.end();
      done();
    },
    destroy: (_error, done) => {
      socket.destroy();
      drained();
      done(null);
    },
  });
  socket.start({
    onBytes: (bytes, length) => {
      traffic.received += length;
      // The bytes are the door's again after this call.
      if (!stream.push(Buffer.from(bytes.subarray(0, length)))) socket.pause();
    },
    onDrain: drained,
    onClose: (why) => {
      reason = why === "" ? "the broker closed the connection" : why;
      stream.destroy();
    },
  });
  return { stream, traffic, closed: () => reason };
}
