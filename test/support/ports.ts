/** Ports for what tests stop and start again while clients keep dialling: agents, brokers, proxies. */

import { once } from "node:events";
import { createServer } from "node:net";

/**
 * TCP ports on loopback that were free a moment ago, all different.
 *
 * They lie below the range from which the system takes the ports of outgoing connections: there, a
 * client that dials a stopped broker over and over may at last meet its own port and be connected
 * to itself, or any other program take the port, and the broker could not come back.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
