import assert from "node:assert/strict";
import { test } from "node:test";
import { explain } from "./explain.ts";
import { parseConfig, type ParsedConfig } from "./parse.ts";

function parse(broker: string, source = "broker: site"): Promise<ParsedConfig> {
  const text = `version: 1
agent: gw1
brokers:
  - { name: site, ${broker} }
sources: [{ name: plant, ${source}, topics: ["plant/{device}/state"] }]
`;
  return parseConfig(text, {
    file: "/etc/weir/weir.yaml",
    cwd: "/",
    env: { SECRET: "hush-hush", VERSION: "5" },
    readFile: () => assert.fail("no file is read"),
  });
}

async function configOf(broker: string) {
  const parsed = await parse(broker);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed;
}

async function faultsOf(broker: string, source?: string): Promise<string> {
  const parsed = await parse(broker, source);
  assert.ok(parsed.kind === "faults", "the configuration has faults");
  return parsed.faults.map(({ text }) => text).join("\n");
}

test("an address is all that a broker needs", async () => {
  const { config } = await configOf('urls: ["mqtt://10.0.0.5"]');
  assert.deepEqual(config.brokers, [
    {
      name: "site",
      addresses: [{ url: "mqtt://10.0.0.5", connect: { host: "10.0.0.5", port: 1_883 } }],
      level: 5,
      clientId: "weir-gw1-site",
      sessionMs: 604_800_000,
      user: undefined,
      password: undefined,
      keepAliveMs: 30_000,
      answerMs: 10_000,
      qos: 1,
      receiveMax: 1_000,
      share: undefined,
      canary: undefined,
    },
  ]);
  assert.equal(config.sources[0]?.broker, "site");
});

test("everything else is taken as it is set", async () => {
  const { config, warnings } = await configOf(
    'urls: ["mqtt://[::1]:1884", "mqtt://broker.example"], version: 3.1.1, clientId: me, session: clean, user: u, password: "${SECRET}", keepAlive: 1m, answerWait: 2s, qos: 2, inFlight: 50, share: g, canary: 30s',
  );
  const [broker] = config.brokers;
  assert.deepEqual(broker, {
    name: "site",
    addresses: [
      { url: "mqtt://[::1]:1884", connect: { host: "::1", port: 1_884 } },
      { url: "mqtt://broker.example", connect: { host: "broker.example", port: 1_883 } },
    ],
    level: 4,
    clientId: "me",
    sessionMs: undefined,
    user: "u",
    password: "hush-hush",
    keepAliveMs: 60_000,
    answerMs: 2_000,
    qos: 2,
    receiveMax: 50,
    share: "g",
    canary: { topic: "weir/gw1/canary/site", everyMs: 30_000 },
  });
  assert.match(warnings.join("\n"), /urls\[1\]: the password goes as it is/);
  assert.match(warnings.join("\n"), /session: clean: what is published while we are away is gone/);
  assert.ok(!explain(config).includes("hush"), "a password is not explained");
});

test("an mqtts address is with TLS, its files relative to the configuration", async () => {
  const { config, warnings } = await configOf(
    'urls: ["mqtts://broker.example", "mqtt://broker.example"], user: u, password: p, tls: { ca: pki/ca.pem, certificate: /own.pem, key: own.key, serverName: broker }',
  );
  assert.deepEqual(config.brokers[0]?.addresses[0]?.connect, {
    host: "broker.example",
    port: 8_883,
    tls: {
      caFile: "/etc/weir/pki/ca.pem",
      certificateFile: "/own.pem",
      keyFile: "/etc/weir/own.key",
      serverName: "broker",
    },
  });
  assert.deepEqual(config.brokers[0]?.addresses[1]?.connect, {
    host: "broker.example",
    port: 1_883,
  });
  assert.match(warnings.join("\n"), /urls\[1\]: the password/);
  assert.doesNotMatch(warnings.join("\n"), /urls\[0\]/);
});

test("WebSocket addresses have a path, and the usual one where none is written", async () => {
  const { config } = await configOf('urls: ["ws://a", "wss://b/", "ws://c:9001/x/y?z=1"]');
  assert.deepEqual(
    config.brokers[0]?.addresses.map(({ connect }) => connect),
    [
      { host: "a", port: 80, webSocket: { path: "/mqtt" } },
      { host: "b", port: 443, tls: {}, webSocket: { path: "/mqtt" } },
      { host: "c", port: 9_001, webSocket: { path: "/x/y?z=1" } },
    ],
  );
});

test("the version may come from outside", async () => {
  const { config } = await configOf('urls: ["mqtt://a"], version: "${VERSION}"');
  assert.equal(config.brokers[0]?.level, 5);
});

for (const [broker, finding] of [
  ["urls: ['ws:a']", /urls\[0\]: expected an address such as mqtt:/],
  ["urls: [10.0.0.5]", /urls\[0\]: expected an address such as mqtt:/],
  ['urls: ["http://a"]', /urls\[0\]: http:\/\/ is none of mqtt, mqtts, ws and wss/],
  ['urls: ["mqtt://a/b"]', /urls\[0\]: expected an address .* without a path/],
  ['urls: ["mqtt://a"], tls: {}', /tls: no address is with TLS/],
  ['urls: ["mqtts://a"], tls: { key: k }', /tls: a client certificate needs .* both/],
  [
    "urls: []",
    /urls: expected a list, with one item at least, such as - "mqtt:\/\/.*", found an empty list/,
  ],
  ['urls: ["mqtt://a"], version: 4', /version: expected 5 or 3\.1\.1, found the number 4/],
  ['urls: ["mqtt://a"], password: x', /password: a password is a user's: set user too/],
  ['urls: ["mqtt://a"], session: forever', /session: expected/],
  ['urls: ["mqtt://a"], inflight: 3', /unknown key; did you mean "inFlight"/],
] as const) {
  test(`a broker with ${broker} is refused`, async () => {
    assert.match(await faultsOf(broker), finding);
  });
}

test("a login in an address is refused without showing it, however it is written", async () => {
  for (const url of [
    "mqtt://weir:geheim@10.0.0.5",
    "ws:weir:geheim@10.0.0.5",
    "wss:////weir:geheim@10.0.0.5/mqtt",
    String.raw`ws:\\\\weir:geheim@10.0.0.5`,
  ]) {
    const faults = await faultsOf(`urls: ["${url}"]`);
    assert.match(faults, /no login in the address/, url);
    assert.ok(!faults.includes("geheim"), url);
  }
});

test("what a query says to the broker is sent and not shown", async () => {
  const { config, warnings } = await configOf('urls: ["wss://a/mqtt?key=geheim"]');
  const [address] = config.brokers[0]!.addresses;
  assert.equal(address?.connect.webSocket?.path, "/mqtt?key=geheim");
  assert.equal(address?.url, "wss://a/mqtt?...");
  assert.ok(!(explain(config) + warnings.join()).includes("geheim"));
});

test("a source of a broker that is not there is refused", async () => {
  assert.match(
    await faultsOf('urls: ["mqtt://a"]', "broker: sit"),
    /sources\[0\]\.broker: no broker has the name "sit"; did you mean "site"/,
  );
});

test("topics of two brokers do not overlap, however they are written", async () => {
  const parsed = await parseConfig(
    `version: 1
brokers: [{ name: a, urls: ["mqtt://a"] }, { name: b, urls: ["mqtt://b"] }]
sources:
  - { name: one, broker: a, topics: ["plant/#"] }
  - { name: two, broker: b, topics: ["plant/#"] }
  - { name: three, topics: ["plant/#"] }
  - { name: four, broker: b, topics: ["plant/x"] }
`,
    { file: "weir.yaml", cwd: "/", env: {}, readFile: () => "" },
  );
  assert.ok(parsed.kind === "config");
  const overlaps = parsed.warnings.filter((text) => text.includes("match this as well"));
  assert.equal(overlaps.length, 1);
  assert.match(overlaps[0]!, /sources\[3\]/);
});

test("two brokers at one address need two client ids", async () => {
  const parsed = await parseConfig(
    `version: 1
brokers: [{ name: a, urls: ["mqtt://x"], clientId: me }, { name: b, urls: ["mqtt://x"], clientId: me }]
sources: [{ name: one, broker: a, topics: ["t"] }, { name: two, broker: b, topics: ["t"] }]
`,
    { file: "weir.yaml", cwd: "/", env: {}, readFile: () => "" },
  );
  assert.ok(parsed.kind === "faults");
  assert.match(parsed.faults[0]!.text, /brokers\[1\]\.clientId: brokers\[0\] has this client id/);
});

test("a bridge and a broker at one address need two client ids", async () => {
  const parsed = await parseConfig(
    `version: 1
agent: gw1
brokers: [{ name: bridge, urls: ["mqtt://y", "mqtt://x:1883"] }]
sources: [{ name: one, broker: bridge, topics: ["t"] }]
uplinks: [{ mqtt: { url: "mqtt://x" } }]
`,
    { file: "weir.yaml", cwd: "/", env: {}, readFile: () => "" },
  );
  assert.ok(parsed.kind === "faults", "both would be weir-gw1-bridge");
  const [fault] = parsed.faults;
  assert.match(fault!.text, /uplinks\[0\]\.mqtt\.clientId: brokers\[0\] has this client id/);
});

test("a user name or password that no CONNECT can carry is refused without showing it", async () => {
  const long = "ü".repeat(33_000); // a file that was not meant, say
  for (const [what, broker] of [
    ["user", `user: ${long}`],
    ["password", `user: u, password: ${long}`],
  ] as const) {
    const faults = await faultsOf(`urls: ["mqtt://10.0.0.5"], ${broker}`);
    assert.match(faults, new RegExp(`brokers\\[0\\]\\.${what}: .*at most 65535 bytes`));
    assert.ok(!faults.includes("üü"));
  }
});
