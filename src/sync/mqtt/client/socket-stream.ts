/**
 * A socket of the Net door as a stream, which is what MQTT.js talks to: TLS, files of certificates
 * and the simulated network are the door's affair.
 *
 * Writes never wait for the peer: what can be queued is bounded by the window of the bridge, which
 * has so many bytes without an answer and no more.
 */

import { Duplex } from "node:stream";
import type { NetSocket } from "../../../core/doors.ts";
import { isWeb } from "../../../core/strangers.ts";

export type SocketStream = {
  readonly stream: Duplex;
  readonly traffic: { sent: number; received: number };
  /** Why the socket closed; undefined while it is open. */
  readonly closed: () => string | undefined;
  /** What came first is a web page, and no MQTT. */
  readonly isWeb: () => boolean;
};

/** Starts the socket, in the turn in which it was given. The stream closes with it. */
export function streamOf(socket: NetSocket): SocketStream {
  const traffic = { sent: 0, received: 0 };
  let reason: string | undefined;
  let isWebAnswer = false;
  const send = (bytes: Uint8Array, done: () => void): void => {
    traffic.sent += bytes.length;
    socket.write(bytes);
    done();
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
      done(null);
    },
  });
  socket.start({
    onBytes: (bytes, length) => {
      if (traffic.received === 0) isWebAnswer = isWeb(bytes.subarray(0, length));
      traffic.received += length;
      // The bytes are the door's again after this call.
      if (!stream.push(Buffer.from(bytes.subarray(0, length)))) socket.pause();
    },
    onDrain: () => undefined,
    onClose: (why) => {
      reason = why === "" ? "the broker closed the connection" : why;
      stream.destroy();
    },
  });
  return { stream, traffic, closed: () => reason, isWeb: () => isWebAnswer };
}
