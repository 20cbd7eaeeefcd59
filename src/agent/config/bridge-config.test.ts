import assert from "node:assert/strict";
import { test } from "node:test";
import type { BridgeUplinkConfig } from "./bridge-config.ts";
import { explain } from "./explain.ts";
import { parseConfig, type ParsedConfig } from "./parse.ts";

const begin =
  'version: 1\nagent: gw1\nsources: [{ name: plant, topics: ["plant/{device}"] }]\npipelines: [{ name: temp, key: [device], window: { tumbling: 10s } }]\n';

function parse(bridge: string, head: string = begin): Promise<ParsedConfig> {
  const text = `${head}uplinks:\n  - mqtt: ${bridge}\n`;
  return parseConfig(text, {
    file: "/etc/weir/weir.yaml",
    cwd: "/",
    env: { WORD: "the-word-of-the-bridge" },
    readFile: () => "",
  });
}

async function bridgeOf(bridge: string): Promise<BridgeUplinkConfig> {
  const parsed = await parse(bridge);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  const [uplink] = parsed.config.uplinks;
  assert.ok(uplink?.kind === "mqtt");
  return uplink;
}

async function faultsOf(bridge: string, head?: string): Promise<string> {
  const parsed = await parse(bridge, head);
  assert.ok(parsed.kind === "faults", "there are faults");
  return parsed.faults.map(({ text }) => text.replace("/etc/weir/weir.yaml:", "")).join("\n");
}

test("a bridge needs an address; everything else has a default", async () => {
  assert.deepEqual(await bridgeOf("{ url: mqtt://10.0.0.5 }"), {
    kind: "mqtt",
    url: "mqtt://10.0.0.5",
    address: { host: "10.0.0.5", port: 1883 },
    level: 5,
    clientId: "weir-gw1-bridge",
    user: undefined,
    password: undefined,
    topics: {
      summaries: "weir/{agent}/summary/{pipeline}",
      alerts: "weir/{agent}/alert/{pipeline}",
      raw: "weir/{agent}/raw",
      status: "weir/{agent}/status",
    },
    retain: false,
    attributes: "cloudevents",
    statusMs: 60_000,
    lingerMs: 1_000,
    batchBytesMax: 262_144,
    keepAliveMs: 60_000,
    connectMs: 10_000,
    answerMs: 30_000,
  });
});

test("addresses may be plain, with TLS, and WebSockets of both kinds", async () => {
  const tls = "tls: { ca: ca.pem, certificate: me.pem, key: me-key.pem, serverName: cloud }";
  const addressOf = async (text: string) => (await bridgeOf(`{ url: "${text}" }`)).address;
  assert.deepEqual((await bridgeOf(`{ url: "mqtts://[fd00::1]", ${tls} }`)).address, {
    host: "fd00::1",
    port: 8883,
    tls: {
      caFile: "/etc/weir/ca.pem",
      certificateFile: "/etc/weir/me.pem",
      keyFile: "/etc/weir/me-key.pem",
      serverName: "cloud",
    },
  });
  assert.deepEqual(await addressOf("wss://cloud.example"), {
    host: "cloud.example",
    port: 443,
    tls: {},
    webSocket: { path: "/mqtt" },
  });
  assert.deepEqual(await addressOf("ws://127.0.0.1:9001/x?y"), {
    host: "127.0.0.1",
    port: 9001,
    webSocket: { path: "/x?y" },
  });
});

test("MQTT 3.1.1 has no properties", async () => {
  const { level, attributes } = await bridgeOf("{ url: mqtt://a, version: 3.1.1 }");
  assert.deepEqual([level, attributes], [4, "none"]);
});

test("contradictions are named with their place", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      "{ url: http://a }",
      /6:18: uplinks\[0\]\.mqtt\.url: http:\/\/ is none of mqtt, mqtts, ws and wss/,
    ],
    ["{ url: mqtt://a/path }", /expected an address/],
    ["{ url: mqtt://me:hush@a }", /no login in the address: user and password are it/],
    ["{ url: 'ws:me:hush@a' }", /no login in the address: user and password are it/],
    ["{ url: mqtt://a, password: x }", /set user too/],
    ["{ url: mqtt://a, tls: {} }", /no address is with TLS: mqtts/],
    ["{ url: mqtts://a, tls: { key: k } }", /certificate and key, both of them/],
    ["{ url: mqtt://a, topics: { alerts: 'a/#' } }", /no \+ and no #/],
    ["{ url: mqtt://a, topics: { alerts: 'a/{device}' } }", /may be \{agent\} and \{pipeline\}/],
    ["{ url: mqtt://a, topics: { status: 'a/{pipeline}' } }", /may be \{agent\}$/m],
    ["{ url: mqtt://a, topics: { summaries: $SYS/x } }", /the broker's own/],
    ["{ url: mqtt://a }\n  - mqtt: { url: mqtt://a }", /goes to this broker already/],
    ["{ url: mqtt://a }\n    file: { directory: out }", /one of file, kafka, mqtt and http/],
    ["{ urls: mqtt://a }", /did you mean "url"/],
  ];
  for (const [text, why] of cases) assert.match(await faultsOf(text), why, text);
  for (const url of ["mqtt://me:hush@a", "'ws:me:hush@a'"]) {
    assert.doesNotMatch(await faultsOf(`{ url: ${url} }`), /hush/);
  }
  const unnamed = begin.replace("agent: gw1\n", "");
  assert.match(await faultsOf("{ url: mqtt://a }", unnamed), /needs a name of its own/);
});

test("an open password is warned of, and no password is ever shown", async () => {
  const parsed = await parse('{ url: mqtt://far.example, user: gw1, password: "${WORD}" }');
  assert.ok(parsed.kind === "config");
  assert.match(parsed.warnings.join("\n"), /anyone on the way can read it: use mqtts/);
  assert.doesNotMatch(parsed.warnings.join("\n") + explain(parsed.config), /the-word/);
  assert.match(explain(parsed.config), /MQTT 5 at mqtt:\/\/far\.example as weir-gw1-bridge/);
});

test("a source that takes what the bridge publishes is warned of", async () => {
  const head = begin.replace("plant/{device}", "out/{device}/{y}");
  const parsed = await parse(
    '{ url: mqtt://a, topics: { summaries: "out/{agent}/{pipeline}" } }',
    head,
  );
  assert.ok(parsed.kind === "config");
  assert.match(parsed.warnings.join("\n"), /out\/gw1\/temp is published by this agent itself/);
});
