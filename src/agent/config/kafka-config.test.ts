import assert from "node:assert/strict";
import { test } from "node:test";
import { explain } from "./explain.ts";
import { kafkaUplinkDefaults } from "./kafka-config.ts";
import { parseConfig, type ParsedConfig } from "./parse.ts";

function parse(uplink: string, agent = "gw1"): Promise<ParsedConfig> {
  const text = `version: 1
agent: ${agent}
sources: [{ name: plant, topics: ["plant/{device}/state"] }]
pipelines: [{ name: all, key: [device], window: { tumbling: 10s } }]
uplinks:
${uplink}
`;
  return parseConfig(text, {
    file: "/etc/weir/weir.yaml",
    cwd: "/",
    env: { SECRET: "hush" },
    readFile: () => assert.fail("no file is read"),
  });
}

async function faultsOf(uplink: string, agent?: string): Promise<readonly string[]> {
  const parsed = await parse(uplink, agent);
  assert.ok(parsed.kind === "faults", "the configuration has faults");
  return parsed.faults.map(({ text }) => text.replace("/etc/weir/weir.yaml:", ""));
}

async function configOf(uplink: string) {
  const parsed = await parse(uplink);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed.config;
}

test("brokers are all that an uplink to Kafka needs", async () => {
  const { uplinks } = await configOf("  - kafka: { brokers: ['localhost:9092'] }");
  assert.deepEqual(uplinks, [{ ...kafkaUplinkDefaults, brokers: ["localhost:9092"] }]);
});

test("everything else is taken as it is set, paths relative to the file", async () => {
  const config = await configOf(`  - kafka:
      brokers: ["k1.example:9093", "[::1]:9093"]
      delivery: upsert
      format: avro-confluent
      headers: minimal
      compression: lz4
      topics: { summaries: s, alerts: a, cursor: c, create: false, partitions: 6, replication: 3 }
      schemas: { summary: 17, alert: 18 }
      linger: 5s
      batch: 100KiB
      record: 50KiB
      timeouts: { connect: 3s, request: 4s, transaction: 5s }
      tls: { ca: ca.pem, certificate: /pki/own.pem, key: own.key, serverName: kafka }
      sasl: { mechanism: SCRAM-SHA-512, user: gw1, password: "\${SECRET}" }`);
  const { uplinks } = config;
  assert.deepEqual(uplinks[0], {
    kind: "kafka",
    brokers: ["k1.example:9093", "[::1]:9093"],
    delivery: "upsert",
    format: "avro-confluent",
    headers: "minimal",
    compression: "lz4",
    topics: {
      summaries: "s",
      alerts: "a",
      raw: "weir.raw",
      cursor: "c",
      create: false,
      partitions: 6,
      replication: 3,
      cursorPartitions: 50,
    },
    schemas: { summary: 17, alert: 18 },
    registry: undefined,
    savepoints: undefined,
    lingerMs: 5_000,
    batchBytesMax: 102_400,
    recordBytesMax: 51_200,
    connectMs: 3_000,
    requestMs: 4_000,
    transactionMs: 5_000,
    security: {
      tls: {
        ca: "/etc/weir/ca.pem",
        certificate: "/pki/own.pem",
        key: "/etc/weir/own.key",
        serverName: "kafka",
      },
      sasl: { mechanism: "SCRAM-SHA-512", user: "gw1", password: "hush" },
    },
  });
  const explained = explain(config);
  assert.match(
    explained,
    /Kafka at k1\.example:9093, \[::1\]:9093, TLS with .* own, login by SCRAM-SHA-512, at least once/,
  );
  assert.doesNotMatch(explained, /hush/);
});

test("commands come from a topic of their own", async () => {
  const at = (commands: string): string =>
    `  - kafka: { brokers: ["k:9092"], commands: ${commands} }`;
  const { uplinks } = await configOf(at("{ topic: asks }"));
  const [uplink] = uplinks;
  assert.ok(uplink?.kind === "kafka");
  assert.deepEqual(uplink.commands, { topic: "asks", poll: 10_000 });
  const [fault, ...more] = await faultsOf(at("{ topic: weir.raw, poll: 1m }"));
  assert.match(
    fault ?? "",
    /commands\.topic: records go there: commands need a topic of their own/,
  );
  assert.deepEqual(more, []);
});

test("addresses say where brokers are reached", async () => {
  const { uplinks } = await configOf(
    `  - kafka: { brokers: ["k1.plant:9092"], addresses: { "k1.plant:9092": "localhost:19092" } }`,
  );
  const addresses = { "k1.plant:9092": "localhost:19092" };
  assert.deepEqual(uplinks, [{ ...kafkaUplinkDefaults, brokers: ["k1.plant:9092"], addresses }]);
});

test("what contradicts itself is refused where it stands", async () => {
  const kafka = (rest: string): string => `  - kafka: { brokers: ["localhost:9092"], ${rest} }`;
  const cases: readonly (readonly [string, RegExp])[] = [
    [kafka("format: avro-confluent"), /kafka\.format: Avro needs the ids of its schemas/],
    [kafka("schemas: { summary: 1, alert: 2 }"), /kafka\.schemas: JSON has no schema/],
    [kafka("tls: { certificate: a.pem }"), /kafka\.tls: a client certificate needs .* both/],
    [kafka("sasl: { mechanism: PLAIN, user: a }"), /kafka\.sasl: PLAIN needs user and password/],
    [kafka("sasl: { mechanism: OAUTHBEARER }"), /kafka\.sasl: OAUTHBEARER needs tokenFile/],
    [kafka("record: 1MiB"), /kafka\.record: a record must fit into a transaction/],
    [
      kafka(
        "format: avro-confluent, schemas: { summary: 1, alert: 2 }, registry: { url: http://r }",
      ),
      /kafka\.registry: the ids are in schemas already/,
    ],
    [
      kafka("format: avro-confluent, registry: { url: 'https://bob:hush@r' }"),
      /registry\.url: no login in the address: registry\.user and registry\.password/,
    ],
    [
      kafka("format: avro-confluent, registry: { url: 'https://bob@r' }"),
      /registry\.url: no login in the address/,
    ],
    [kafka("topics: { summaries: x, alerts: x }"), /kafka\.topics: each of the four needs its own/],
    [kafka("timeouts: { request: 60s }"), /timeouts\.request: a request must be given up before/],
    ["  - kafka: { brokers: ['localhost'] }", /brokers\[0\]: expected an address such as/],
    [
      "  - kafka: { brokers: [] }",
      /brokers: expected a list, with one .* such as - kafka.example:9092, found an empty list/,
    ],
    ["  - kafka: { brokers: ['localhost:99999'] }", /brokers\[0\]: 99999 is no port/],
    [
      kafka("addresses: { 'k1:9092': 'localhost:70000' }"),
      /kafka\.addresses\["k1:9092"\]: 70000 is no port/,
    ],
    [
      kafka("addresses: { 'k1:9092': tunnel }"),
      /addresses\["k1:9092"\]: expected an address such as/,
    ],
    [kafka("topics: { partitions: 0 }"), /topics\.partitions: at least 1, or -1/],
    ["  - {}", /uplinks\[0\]: each uplink is one of file, kafka, mqtt and http/],
    [`${kafka("")}\n${kafka("")}`, /uplinks\[1\]: uplinks\[0\] is kafka already/],
  ];
  for (const [text, expected] of cases) {
    const faults = await faultsOf(text);
    assert.equal(faults.length, 1, `${text}: ${faults.join("\n")}`);
    assert.match(faults[0]!, expected);
    assert.doesNotMatch(faults[0]!, /hush/);
  }
});

test("a login that others on the way can read is a warning", async () => {
  const token = "sasl: { mechanism: OAUTHBEARER, tokenFile: t }";
  const password = "sasl: { mechanism: PLAIN, user: a, password: hush }";
  const registry = (url: string): string =>
    `format: avro-confluent, registry: { url: "${url}", user: a, password: hush }`;
  const cases: readonly (readonly [broker: string, rest: string, expected: RegExp | undefined])[] =
    [
      ["k1:9092", token, /sasl\.mechanism: OAUTHBEARER sends the token as it is: use tls/],
      ["k1:9092", password, /sasl\.mechanism: PLAIN sends the password as it is/],
      ["k1:9092", `${token}, tls: {}`, undefined],
      ["[::1]:9092", token, undefined],
      ["k1:9092", registry("http://r:8081"), /registry\.url: http sends the login as it is/],
      ["k1:9092", registry("https://r:8081"), undefined],
      ["k1:9092", registry("http://[::1]:8081"), undefined],
      ["k1:9092", 'format: avro-confluent, registry: { url: "http://r" }', undefined],
    ];
  for (const [broker, rest, expected] of cases) {
    const parsed = await parse(`  - kafka: { brokers: ["${broker}"], ${rest} }`);
    assert.ok(parsed.kind === "config", JSON.stringify(parsed));
    const warnings = parsed.warnings.join("\n");
    if (expected === undefined) assert.doesNotMatch(warnings, /as it is/, rest);
    else assert.match(warnings, expected);
    assert.doesNotMatch(warnings, /hush/);
  }
});

test("an agent that sends to Kafka has a name of its own", async () => {
  const faults = await faultsOf("  - kafka: { brokers: ['localhost:9092'] }", "weir");
  assert.match(faults.join("\n"), /agent: an agent that sends to Kafka needs a name of its own/);
});

test("files and Kafka go together; one folder twice does not", async () => {
  const both = "  - kafka: { brokers: ['localhost:9092'] }\n  - file: { directory: out }";
  assert.equal((await configOf(both)).uplinks.length, 2);
  const twice = "  - file: { directory: out }\n  - file: { directory: out }";
  assert.match((await faultsOf(twice)).join("\n"), /uplinks\[0\] writes to this directory already/);
});
