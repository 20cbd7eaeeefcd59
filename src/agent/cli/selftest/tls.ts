/**
 * TLS over loopback. Both sides know a secret made for it (a pre-shared key), so it needs neither
 * certificate nor a clock that is right; and the authorities that come with Node, which connections
 * without a `ca` of their own trust.
 */

import { randomBytes, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, rootCertificates, type TLSSocket } from "node:tls";
import { expect } from "./expect.ts";

const identity = "weir-selftest";
const ciphers = "PSK-AES256-GCM-SHA384:@SECLEVEL=0";
/** Pre-shared keys as Node has them are of TLS 1.2. */
const maxVersion = "TLSv1.2";
const waitMs = 30_000;

export async function tlsHandshake(): Promise<string> {
  const [authority] = rootCertificates;
  expect(authority !== undefined, "no certificate authorities are built in");
  expect(new X509Certificate(authority).ca, "what should be an authority's certificate is none");
  const key = randomBytes(32);
  const server = createServer({ pskCallback: () => key, ciphers, maxVersion });
  const signal = AbortSignal.timeout(waitMs);
  server.listen(0, "127.0.0.1");
  await once(server, "listening", { signal });
  server.on("secureConnection", (socket: TLSSocket) => socket.pipe(socket));
  const { port } = server.address() as AddressInfo;
  const socket = connect({
    host: "127.0.0.1",
    port,
    pskCallback: () => ({ psk: key, identity }),
    ciphers,
    maxVersion,
    // There is no certificate: who does not know the key fails in the handshake.
    checkServerIdentity: () => undefined,
  });
  try {
    await once(socket, "secureConnect", { signal });
    socket.write(identity);
    const echo: readonly unknown[] = await once(socket, "data", { signal });
    expect(String(echo[0]) === identity, "what came over TLS is not what was sent");
    return `${socket.getCipher().name}, ${rootCertificates.length} authorities`;
  } finally {
    socket.destroy();
    server.close();
  }
}
