import assert from "node:assert/strict";
import { test } from "node:test";
import { explain } from "./explain.ts";
import { parseConfig, type ParsedConfig } from "./parse.ts";
import type { PostUplinkConfig } from "./post-config.ts";

const begin =
  'version: 1\nagent: gw1\nsources: [{ name: plant, topics: ["plant/{device}"] }]\npipelines: [{ name: temp, key: [device], window: { tumbling: 10s } }]\n';

function parse(http: string, head: string = begin): Promise<ParsedConfig> {
  return parseConfig(`${head}uplinks:\n  - http: ${http}\n`, {
    file: "/etc/weir/weir.yaml",
    cwd: "/",
    env: { WORD: "the-word-of-the-endpoint", ODD: "two words\n" },
    readFile: () => "",
  });
}

async function postOf(http: string): Promise<PostUplinkConfig> {
  const parsed = await parse(http);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  const [uplink] = parsed.config.uplinks;
  assert.ok(uplink?.kind === "http");
  return uplink;
}

async function faultsOf(http: string, head?: string): Promise<string> {
  const parsed = await parse(http, head);
  assert.ok(parsed.kind === "faults", `there are faults in ${http}`);
  return parsed.faults.map(({ text }) => text.replace("/etc/weir/weir.yaml:", "")).join("\n");
}

test("an endpoint needs an address; everything else has a default", async () => {
  assert.deepEqual(await postOf("{ url: https://in.example/records }"), {
    kind: "http",
    url: "https://in.example/records",
    address: { host: "in.example", port: 443, tls: {} },
    host: "in.example",
    path: "/records",
    headers: {},
    login: undefined,
    format: "ndjson",
    compress: "none",
    lingerMs: 1_000,
    batchBytesMax: 262_144,
    connectMs: 10_000,
    answerMs: 30_000,
  });
});

test("addresses, headers, logins and files are as they are used", async () => {
  const tls = "tls: { ca: ca.pem, certificate: me.pem, key: me-key.pem, serverName: in }";
  const secured = await postOf(`{ url: "https://[fd00::1]:8443/a?key=x", ${tls}, token: abc }`);
  assert.deepEqual(
    [secured.url, secured.host, secured.path],
    ["https://[fd00::1]:8443/a?...", "[fd00::1]:8443", "/a?key=x"],
  );
  assert.deepEqual(secured.address, {
    host: "fd00::1",
    port: 8443,
    tls: {
      caFile: "/etc/weir/ca.pem",
      certificateFile: "/etc/weir/me.pem",
      keyFile: "/etc/weir/me-key.pem",
      serverName: "in",
    },
  });
  assert.deepEqual(secured.login, { kind: "bearer", token: "abc" });
  const byFile = await postOf(
    "{ url: http://127.0.0.1:99, tokenFile: token, headers: { X-Key: k } }",
  );
  assert.deepEqual(byFile.login, { kind: "bearerFile", file: "/etc/weir/token" });
  assert.deepEqual([byFile.headers, byFile.path], [{ "x-key": "k" }, "/"]);
  const basic = await postOf("{ url: https://a, user: gw, password: p }");
  assert.deepEqual(basic.login, { kind: "basic", user: "gw", password: "p" });
});

test("contradictions are named with their place", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["{ url: mqtt://a }", /6:18: uplinks\[0\]\.http\.url: mqtt:\/\/ is neither https nor http/],
    ["{ url: in.example/records }", /expected an address such as https:/],
    ["{ url: https://me:hush@a }", /no login in the address/],
    ["{ url: 'https:me:hush@a' }", /no login in the address/],
    ["{ url: https://a, password: x }", /set user too/],
    ["{ url: https://a, user: a, token: x }", /one login is enough, not token and user/],
    ["{ url: https://a, token: x, tokenFile: y }", /not token and tokenFile/],
    ['{ url: https://a, user: "a:b" }', /a user name with a colon cannot be sent/],
    ['{ url: https://a, token: "${ODD}" }', /visible ASCII characters only/],
    ["{ url: http://a, tls: {} }", /the address is without TLS: https/],
    ["{ url: https://a, tls: { key: k } }", /certificate and key, both of them/],
    ["{ url: https://a, headers: { Content-Type: x } }", /says what a POST carries/],
    ["{ url: https://a, headers: { 'a b': x } }", /this is no name of a header/],
    ['{ url: https://a, headers: { a: "${ODD}" } }', /headers\.a: its value has visible ASCII/],
    ["{ url: https://a, headers: { a: x, A: y } }", /this header is there already/],
    ["{ url: https://a, token: t, headers: { Authorization: x } }", /login is set already/],
    ["{ url: https://a, headers: { a: [hush] } }", /expected a string, found a list/],
    ["{ url: https://a, format: avro }", /expected one of ndjson, cloudevents/],
    ["{ url: https://a, batch: 2MiB }", /from 4KiB to 1MiB/],
    ["{ url: https://a/b?x }\n  - http: { url: https://a/b?y }", /posts to this address already/],
    ["{ url: https://a }\n    mqtt: { url: mqtt://a }", /one of file, kafka, mqtt and http/],
    ["{ urls: https://a }", /did you mean "url"/],
  ];
  for (const [text, why] of cases) {
    const said = await faultsOf(text);
    assert.match(said, why, text);
    assert.doesNotMatch(said, /hush|two words/, text);
  }
  const unnamed = begin.replace("agent: gw1\n", "");
  assert.match(await faultsOf("{ url: https://a }", unnamed), /sends to an endpoint needs a name/);
});

test("what goes without TLS to another machine is warned of, and no secret is ever shown", async () => {
  const secrets = [
    'token: "${WORD}"',
    'user: gw, password: "${WORD}"',
    'headers: { x: "${WORD}" }',
  ];
  for (const secret of secrets) {
    const parsed = await parse(`{ url: "http://far.example/a?\${WORD}", ${secret} }`);
    assert.ok(parsed.kind === "config", JSON.stringify(parsed));
    const said = parsed.warnings.join("\n");
    assert.match(said, /login and headers go as they are, .*: use https/);
    assert.doesNotMatch(said + explain(parsed.config), /the-word/);
  }
  const plain = await parse("{ url: http://far.example/ }");
  assert.match(
    plain.kind === "config" ? plain.warnings.join() : "",
    /records go as they are, and whoever is on the way can read them or answer in its place/,
  );
  const near = await parse('{ url: "http://127.0.0.1/", token: "${WORD}" }');
  assert.deepEqual(near.kind === "config" && near.warnings, []);
  const wrong = await faultsOf(
    '{ url: https://a, headers: { x: 7, y: "${WORD} ü" }, token: "${ODD}" }',
  );
  assert.doesNotMatch(wrong, /the-word|two words/);
});

test("it is explained in a line", async () => {
  const parsed = await parse("{ url: https://in.example/records, token: x, compress: gzip }");
  assert.ok(parsed.kind === "config");
  assert.match(
    explain(parsed.config),
    /POST to https:\/\/in\.example\/records, TLS, login by token, at least once: ndjson, gzip; summaries wait 1s/,
  );
});
