/** Servers of tests that stand where an agent should. */

import type { AddressInfo, Server, Socket } from "node:net";
import type { TestContext } from "node:test";
import type { FlowNode } from "./rig.ts";

/** The port on 127.0.0.1 where it listens now; it is closed with the test. */
export async function portOf(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** The configuration node "agent1" for an agent at such a port. */
export function agentAt(port: number): FlowNode {
  const address = `127.0.0.1:${port}`;
  return { id: "agent1", type: "weir-agent", version: 1, name: "", address, tls: "" };
}
