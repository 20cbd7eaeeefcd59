import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import * as tls from "node:tls";
import {
  type Identity,
  issue,
  makeAuthority,
  serverNames,
} from "../../../test/support/certificates.ts";
import { startEnd } from "../../../test/support/net-pair.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import {
  connectOf,
  listenOf,
  openTls,
  removeTlsRig,
  tlsRigOf,
  until,
} from "../../../test/support/tls-rig.ts";
import type { TlsConnect } from "../../core/doors.ts";
import { systemNet } from "./net.ts";
import { faultOf } from "../../../test/support/fault-of.ts";

after(removeTlsRig);

test("a server is believed by its authority and its name", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { connect } = await openTls(t, listenOf(rig));
  const { caFile } = connectOf(rig) as { readonly caFile: string };
  for (const [options, host] of [
    [{ caFile }, "127.0.0.1"],
    [{ caFile }, "localhost"],
    [{ caFile, serverName: "localhost" }, "127.0.0.2"],
    [{ caFile, serverName: "127.0.0.1" }, "127.0.0.2"],
  ] as const) {
    const end = await connect(options, host);
    await end.arrived(2);
    end.socket.destroy();
  }
});

test("a server that is not whom we expect is refused with a sentence", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { authority, folder } = rig;
  const own = connectOf(rig);
  const named = issue(authority, { name: "elsewhere", names: ["DNS:broker.example"] });
  const alone = makeAuthority(join(folder, "alone"), "alone");
  const cases: readonly (readonly [Identity, TlsConnect, RegExp])[] = [
    [rig.strange, own, /authority that is not known here: set tls\.ca/],
    [alone, own, /authority that is not known here: set tls\.ca/],
    [rig.server, {}, /authority that is not known here: set tls\.ca/],
    [named, own, /certificate is for DNS:broker\.example: .*serverName/],
    [rig.server, { ...own, serverName: "other" }, /certificate is for .*localhost.*serverName/],
    [
      issue(authority, { name: "past", names: serverNames, validity: "expired" }),
      own,
      /has expired, and this gateway's clock says \d{4}-.*renew/,
    ],
    [
      issue(authority, { name: "future", names: serverNames, validity: "early" }),
      own,
      /not yet valid, and this gateway's clock says .*is that right/,
    ],
  ];
  for (const [identity, options, why] of cases) {
    const server = tls.createServer({
      cert: readFileSync(identity.certificate),
      key: readFileSync(identity.key),
    });
    const { port } = await listening(t, server);
    const fault = await faultOf(
      systemNet().connect({ host: "127.0.0.1", port, tls: options }, { waitMs: 5_000 }),
    );
    assert.equal(fault.code, "CONNECT_FAILED");
    assert.match(fault.message, why);
    assert.ok(fault.message.startsWith(`cannot connect to 127.0.0.1:${port}: `));
  }
});

test("a server that wants a client certificate, or another one, is understood", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const server = tls.createServer({
    cert: readFileSync(rig.server.certificate),
    key: readFileSync(rig.server.key),
    ca: readFileSync(rig.authority.certificate),
    requestCert: true,
    rejectUnauthorized: true,
  });
  const { port } = await listening(t, server);
  const socket = await systemNet().connect(
    { host: "127.0.0.1", port, tls: connectOf(rig) },
    { waitMs: 5_000 },
  );
  assert.match(await startEnd(socket).closed, /wants a client certificate: set tls\.certificate/);
});

test("a server that speaks no TLS, or says nothing, is understood", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const talker = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  const at = await listening(t, talker);
  const wrong = await faultOf(
    systemNet().connect({ host: "127.0.0.1", port: at.port, tls: {} }, { waitMs: 5_000 }),
  );
  assert.match(wrong.message, /speaks no TLS on this port/);
  const silent = await listening(t, createServer());
  const clock = new SimulatedClock(Date.now());
  const connecting = faultOf(
    systemNet(clock).connect({ host: "127.0.0.1", port: silent.port, tls: {} }, { waitMs: 300 }),
  );
  await until(() => silent.connections() === 1);
  await clock.pass(300);
  assert.match((await connecting).message, /no answer within 300 ms/);
});

async function listening(
  t: TestContext,
  server: Server,
): Promise<{ readonly port: number; readonly connections: () => number }> {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => open.add(socket));
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { port: address.port, connections: () => open.size };
}
