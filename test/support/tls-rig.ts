/** TLS between our network door and itself or others, with certificates of its own and a clock that stands. */

import type { Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { systemNet } from "../../src/agent/doors/net.ts";
import type { Net, NetListener, NetSocket, TlsConnect, TlsListen } from "../../src/core/doors.ts";
import {
  type Authority,
  type Identity,
  issue,
  makeAuthority,
  serverNames,
} from "./certificates.ts";
import { type End, makeTlsRig, startEnd, type TlsRig } from "./net-pair.ts";
import { requireTool } from "./require-tool.ts";
import { SimulatedClock } from "./simulated-clock.ts";

export type StrangeRig = TlsRig & {
  /** An authority that nobody trusts, and what it signed: server and client. */
  readonly stranger: Authority;
  readonly strange: Identity;
};

let made: StrangeRig | undefined;

/** One for all tests of a file; undefined where the machine has no openssl. Call `removeTlsRig` after them. */
export function tlsRigOf(t: TestContext): StrangeRig | undefined {
  if (!requireTool(t, "openssl")) return undefined;
  if (made === undefined) {
    const rig = makeTlsRig();
    const stranger = makeAuthority(join(rig.folder, "stranger"), "stranger");
    const strange = issue(stranger, { name: "pump-7", names: serverNames });
    made = { ...rig, stranger, strange };
  }
  return made;
}

export function removeTlsRig(): void {
  made?.remove();
  made = undefined;
}

type TlsOpen = {
  readonly net: Net;
  readonly clock: SimulatedClock;
  readonly listener: NetListener;
  /** Every socket that was given out. */
  readonly accepted: NetSocket[];
  /** Opens a connection with our door; the far end is in `accepted` once something arrived. */
  readonly connect: (tls: TlsConnect, host?: string) => Promise<End>;
};

/** A listener that says "hi" to whoever is through, and a clock that stands. */
export async function openTls(t: TestContext, options: TlsListen): Promise<TlsOpen> {
  const clock = new SimulatedClock(Date.now());
  const net = systemNet(clock);
  const accepted: NetSocket[] = [];
  const listener = await net.listen({ host: "0.0.0.0", port: 0, tls: options }, (socket) => {
    accepted.push(startEnd(socket).socket);
    socket.write(Buffer.from("hi"));
  });
  t.after(async () => {
    for (const socket of accepted) socket.destroy();
    await listener.close();
  });
  const { port } = listener;
  return {
    net,
    clock,
    listener,
    accepted,
    connect: async (options, host = "127.0.0.1") =>
      startEnd(await net.connect({ host, port, tls: options }, { waitMs: 5_000 })),
  };
}

export const listenOf = ({ server }: TlsRig, more: Partial<TlsListen> = {}): TlsListen => ({
  certificateFile: server.certificate,
  keyFile: server.key,
  clientCertificate: "none",
  ...more,
});

export const connectOf = ({ authority }: TlsRig, own?: Identity): TlsConnect => ({
  caFile: authority.certificate,
  ...(own === undefined ? {} : { certificateFile: own.certificate, keyFile: own.key }),
});

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

export function closeOf(socket: Socket): Promise<void> {
  socket.on("error", () => undefined);
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}
