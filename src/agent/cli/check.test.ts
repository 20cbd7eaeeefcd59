import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

test("a certificate that a listener could not open is an error of the check", () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-check-"));
  const file = join(folder.path, "weir.yaml");
  const listener = "{ host: 127.0.0.1, port: 8883, tls: { certificate: no.crt, key: no.key } }";
  writeFileSync(
    file,
    `version: 1\nmqtt: { port: off, listeners: [${listener}] }\nsources: [{ name: p, topics: [p] }]\n`,
  );
  const main = join(import.meta.dirname, "main.ts");
  const { status, stderr } = spawnSync(process.execPath, [main, "check", "-c", file]);
  assert.match(stderr.toString(), /the server certificate .*no\.crt cannot be read \(ENOENT\)/);
  assert.equal(status, 78);
});
