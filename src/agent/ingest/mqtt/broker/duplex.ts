/**
 * The stream between one connection and the broker: the broker thinks it is a socket.
 *
 * Packets go in by `push`; what the broker writes comes out at once, in pieces, with no back
 * pressure of its own: a client that does not read is the connection's affair, and one of them must
 * not stall the broker for all.
 */

import { Duplex } from "node:stream";

type DuplexHandlers = {
  /** Pieces of packets the broker wrote; they are not changed afterwards. */
  readonly onWrite: (pieces: readonly Uint8Array[]) => void;
  /** The broker read what was pushed: there is room for more. */
  readonly onRead: () => void;
  /** The broker closed it. Called once, also after `destroy`. */
  readonly onDestroy: () => void;
};

export function createDuplex(options: {
  /** Bytes pushed and not yet read, after which `push` answers false. */
  readonly readBytesMax: number;
  readonly handlers: DuplexHandlers;
}): Duplex {
  const { onWrite, onRead, onDestroy } = options.handlers;
  return new Duplex({
    readableHighWaterMark: options.readBytesMax,
    decodeStrings: true,
    read: onRead,
    write: (piece: Uint8Array, _encoding, done) => {
      onWrite([piece]);
      done();
    },
    writev: (pieces, done) => {
      onWrite(pieces.map(({ chunk }: { chunk: Uint8Array }) => chunk));
      done();
    },
    destroy: (_error, done) => {
      onDestroy();
      done(null);
    },
  });
}
