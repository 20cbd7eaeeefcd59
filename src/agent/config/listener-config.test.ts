import assert from "node:assert/strict";
import { test } from "node:test";
import { explain } from "./explain.ts";
import { listenersOf } from "./listener-config.ts";
import { type ParsedConfig, parseConfig } from "./parse.ts";

const source = "version: 1\nsources: [{ name: s, topics: ['a/{b}'] }]\n";

function parse(mqtt: string): Promise<ParsedConfig> {
  return parseConfig(`${source}mqtt: ${mqtt}\n`, {
    file: "/etc/weir/weir.yaml",
    cwd: "/",
    env: {},
    readFile: () => assert.fail("no file is read"),
  });
}

async function configOf(mqtt: string): Promise<Extract<ParsedConfig, { kind: "config" }>> {
  const parsed = await parse(mqtt);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed;
}

async function messageOf(mqtt: string): Promise<string> {
  const parsed = await parse(mqtt);
  assert.ok(parsed.kind === "faults", `${mqtt} is taken`);
  return parsed.faults.map(({ text }) => text).join("\n");
}

const pem = "certificate: server.crt, key: /keys/server.key";
const users = "users: [{ name: pump, password: word }]";

test("listeners stand beside the plain one, their files beside the configuration", async () => {
  const { config } = await configOf(`
  listeners:
    - { host: 0.0.0.0, port: 8883, tls: { ${pem}, clientCa: ca.crt, crl: gone.pem } }
    - { host: "::1", port: 8084, webSocket: /mqtt, allowedOrigins: ["https://plant.example"] }
`);
  assert.deepEqual(listenersOf(config.mqtt), [
    { host: "127.0.0.1", port: 1883 },
    {
      host: "0.0.0.0",
      port: 8883,
      tls: {
        certificateFile: "/etc/weir/server.crt",
        keyFile: "/keys/server.key",
        clientCaFile: "/etc/weir/ca.crt",
        clientCertificate: "required",
        crlFile: "/etc/weir/gone.pem",
      },
    },
    {
      host: "::1",
      port: 8084,
      webSocket: { path: "/mqtt", allowedOrigins: ["https://plant.example"] },
    },
  ]);
  assert.equal(config.mqtt.anonymous, true);
  const text = explain(config);
  assert.match(text, /mqtt +127\.0\.0\.1:1883\n/);
  assert.match(text, /mqtt +0\.0\.0\.0:8883, TLS, client certificates required and looked up/);
  assert.match(text, /mqtt +::1:8084, WebSocket at \/mqtt\n/);
});

test("the plain listener can be turned off", async () => {
  const listener = `{ host: 0.0.0.0, port: 8883, tls: { ${pem}, clientCa: ca.crt } }`;
  const { config } = await configOf(`{ port: off, listeners: [${listener}] }`);
  assert.deepEqual(
    listenersOf(config.mqtt).map(({ port }) => port),
    [8883],
  );
  assert.deepEqual(listenersOf((await configOf("{ port: off }")).config.mqtt), []);
});

test("a listener that others can reach is locked, or open on purpose", async () => {
  const open = `listeners: [{ host: 0.0.0.0, port: 8883, tls: { ${pem} } }]`;
  const refused = await messageOf(`{ ${open} }`);
  assert.match(refused, /listeners\[0\]\.host: 0\.0\.0\.0 can be reached .* require client certif/);
  const optional = open.replace(pem, `${pem}, clientCa: a.crt, clientCertificate: optional`);
  assert.match(await messageOf(`{ ${optional} }`), /can be reached from other machines/);
  assert.equal((await configOf(`{ ${open}, ${users} }`)).config.mqtt.anonymous, false);
  assert.equal((await configOf(`{ ${open}, anonymous: true }`)).config.mqtt.anonymous, true);
  const required = open.replace(pem, `${pem}, clientCa: a.crt`);
  assert.deepEqual((await configOf(`{ ${required} }`)).warnings.join("\n").match(/mqtt/g), null);
});

test("a password that would cross the network as it is, is warned of", async () => {
  const ws = "listeners: [{ host: 0.0.0.0, port: 8084, webSocket: /mqtt }]";
  for (const mqtt of [`{ host: 0.0.0.0, ${users} }`, `{ ${ws}, ${users} }`]) {
    assert.match((await configOf(mqtt)).warnings.join("\n"), /passwords cross the network as they/);
  }
  const tls = `listeners: [{ host: 0.0.0.0, port: 8883, tls: { ${pem} } }]`;
  const { warnings } = await configOf(`{ ${tls}, ${users} }`);
  assert.doesNotMatch(warnings.join("\n"), /passwords cross/);
});

test("what contradicts itself says what to do", async () => {
  const on = (rest: string): string => `{ listeners: [{ host: 127.0.0.1, port: 8883${rest} }] }`;
  const cases: readonly (readonly [string, RegExp])[] = [
    [on(""), /listeners\[0\]: a listener beside the plain one has tls, webSocket or both/],
    [on(`, tls: { ${pem}, clientCertificate: required }`), /need clientCa/],
    [on(`, tls: { ${pem}, clientCertificate: optional }`), /need clientCa/],
    [on(`, tls: { ${pem}, clientCa: a, clientCertificate: none }`), /clientCa is for client cert/],
    [on(`, tls: { ${pem}, crl: a }`), /crl is for client certificates/],
    [on(`, tls: { ${pem} }, allowedOrigins: ["https://a"]`), /only web pages have an origin/],
    [on(`, webSocket: mqtt`), /expected a path such as \/mqtt/],
    [on(`, webSocket: /mqtt, allowedOrigins: ["https://a/"]`), /expected a site such as/],
    [on(`, webSocket: /mqtt, allowedOrigins: ["*"]`), /expected a site such as/],
    [on(`, tls: { certificate: a }`), /tls needs this key/],
    [
      "{ port: 8883, listeners: [{ host: h, port: 8883, webSocket: /m }] }",
      /port of mqtt\.port al/,
    ],
    ["{ port: on }", /expected off, or a whole number/],
  ];
  for (const [mqtt, message] of cases) assert.match(await messageOf(mqtt), message);
});
