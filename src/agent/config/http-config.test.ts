import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOfToken } from "../http/tokens.ts";
import { explain } from "./explain.ts";
import { type ParsedConfig, parseConfig } from "./parse.ts";

const source = "version: 1\nsources: [{ name: s, topics: ['a/{b}'] }]\n";
const secret = "weir_0123456789012345678901234567890123456789";

function parse(http: string): Promise<ParsedConfig> {
  return parseConfig(`${source}http: ${http}\n`, {
    file: "/etc/weir/weir.yaml",
    cwd: "/",
    env: {},
    readFile: () => `${secret}\n`,
  });
}

async function configOf(http: string): Promise<Extract<ParsedConfig, { kind: "config" }>> {
  const parsed = await parse(http);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed;
}

async function messageOf(http: string): Promise<string> {
  const parsed = await parse(http);
  assert.ok(parsed.kind === "faults", `${http} is taken`);
  return parsed.faults.map(({ text }) => text).join("\n");
}

const hash = `sha256:${digestOfToken(secret)}`;

test("of tokens only digests are kept, with their roles and ends", async () => {
  const { config, warnings } = await configOf(`
  host: 0.0.0.0
  port: 8443
  tls: { certificate: server.crt, key: /keys/server.key }
  allowedHosts: [gateway.example]
  tokens:
    - { name: dash, token: "\${file:dash.token}" }
    - { name: ops, tokenHash: "${hash.replace(/0/g, "1")}", role: operator, expires: 2027-01-31 }
    - { name: now, tokenHash: "${hash.replace(/0/g, "2")}", role: admin, expires: "2027-01-31T12:00:00Z" }
`);
  assert.doesNotMatch(JSON.stringify(config), /weir_0123/);
  assert.deepEqual(config.http?.tls, {
    certificateFile: "/etc/weir/server.crt",
    keyFile: "/keys/server.key",
    clientCertificate: "none",
  });
  const [dash, ops, now] = config.http?.tokens ?? [];
  assert.deepEqual(dash, { name: "dash", digest: digestOfToken(secret), role: "viewer" });
  assert.equal(ops?.role, "operator");
  assert.equal(ops?.expires, Date.UTC(2027, 1, 1));
  assert.equal(now?.expires, Date.UTC(2027, 0, 31, 12));
  assert.doesNotMatch(warnings.join("\n"), /http/);
  assert.match(
    explain(config),
    /http +0\.0\.0\.0:8443, TLS; tokens dash \(viewer\), ops \(operator\)/,
  );
});

test("off loopback there are tokens, and without TLS a warning", async () => {
  assert.match(await messageOf("{ host: 0.0.0.0 }"), /http\.host: 0\.0\.0\.0 .*: add tokens/);
  const { warnings } = await configOf(
    `{ host: 10.0.0.5, tokens: [{ name: a, token: ${secret} }] }`,
  );
  assert.match(warnings.join("\n"), /http\.host: tokens cross the network as they are: add tls/);
  const local = await configOf(`{ tokens: [{ name: a, token: ${secret} }] }`);
  assert.doesNotMatch(local.warnings.join("\n"), /http/);
});

test("what contradicts itself says what to do, and never the token", async () => {
  const on = (token: string): string => `{ tokens: [{ name: a, ${token} }] }`;
  const cases: readonly (readonly [string, RegExp])[] = [
    ["{ tokens: [{ name: a }] }", /tokens\[0\]: each token is one of token and tokenHash/],
    [on(`token: ${secret}, tokenHash: "${hash}"`), /each token is one of/],
    [on("token: short-and-known"), /token: too short to be random, at least 32/],
    [on(`token: "${secret} x"`), /letters, digits and \. _/],
    [on("tokenHash: sha256:00"), /expected sha256: and 64 hexadecimal digits/],
    [on(`token: ${secret}, expires: tomorrow`), /expires: is no time: a day as 2027-01-31/],
    [on(`token: ${secret}, expires: 2027-02-30`), /expires: is no time/],
    [on(`token: ${secret}, role: root`), /one of viewer, operator, admin/],
    [
      `{ tokens: [{ name: a, token: ${secret} }, { name: a, token: ${secret} }] }`,
      /tokens\[1\]\.name: this name is http\.tokens\[0\] already/,
    ],
    [
      `{ tokens: [{ name: a, token: ${secret} }, { name: b, tokenHash: "${hash}" }] }`,
      /tokens\[1\]: is the token of http\.tokens\[0\]/,
    ],
    // Easily confused, and then in the journal of a service that does not start.
    [on(`tokenHash: ${secret}`), /expected sha256: .*found a value that is not shown here/],
    [
      on("token: 1234567890"),
      /expected a string, found a number that is not shown here: a text has quotes/,
    ],
    ["{ allowedHosts: ['Gateway:80'] }", /expected a host name/],
    ["{ port: 1883 }", /http\.port: 1883 is the port of mqtt as well/],
    ["{ tls: { certificate: a } }", /tls needs this key/],
  ];
  for (const [http, message] of cases) {
    const said = await messageOf(http);
    assert.match(said, message);
    assert.doesNotMatch(said, /weir_0123|short-and-known|12345/);
  }
});
