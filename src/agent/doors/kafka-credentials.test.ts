import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import {
  type Certificates,
  type Identity,
  makeCertificates,
} from "../../../test/support/kafka/certificates.ts";
import { requireTool } from "../../../test/support/require-tool.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import type { Clock } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { type Credentials, type KafkaSecurity, openCredentials } from "./kafka-credentials.ts";

const dayMs = 86_400_000;
const folder = mkdtempSync(join(tmpdir(), "weir-credentials-"));
after(() => rmSync(folder, { recursive: true }));

/** Two authorities with a client each. */
let made: { readonly ours: Certificates; readonly theirs: Certificates } | undefined;

type Rig = {
  readonly clock: SimulatedClock;
  /** Files of this test's own, which it may replace. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly tls: { readonly ca: string; readonly certificate: string; readonly key: string };
  readonly theirs: Identity;
  readonly expired: Identity;
};

let rigs = 0;

function rig(t: TestContext): Rig | undefined {
  if (!requireTool(t, "openssl")) return undefined;
  made ??= {
    ours: makeCertificates(mkdtempSync(join(folder, "ours-"))),
    theirs: makeCertificates(mkdtempSync(join(folder, "theirs-"))),
  };
  const { ours, theirs } = made;
  const own = (name: string): string => join(folder, `${rigs}-${name}`);
  rigs++;
  const tls = { ca: own("ca.pem"), certificate: own("client.pem"), key: own("client-key.pem") };
  copyFileSync(ours.authority, tls.ca);
  copyFileSync(ours.client.certificate, tls.certificate);
  copyFileSync(ours.client.key, tls.key);
  const clock = new SimulatedClock(Date.now());
  return { clock, ...tls, tls, theirs: theirs.client, expired: ours.expiredClient };
}

const open = (security: Partial<KafkaSecurity>, clock: Clock): Credentials =>
  openCredentials({ tls: undefined, sasl: undefined, ...security }, clock);

async function refused(credentials: Credentials, message: RegExp, path?: string): Promise<void> {
  const failure = await credentials.read().then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(failure instanceof Fault, String(failure));
  assert.match(failure.message, message);
  assert.equal(failure.code, "UPLINK_LOGIN_REFUSED");
  if (path !== undefined) {
    assert.ok(failure.message.includes(path));
    assert.equal(failure.facts["path"], path);
  }
  assert.doesNotMatch(failure.message, /BEGIN|wonderland/);
}

const noClock = new SimulatedClock(0);

test("without files there is nothing to read, and nothing is ever outdated", async () => {
  const none = open({}, noClock);
  assert.deepEqual(await none.read(), {});
  assert.equal(await none.isOutdated(), false);
  const sasl = { mechanism: "SCRAM-SHA-512", user: "alice", password: "wonderland" } as const;
  const login = open({ tls: { serverName: "kafka" }, sasl }, noClock);
  assert.deepEqual(await login.read(), {
    tls: { serverName: "kafka" },
    sasl: { mechanism: "SCRAM-SHA-512", username: "alice", password: "wonderland" },
  });
  assert.equal(await login.isOutdated(), false);
  assert.deepEqual(await open({ tls: {} }, noClock).read(), { tls: {} });
});

test("files are given as they are, and read anew each time", async (t) => {
  const of = rig(t);
  if (of === undefined) return;
  const credentials = open({ tls: { ...of.tls, serverName: "kafka" } }, of.clock);
  const read = (): object => ({
    tls: {
      ca: readFileSync(of.ca),
      cert: readFileSync(of.certificate),
      key: readFileSync(of.key),
      serverName: "kafka",
    },
  });
  assert.deepEqual(await credentials.read(), read());
  copyFileSync(of.theirs.certificate, of.certificate);
  copyFileSync(of.theirs.key, of.key);
  assert.deepEqual(await credentials.read(), read());
});

test("files that were replaced are outdated when they fit each other, until they are read", async (t) => {
  const of = rig(t);
  if (of === undefined) return;
  const credentials = open({ tls: of.tls }, of.clock);
  assert.equal(await credentials.isOutdated(), false, "nothing is in use yet");
  await credentials.read();
  assert.equal(await credentials.isOutdated(), false);
  copyFileSync(of.theirs.certificate, of.certificate);
  assert.equal(await credentials.isOutdated(), false, "the key is still the old one");
  rmSync(of.key);
  assert.equal(await credentials.isOutdated(), false);
  copyFileSync(of.theirs.key, of.key);
  assert.equal(await credentials.isOutdated(), true);
  assert.equal(await credentials.isOutdated(), true);
  await credentials.read();
  assert.equal(await credentials.isOutdated(), false);
});

test("a session is not given up for files that cannot be used", async (t) => {
  const of = rig(t);
  if (of === undefined) return;
  const credentials = open({ tls: of.tls }, of.clock);
  await credentials.read();
  copyFileSync(of.expired.certificate, of.certificate);
  copyFileSync(of.expired.key, of.key);
  assert.equal(await credentials.isOutdated(), false);
  await refused(credentials, /expired on/);
  assert.equal(await credentials.isOutdated(), false);
});

test("a file that is missing, unreadable or something else is named, with what to do", async (t) => {
  const of = rig(t);
  if (of === undefined) return;
  const ca = (path: string): Credentials => open({ tls: { ca: path } }, of.clock);
  const missing = join(folder, "missing.pem");
  await refused(ca(missing), /^the file of authorities .* \(ENOENT\): put it there/, missing);
  await refused(ca(join(of.ca, "below")), /\(ENOTDIR\)/);
  await refused(ca(folder), /is not a file: correct the path$/, folder);
  await refused(ca("/dev/zero"), /is not a file/);
  writeFileSync(of.key, "#".repeat(limits.secretCharactersMax + 1));
  await refused(open({ tls: of.tls }, of.clock), /client key .* is longer than 64 KiB/, of.key);
});

test("a file that is not PEM, or cut off, is told", async (t) => {
  const of = rig(t);
  if (of === undefined) return;
  const credentials = open({ tls: of.tls }, of.clock);
  const cases: readonly [string, string, RegExp][] = [
    [of.ca, "", /holds no certificate in PEM/],
    [of.ca, readFileSync(of.key, "utf8"), /holds no certificate in PEM/],
    [of.ca, readFileSync(of.ca, "utf8").repeat(2).slice(0, -40), /damaged or cut off/],
    [of.certificate, "hello", /the client certificate .* holds no certificate in PEM/],
    [of.key, readFileSync(of.certificate, "utf8"), /the client key .* holds no private key in PEM/],
    [of.key, readFileSync(of.key, "utf8").slice(0, 90), /damaged or cut off/],
  ];
  for (const [path, content, message] of cases) {
    const before = readFileSync(path);
    writeFileSync(path, content);
    await refused(credentials, message, path);
    writeFileSync(path, before);
  }
  await credentials.read();
});

test("a key that is not the certificate's is told, with both files", async (t) => {
  const of = rig(t);
  if (of === undefined) return;
  copyFileSync(of.theirs.key, of.key);
  const message = /the client key .* does not fit the certificate .*client\.pem: put the two/;
  await refused(open({ tls: of.tls }, of.clock), message, of.key);
});

test("key and certificate may be in one file, which authorities may follow", async (t) => {
  const of = rig(t);
  if (of === undefined) return;
  const parts = [of.key, of.certificate, of.ca].map((path) => readFileSync(path, "utf8"));
  writeFileSync(of.certificate, parts.join("\nSubject: whoever\n"));
  const tls = { certificate: of.certificate, key: of.certificate };
  const credentials = open({ tls }, of.clock);
  const read = await credentials.read();
  assert.equal(read.tls?.cert?.toString(), read.tls?.key?.toString());
  assert.equal(await credentials.isOutdated(), false);
});

test("an encrypted key needs its passphrase", async (t) => {
  const of = rig(t);
  if (of === undefined) return;
  const passphrase = "wonderland";
  const key = createPrivateKey(readFileSync(of.key));
  for (const type of ["pkcs8", "sec1"] as const) {
    writeFileSync(of.key, key.export({ type, format: "pem", cipher: "aes-256-cbc", passphrase }));
    await refused(open({ tls: of.tls }, of.clock), /is encrypted: set its passphrase$/, of.key);
    const wrong = { ...of.tls, passphrase: "wonderland?" };
    await refused(open({ tls: wrong }, of.clock), /with the passphrase that is set/, of.key);
    const { tls } = await open({ tls: { ...of.tls, passphrase } }, of.clock).read();
    assert.equal(tls?.keyPassphrase, passphrase);
  }
});

test("a certificate out of its time is told with its dates and the gateway's clock", async (t) => {
  const of = rig(t);
  if (of === undefined) return;
  const { tls } = of;
  await open({ tls }, of.clock).read();
  const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
  const later = new SimulatedClock(of.clock.now() + 3 * dayMs);
  const clock = `and this gateway's clock says ${time}`;
  const expired = new RegExp(`expired on ${time}, ${clock}: renew it, unless the clock is ahead$`);
  await refused(open({ tls: { ca: of.ca } }, later), expired, of.ca);
  const { ca: _, ...own } = tls;
  await refused(open({ tls: own }, later), expired, of.certificate);
  const before = new RegExp(`is not valid before ${time}, ${clock}: set the clock`);
  await refused(open({ tls: own }, new SimulatedClock(0)), before, of.certificate);
});

test("among many authorities some may have expired", async (t) => {
  const of = rig(t);
  if (of === undefined) return;
  const authorities = [of.expired.certificate, of.ca].map((path) => readFileSync(path, "utf8"));
  writeFileSync(of.ca, authorities.join(""));
  await open({ tls: { ca: of.ca } }, of.clock).read();
});

test("a token is what its file holds at each login, trimmed", async () => {
  const tokenFile = join(folder, "token");
  const sasl = { mechanism: "OAUTHBEARER", tokenFile } as const;
  const credentials = open({ sasl }, noClock);
  await refused(credentials, /^the token file .* \(ENOENT\)/, tokenFile);
  writeFileSync(tokenFile, " one.two.three\r\n");
  const { sasl: login } = await credentials.read();
  assert.ok(login?.mechanism === "OAUTHBEARER");
  assert.equal(await login.token(), "one.two.three");
  writeFileSync(tokenFile, "four.five.six");
  assert.equal(await credentials.isOutdated(), true);
  assert.equal(await login.token(), "four.five.six");
  assert.equal(await credentials.isOutdated(), false, "the session has logged in with it");
  for (const content of ["", "\n", "one two", "one\u0001auth=x", "tökén"]) {
    writeFileSync(tokenFile, content);
    await refused(credentials, /write (a|the) token (alone )?into it$/, tokenFile);
    assert.equal(await credentials.isOutdated(), false);
  }
});
