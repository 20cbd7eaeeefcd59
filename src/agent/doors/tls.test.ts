import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { after, test } from "node:test";
import * as tls from "node:tls";
import { type Identity, issue, revoke } from "../../../test/support/certificates.ts";
import {
  closeOf,
  connectOf,
  listenOf,
  openTls,
  removeTlsRig,
  tlsRigOf,
  until,
} from "../../../test/support/tls-rig.ts";
import { limits } from "../../core/limits.ts";

after(removeTlsRig);

test("a client is known by the common name of its certificate", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  for (const clientCertificate of ["required", "optional"] as const) {
    const clientCaFile = rig.authority.certificate;
    const { accepted, connect } = await openTls(
      t,
      listenOf(rig, { clientCaFile, clientCertificate }),
    );
    const end = await connect(connectOf(rig, rig.client));
    await end.arrived(2);
    assert.equal(accepted[0]?.certificateName, "pump-7");
    end.socket.destroy();
  }
});

test("where a certificate is optional, a client without one has no name", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const clientCaFile = rig.authority.certificate;
  const options = listenOf(rig, { clientCaFile, clientCertificate: "optional" });
  const { accepted, connect } = await openTls(t, options);
  const end = await connect(connectOf(rig));
  await end.arrived(2);
  assert.equal(accepted[0]?.certificateName, undefined);
  end.socket.destroy();
});

test("a certificate that nobody asked for gives no name", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { accepted, connect } = await openTls(t, listenOf(rig));
  const end = await connect(connectOf(rig, rig.client));
  await end.arrived(2);
  assert.equal(accepted[0]?.certificateName, undefined);
  end.socket.destroy();
});

test("a missing, strange, expired, early, revoked or nameless certificate is refused and told", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { authority } = rig;
  const revoked = issue(authority, { name: "stolen" });
  const cases: readonly (readonly [Identity | undefined, RegExp])[] = [
    [undefined, /no client certificate/],
    [rig.strange, /authority that is not in clientCa/],
    [issue(authority, { name: "old", validity: "expired" }), /has expired/],
    [issue(authority, { name: "soon", validity: "early" }), /not yet valid.*clock right/],
    [revoked, /was revoked/],
    [issue(authority, { name: "two", subject: "/CN=admin/CN=pump" }), /no common name, or several/],
    [issue(authority, { name: "none", subject: "/O=somebody" }), /no common name/],
  ];
  const options = listenOf(rig, {
    clientCaFile: authority.certificate,
    crlFile: revoke(authority, [revoked]),
  });
  for (const clientCertificate of ["required", "optional"] as const) {
    const { listener, accepted, connect } = await openTls(t, { ...options, clientCertificate });
    let refused = 0;
    for (const [identity, why] of cases) {
      if (identity === undefined && clientCertificate === "optional") continue;
      // The wrong client does not check ours: it is an attacker, or no door of ours.
      const socket = tls.connect({
        host: "127.0.0.1",
        port: listener.port,
        rejectUnauthorized: false,
        ...(identity === undefined
          ? {}
          : { cert: readFileSync(identity.certificate), key: readFileSync(identity.key) }),
      });
      socket.on("error", () => undefined);
      socket.write("what it says is not read");
      await closeOf(socket);
      refused += 1;
      assert.equal(listener.handshakes?.refused, refused);
      assert.match(listener.handshakes?.lastRefusal ?? "", why);
      assert.match(listener.handshakes?.lastRefusal ?? "", /^127\.0\.0\.1:\d+: /);
    }
    assert.equal(accepted.length, 0);
    const good = await connect(connectOf(rig, rig.client));
    await good.arrived(2);
    good.socket.destroy();
  }
});

test("a client that is revoked while it is away is refused, though it resumes its session", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { authority } = rig;
  const thief = issue(authority, { name: "thief" });
  const crlFile = revoke(authority, []);
  const clientCaFile = authority.certificate;
  const options = listenOf(rig, { clientCaFile, clientCertificate: "required", crlFile });
  const { net, clock, listener, accepted } = await openTls(t, options);
  const connectAgain = async (session: Buffer | undefined): Promise<tls.TLSSocket> => {
    const socket = tls.connect({
      host: "127.0.0.1",
      port: listener.port,
      ca: readFileSync(authority.certificate),
      cert: readFileSync(thief.certificate),
      key: readFileSync(thief.key),
      ...(session === undefined ? {} : { session }),
    });
    socket.on("error", () => undefined);
    socket.resume();
    return socket;
  };
  const first = await connectAgain(undefined);
  const [session] = (await once(first, "session")) as [Buffer];
  const resumed = await connectAgain(session);
  await once(resumed, "secureConnect");
  assert.ok(resumed.isSessionReused());
  await until(() => accepted.length === 2);
  revoke(authority, [thief]);
  while (net.certificates()[0]?.reloads === 0) await clock.pass(limits.tlsFilesMs);
  const after = await connectAgain(session);
  await closeOf(after);
  assert.equal(accepted.length, 2);
  assert.match(listener.handshakes?.lastRefusal ?? "", /was revoked/);
  first.destroy();
  resumed.destroy();
});

test("who speaks no TLS, or an old one, is refused and told", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { listener, accepted } = await openTls(t, listenOf(rig));
  const { port } = listener;
  const plain = connect(port, "127.0.0.1");
  plain.on("error", () => undefined);
  plain.write(Buffer.from([0x10, 0x0c, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 0]));
  await closeOf(plain);
  assert.match(listener.handshakes?.lastRefusal ?? "", /spoke no TLS/);
  const browser = connect(port, "127.0.0.1");
  browser.on("error", () => undefined);
  browser.write("GET / HTTP/1.1\r\n\r\n");
  await closeOf(browser);
  assert.match(listener.handshakes?.lastRefusal ?? "", /spoke HTTP/);
  const old = tls.connect({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    minVersion: "TLSv1.1",
    maxVersion: "TLSv1.1",
    ciphers: "DEFAULT@SECLEVEL=0",
  });
  old.on("error", () => undefined);
  await closeOf(old);
  assert.match(listener.handshakes?.lastRefusal ?? "", /older than 1\.2/);
  const distrustful = spawn(
    "openssl",
    ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", rig.stranger.certificate].concat([
      "-verify_return_error",
    ]),
    { stdio: "ignore" },
  );
  await once(distrustful, "close");
  await until(() => listener.handshakes?.refused === 4);
  assert.match(listener.handshakes?.lastRefusal ?? "", /does not trust our certificate/);
  assert.equal(accepted.length, 0);
});

test("a handshake that takes too long is ended, also byte by byte", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { clock, listener, accepted } = await openTls(t, listenOf(rig));
  const silent = connect(listener.port, "127.0.0.1");
  const slow = connect(listener.port, "127.0.0.1");
  await until(() => listener.handshakes?.underWay === 2);
  await clock.pass(limits.handshakeWaitMs / 2);
  slow.write(Buffer.from([0x16]));
  await clock.pass(limits.handshakeWaitMs / 2 - 1);
  assert.equal(listener.handshakes?.underWay, 2);
  await clock.pass(1);
  await Promise.all([closeOf(silent), closeOf(slow)]);
  assert.equal(listener.handshakes?.timedOut, 2);
  assert.equal(listener.handshakes?.underWay, 0);
  assert.equal(accepted.length, 0);
});

test("whoever crowds the door gets out of the way of others", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { listener, accepted } = await openTls(t, listenOf(rig));
  const { port } = listener;
  // The oldest of all, and alone at its address.
  const early = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
  const crowd: Socket[] = [];
  for (let i = 0; i < limits.handshakesMax + 20; i++) {
    const one = connect(port, "127.0.0.1");
    one.on("error", () => undefined);
    crowd.push(one);
    await once(one, "connect");
  }
  await until(() => (listener.handshakes?.crowdedOut ?? 0) >= 21);
  assert.equal(listener.handshakes?.underWay, limits.handshakesMax);
  const late = tls.connect({ socket: early, rejectUnauthorized: false });
  await once(late, "data");
  assert.equal(accepted.length, 1);
  for (const one of [...crowd, late]) one.destroy();
});
