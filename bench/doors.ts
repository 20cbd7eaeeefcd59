/**
 * What do TLS and WebSocket cost, a connection and a byte? A listener and its clients in processes of
 * their own; the figures are the listener's, for each transport a fresh pair.
 *
 * Certificates are of EC keys (P-256), and no client shows one. Bytes are sent on one connection.
 */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { nodeFlags } from "../src/agent/node-flags.ts";
import type { ConnectAddress, ListenAddress } from "../src/core/doors.ts";
import { makeTlsRig, type TlsRig } from "../test/support/net-pair.ts";
import type { Look, Order } from "./doors-process.ts";

export type DoorsOptions = {
  readonly connections: number;
  readonly bytes: number;
  /** Of one write: about that of a reading, so that it is the writes that are measured too. */
  readonly piece: number;
};

export const defaults: DoorsOptions = { connections: 100, bytes: 67_108_864, piece: 1_024 };
export const tinyOptions: DoorsOptions = { connections: 4, bytes: 65_536, piece: 1_024 };

export type TransportFigures = {
  readonly cpu_ms_per_connection: number;
  readonly rss_kb_per_connection: number;
  readonly cpu_ns_per_byte: number;
};

const transports = ["tcp", "tls", "ws", "wss"] as const;
type Transport = (typeof transports)[number];

export type DoorsFigures = Readonly<Record<Transport, TransportFigures>>;

export async function runDoors(options: DoorsOptions): Promise<DoorsFigures> {
  const rig = makeTlsRig();
  try {
    const measured: [Transport, TransportFigures][] = [];
    for (const transport of transports) {
      measured.push([transport, await measure(transport, rig, options)]);
    }
    return Object.fromEntries(measured) as DoorsFigures;
  } finally {
    rig.remove();
  }
}

async function measure(
  transport: Transport,
  rig: TlsRig,
  { connections, bytes, piece }: DoorsOptions,
): Promise<TransportFigures> {
  const server = start("server");
  const client = start("client");
  const both = transport.startsWith("ws") ? { webSocket: { path: "/mqtt" } } : {};
  const isSecure = transport === "tls" || transport === "wss";
  const address: ListenAddress = {
    host: "127.0.0.1",
    port: 0,
    ...both,
    ...(isSecure
      ? {
          tls: {
            certificateFile: rig.server.certificate,
            keyFile: rig.server.key,
            clientCertificate: "none",
          },
        }
      : {}),
  };
  const { port } = await order(server, { kind: "listen", address });
  const to: ConnectAddress = {
    host: "127.0.0.1",
    port,
    ...both,
    ...(isSecure ? { tls: { caFile: rig.authority.certificate } } : {}),
  };
  // The first one pays for what is loaded and compiled once.
  await order(client, { kind: "connect", address: to, count: 1 });
  const empty = await settled(server, (look) => look.connections >= 1);
  await order(client, { kind: "connect", address: to, count: 1 + connections });
  const full = await settled(server, (look) => look.connections >= 1 + connections);
  await order(client, { kind: "send", bytes, piece });
  const fed = await settled(server, (look) => look.bytes >= bytes);
  server.kill();
  client.kill();
  const opened = full.connections - empty.connections;
  return {
    cpu_ms_per_connection: rounded((full.cpuMicros - empty.cpuMicros) / 1_000 / opened),
    rss_kb_per_connection: rounded((full.rssBytes - empty.rssBytes) / 1_024 / opened),
    cpu_ns_per_byte: rounded(((fed.cpuMicros - full.cpuMicros) * 1_000) / bytes),
  };
}

function start(role: "server" | "client"): ChildProcess {
  const file = fileURLToPath(new URL("./doors-process.ts", import.meta.url));
  return fork(file, [role], { execArgv: [...nodeFlags, "--expose-gc"] });
}

async function order(child: ChildProcess, what: Order): Promise<Look> {
  child.send(what);
  const answered = once(child, "message") as Promise<[Look]>;
  const ended = once(child, "exit").then(() => undefined);
  const [look] = (await Promise.race([answered, ended])) ?? [];
  if (look === undefined) throw new Error("a process of the benchmark ended; see above");
  return look;
}

async function settled(child: ChildProcess, isSo: (look: Look) => boolean): Promise<Look> {
  for (;;) {
    const look = await order(child, { kind: "look" });
    if (isSo(look)) return look;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

export function textOf(figures: DoorsFigures): string {
  const lines = Object.entries(figures).map(
    ([name, { cpu_ms_per_connection, rss_kb_per_connection, cpu_ns_per_byte }]) =>
      `${name.padEnd(4)} ${cpu_ms_per_connection} ms CPU and ${rss_kb_per_connection} KB per connection, ${cpu_ns_per_byte} ns per byte`,
  );
  return lines.join("\n");
}
