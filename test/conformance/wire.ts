/** What a client of the tests stands on: a connection on the simulated network, or a real socket. */

import { connect } from "node:net";
import type { Rig } from "../support/front-rig.ts";

export interface Wire {
  send(bytes: Uint8Array): void;
  /** What arrived since the last call. */
  pull(): Buffer;
  readonly isClosed: boolean;
  /** The connection is lost without a word. */
  vanish(): void;
}

export function simulatedWire(rig: Rig): Wire {
  const peer = rig.net.arrive();
  return {
    send: (bytes) => peer.send(bytes),
    pull: () => {
      const bytes = peer.received;
      peer.clear();
      return bytes;
    },
    get isClosed() {
      return peer.isClosed;
    },
    vanish: () => peer.vanish(),
  };
}

export function socketWire(rig: Rig): Wire {
  const socket = connect({ host: "127.0.0.1", port: rig.front.port, noDelay: true });
  let pieces: Buffer[] = [];
  let isOver = false;
  socket.on("data", (piece) => {
    pieces.push(Buffer.from(piece));
  });
  for (const end of ["end", "close", "error"]) {
    socket.on(end, () => {
      isOver = true;
      socket.destroy();
    });
  }
  return {
    send: (bytes) => {
      if (!isOver) socket.write(bytes);
    },
    pull: () => {
      const bytes = Buffer.concat(pieces);
      pieces = [];
      return bytes;
    },
    get isClosed() {
      return isOver;
    },
    vanish: () => socket.resetAndDestroy(),
  };
}
