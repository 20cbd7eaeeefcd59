import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { issue, makeAuthority, serverNames } from "../../../test/support/certificates.ts";
import { requireTool } from "../../../test/support/require-tool.ts";

const main = join(import.meta.dirname, "main.ts");

/** What the check of this configuration says; `make` puts files beside it. */
function check(t: TestContext, text: string, make: (folder: string) => void = () => undefined) {
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-check-"));
  t.after(() => folder.remove());
  make(folder.path);
  const file = join(folder.path, "weir.yaml");
  writeFileSync(file, `version: 1\nagent: gw1\nsources: [{ name: p, topics: [p] }]\n${text}\n`);
  const args = [main, "check", "-c", file];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  return { status, stderr };
}

test("a certificate that a listener could not open is an error of the check", (t) => {
  const listener = "{ host: 127.0.0.1, port: 8883, tls: { certificate: no.crt, key: no.key } }";
  const { status, stderr } = check(t, `mqtt: { port: off, listeners: [${listener}] }`);
  assert.match(stderr, /the server certificate .*no\.crt cannot be read \(ENOENT\)/);
  assert.equal(status, 78);
});

test("a certificate that has expired is told, though the agent starts with it", (t) => {
  if (!requireTool(t, "openssl")) return;
  const tls = "{ certificate: ca/old.pem, key: ca/old-key.pem }";
  const { status, stderr } = check(t, `http: { port: 8443, tls: ${tls} }`, (folder) => {
    const authority = makeAuthority(join(folder, "ca"));
    issue(authority, { name: "old", validity: "expired", names: serverNames });
  });
  assert.match(stderr, /warning: the server certificate .*old\.pem expired on 2020-02-01/);
  assert.equal(status, 0);
});

test("files of connections to brokers, a bridge and Kafka are read as well", (t) => {
  const { status, stderr } = check(
    t,
    `brokers: [{ name: site, urls: ["mqtts://a", "wss://a"], tls: { ca: site.pem } }]
uplinks:
  - mqtt: { url: mqtts://b, tls: { certificate: bridge.pem, key: bridge.key } }
  - kafka: { brokers: ["c:9093"], tls: { ca: kafka.pem } }`,
  );
  for (const name of ["site.pem", "bridge.pem", "kafka.pem"]) {
    assert.equal(stderr.split(`${name} cannot be read`).length, 2, `${name} once in ${stderr}`);
  }
  assert.equal(status, 78);
});

test("a data directory where nothing can be kept is an error; one that is not there yet is none", (t) => {
  const kernel = check(t, "data: /proc/weir/data");
  assert.match(kernel.stderr, /data: \/proc\/weir\/data is in a file system of the kernel's own/);
  assert.equal(kernel.status, 78);
  const inFile = check(t, "data: a/b", (folder) => writeFileSync(join(folder, "a"), ""));
  assert.match(inFile.stderr, /data: .*a\/b cannot be made, because .*a is a file; set another/);
  assert.equal(inFile.status, 78);
  assert.equal(check(t, "data: a/b").status, 0);
});

test("a file of users that is missing or damaged is a warning", (t) => {
  const missing = check(t, "mqtt: { usersFile: users.weir }");
  assert.match(missing.stderr, /warning: the file of users .*users\.weir is not there.*user add/);
  assert.equal(missing.status, 0);
  const damaged = check(t, "mqtt: { usersFile: users.weir }", (folder) =>
    writeFileSync(join(folder, "users.weir"), "pump: no hash\n"),
  );
  assert.match(damaged.stderr, /warning: the file of users .* is damaged/);
});
