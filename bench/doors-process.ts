/**
 * One end of the connections that bench/doors.ts measures, in a process of its own:
 * `node doors-process.ts server|client` talks to its parent by messages.
 */

import { systemNet } from "../src/agent/doors/net.ts";
import type { ConnectAddress, ListenAddress, NetSocket } from "../src/core/doors.ts";

export type Order =
  | { readonly kind: "listen"; readonly address: ListenAddress }
  | { readonly kind: "connect"; readonly address: ConnectAddress; readonly count: number }
  /** Bytes to send on the first connection, in pieces. */
  | { readonly kind: "send"; readonly bytes: number; readonly piece: number }
  | { readonly kind: "look" };

export type Look = {
  readonly port: number;
  readonly connections: number;
  readonly bytes: number;
  readonly cpuMicros: number;
  readonly rssBytes: number;
};

const net = systemNet();
const sockets: NetSocket[] = [];
let port = 0;
let bytes = 0;
let onDrain: () => void = () => undefined;

process.on("message", (order: Order) => {
  void obey(order).then(() => process.send?.(look()));
});

async function obey(order: Order): Promise<void> {
  switch (order.kind) {
    case "listen":
      port = (await net.listen(order.address, take)).port;
      return;
    case "connect": {
      const { address, count } = order;
      let begun = sockets.length;
      const one = async (): Promise<void> => {
        while (begun++ < count) take(await net.connect(address, { waitMs: 10_000 }));
      };
      await Promise.all(Array.from({ length: 8 }, one));
      return;
    }
    case "send":
      await send(order.bytes, order.piece);
      return;
    case "look":
      // What is garbage is not what a connection costs.
      Reflect.get(globalThis, "gc")?.();
      return;
  }
}

function take(socket: NetSocket): void {
  sockets.push(socket);
  socket.start({
    onBytes: (_, length) => {
      bytes += length;
    },
    onDrain: () => onDrain(),
    onClose: () => undefined,
  });
}

async function send(total: number, piece: number): Promise<void> {
  const [socket] = sockets;
  const content = Buffer.alloc(piece, 1);
  for (let sent = 0; sent < total; sent += piece) {
    socket!.write(content);
    if (socket!.queuedBytes < 1_048_576) continue;
    await new Promise<void>((resolve) => {
      onDrain = resolve;
    });
  }
}

function look(): Look {
  const { user, system } = process.cpuUsage();
  const rssBytes = process.memoryUsage.rss();
  return { port, connections: sockets.length, bytes, cpuMicros: user + system, rssBytes };
}
