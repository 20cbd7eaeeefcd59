/** What `weir upstream verify` and `weir tail` take and refuse; what they do: test/broker/upstream-verify.test.ts. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { weir } from "../../../test/support/weir-command.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-upstream-"));
after(() => rmSync(folder, { recursive: true }));

const refusals: readonly (readonly [args: readonly string[], code: number, message: RegExp])[] = [
  [["upstream"], 2, /say verify/],
  [["upstream", "verify"], 2, /say where the cluster is: --kafka HOST\[:PORT\], or -c weir.yaml/],
  [["upstream", "verify", "gw1", "--kafka", "h"], 2, /"gw1" is not understood here/],
  [["upstream", "verify", "--kafka", "h:99999"], 2, /--kafka is HOST\[:PORT\], not "h:99999"/],
  [["tail", "--kafka", "h", "--certificate", "c.pem"], 2, /--certificate and --certificate-key/],
  [["tail", "--kafka", "h", "--user", "alice"], 2, /a login needs --sasl MECHANISM/],
  [["tail", "--kafka", "h", "--sasl", "MD5"], 2, /--sasl is PLAIN, .* not "MD5"/],
  [["tail", "--kafka", "h", "--sasl", "PLAIN"], 2, /PLAIN needs --user and --password-file/],
  [["tail", "--kafka", "h", "--sasl", "OAUTHBEARER"], 2, /OAUTHBEARER needs --token-file/],
  [["tail", "--kafka", "127.0.0.1:9", "--no-follow"], 1, /127.0.0.1:9/],
];

for (const [args, code, message] of refusals) {
  test(`weir ${args.join(" ")} ends with ${code}`, async () => {
    const said = await weir(...args);
    assert.equal(said.code, code, said.output);
    assert.match(said.error, message);
  });
}

test("a password is read from the first line of its file", async () => {
  const file = join(folder, "empty");
  writeFileSync(file, "\nsecond");
  const login = ["--sasl", "PLAIN", "--user", "alice", "--password-file", file];
  const said = await weir("tail", "--kafka", "127.0.0.1:9", ...login);
  assert.equal(said.code, 1);
  assert.match(said.error, /has no password in its first line/);
});

test("a configuration without an uplink to Kafka is named", async () => {
  const file = join(folder, "weir.yaml");
  writeFileSync(file, "version: 1\nsources: [{ name: p, topics: [p] }]\n");
  const said = await weir("upstream", "verify", "-c", file);
  assert.equal(said.code, 78, said.output);
  assert.match(said.error, /weir.yaml has no uplink to Kafka; --kafka HOST reads any cluster/);
  const uplinks = [
    ["{ file: { directory: out } }", /: its results are lines of JSON in .*out \(tail/],
    ['{ mqtt: { url: "mqtts://b" } }', /: its results are at the broker mqtts:\/\/b/],
    ['{ http: { url: "https://b/x" } }', /: its results are posted to https:\/\/b\/x/],
  ] as const;
  for (const [uplink, hint] of uplinks) {
    const text = `version: 1\nagent: gw1\nsources: [{ name: p, topics: [p] }]\nuplinks: [${uplink}]\n`;
    writeFileSync(file, text);
    assert.match((await weir("tail", "-c", file)).error, hint);
  }
});
