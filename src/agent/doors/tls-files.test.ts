import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import * as tls from "node:tls";
import { type Identity, issue, serverNames } from "../../../test/support/certificates.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import {
  connectOf,
  listenOf,
  openTls,
  removeTlsRig,
  tlsRigOf,
} from "../../../test/support/tls-rig.ts";
import type { Net, TlsListen } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { systemNet } from "./net.ts";
import { faultOf } from "../../../test/support/fault-of.ts";

after(removeTlsRig);

test("files that cannot be used are named, with what to do", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { folder, server, client, authority } = rig;
  const written = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const empty = written("empty.pem", "");
  const cut = written("cut.pem", readFileSync(server.certificate, "utf8").slice(0, 300));
  const notAList = written("list.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
  const locked = written(
    "locked.pem",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
  );
  const missing = join(folder, "missing.pem");
  const clientCaFile = authority.certificate;
  const cases: readonly (readonly [Partial<TlsListen>, string, RegExp])[] = [
    [{ certificateFile: missing }, missing, /server certificate .*ENOENT.*put it there/],
    [{ keyFile: missing }, missing, /server key .*ENOENT/],
    [{ certificateFile: empty }, empty, /holds no certificate in PEM/],
    [{ certificateFile: cut }, cut, /damaged or cut off/],
    [{ keyFile: client.key }, client.key, /does not fit the certificate .*belong together/],
    [{ keyFile: locked }, locked, /is encrypted: .*without one/],
    [{ keyFile: server.certificate }, server.certificate, /holds no private key/],
    [{ clientCaFile: empty, clientCertificate: "required" }, empty, /client authorities .*no cert/],
    [{ clientCaFile, clientCertificate: "required", crlFile: empty }, empty, /no list of revoked/],
    [{ clientCaFile, clientCertificate: "required", crlFile: notAList }, notAList, /damaged/],
    [{ certificateFile: folder }, folder, /is not a file/],
  ];
  for (const [change, path, why] of cases) {
    const tlsOptions = listenOf(rig, change);
    const address = { host: "127.0.0.1", port: 0, tls: tlsOptions };
    const fault = await faultOf(systemNet().listen(address, () => undefined));
    assert.equal(fault.code, "TLS_FILE_UNUSABLE");
    assert.match(fault.message, why);
    assert.ok(fault.message.includes(path), fault.message);
    assert.doesNotMatch(fault.message, /BEGIN|AAAA/);
  }
});

test("our own client certificate is checked before it is sent", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { connect } = await openTls(t, listenOf(rig));
  const old = issue(rig.authority, { name: "worn", validity: "expired" });
  const fault = await faultOf(connect(connectOf(rig, old)));
  assert.equal(fault.code, "TLS_FILE_UNUSABLE");
  assert.match(fault.message, /client certificate .*worn\.pem expired on .*renew it/);
});

test("new files serve new connections while old ones stay; broken ones are told and not used", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { authority, folder, server } = rig;
  const files = { certificate: join(folder, "live.pem"), key: join(folder, "live-key.pem") };
  const put = (identity: Identity): void => {
    copyFileSync(identity.certificate, files.certificate);
    copyFileSync(identity.key, files.key);
  };
  put(server);
  const { net, clock, connect, listener, accepted } = await openTls(t, {
    certificateFile: files.certificate,
    keyFile: files.key,
    clientCertificate: "none",
  });
  const status = (): ReturnType<Net["certificates"]>[number] => net.certificates()[0]!;
  const look = async (isSeen: () => boolean): Promise<void> => {
    while (!isSeen()) await clock.pass(limits.tlsFilesMs);
  };
  const shown = async (): Promise<string> => {
    const socket = tls.connect({
      host: "127.0.0.1",
      port: listener.port,
      rejectUnauthorized: false,
    });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  const serialOf = ({ certificate }: Identity): string =>
    new X509Certificate(readFileSync(certificate)).serialNumber;
  assert.equal(await shown(), serialOf(server));
  assert.equal(status().file, files.certificate);
  assert.ok(Math.abs(status().expires - (Date.now() + 2 * 86_400_000)) < 86_400_000);

  const old = await connect(connectOf(rig));
  await old.arrived(2);
  const renewed = issue(authority, { name: "renewed", names: serverNames });
  put(renewed);
  await look(() => status().reloads === 1);
  assert.equal(await shown(), serialOf(renewed));
  accepted[0]!.write(Buffer.from("still here"));
  await old.arrived(12);

  // The key does not fit: what was in use stays.
  copyFileSync(server.certificate, files.certificate);
  await look(() => /does not fit/.test(status().trouble ?? ""));
  // A look while both were being written may have counted as well: the disk is a real one.
  const failures = status().reloadFailures;
  assert.ok(failures >= 1);
  assert.equal(await shown(), serialOf(renewed));
  assert.match(status().trouble ?? "", /does not fit.*stays in use/);

  // A file that is gone, then an expired one, are no better; the same trouble is counted once.
  for (let i = 0; i < 10; i++) await clock.pass(limits.tlsFilesMs);
  assert.equal(status().reloadFailures, failures);
  rmSync(files.key);
  await look(() => /server key .*ENOENT/.test(status().trouble ?? ""));
  put(issue(authority, { name: "lapsed", names: serverNames, validity: "expired" }));
  await look(() => /expired on/.test(status().trouble ?? ""));
  assert.equal(await shown(), serialOf(renewed));
  assert.equal(status().reloads, 1);

  put(server);
  await look(() => status().reloads === 2);
  assert.equal(await shown(), serialOf(server));
  assert.equal(status().trouble, undefined);
  old.socket.destroy();
});

test("a gateway whose clock is not set yet starts with its certificate, and says so", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const clock = new SimulatedClock(0);
  const net = systemNet(clock);
  const listener = await net.listen(
    { host: "127.0.0.1", port: 0, tls: listenOf(rig) },
    () => undefined,
  );
  assert.match(net.certificates()[0]?.trouble ?? "", /not valid before .*clock says 1970/);
  await listener.close();
  assert.deepEqual(net.certificates(), []);
});
