import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../core/limits.ts";
import { type Config, dataflowSpecOf } from "./config.ts";
import { explain } from "./explain.ts";
import { parseConfig, type ParsedConfig } from "./parse.ts";

type Surroundings = {
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
};

function parse(text: string, { env = {}, files = {} }: Surroundings = {}): Promise<ParsedConfig> {
  return parseConfig(text, {
    file: "/etc/weir/weir.yaml",
    cwd: "/",
    env,
    readFile: (path) => {
      const content = files[path];
      if (content === undefined) throw Object.assign(new Error("missing"), { code: "ENOENT" });
      return content;
    },
  });
}

async function configOf(text: string, surroundings: Surroundings = {}): Promise<Config> {
  const parsed = await parse(text, surroundings);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed.config;
}

/** The faults as `line:column path: message`. */
async function faultsOf(text: string, surroundings: Surroundings = {}): Promise<string[]> {
  const parsed = await parse(text, surroundings);
  assert.ok(parsed.kind === "faults", "the configuration has faults");
  return parsed.faults.map(({ text: all }) => all.replace("/etc/weir/weir.yaml:", ""));
}

const source = `
version: 1
sources:
  - name: plant
    topics: ["plant/{line}/{device}/state"]
`;

test("the smallest configuration is a version and a source; everything else has a default", async () => {
  const config = await configOf(source);
  assert.equal(config.agent, "weir");
  assert.equal(config.dataDirectory, "/etc/weir/weir-data");
  const { quotas: _, ...mqtt } = config.mqtt;
  assert.deepEqual(mqtt, {
    host: "127.0.0.1",
    port: 1883,
    anonymous: true,
    users: [],
    certificates: [],
    anonymousRights: {},
  });
  assert.deepEqual(config.http, { host: "127.0.0.1", port: 8080 });
  assert.deepEqual(config.pipelines, []);
  assert.equal(config.commit.waitMs, limits.commitWaitMs);
  assert.equal(config.logBytesMax, limits.logBytesMax);
  assert.equal(config.sources[0]?.disorderMs, 5_000);
});

test("a longer wait for a sync is for more readings, at the same rate", async () => {
  const rowsOf = async (commit: string): Promise<number> =>
    (await configOf(`${source}commit: ${commit}\n`)).commit.rowsEager;
  assert.equal(await rowsOf("{}"), limits.commitRowsEager);
  assert.equal(await rowsOf("{ latency: low }"), limits.commitRowsEager);
  assert.equal(await rowsOf("{ wait: 50ms }"), limits.commitRowsEager);
  assert.equal(await rowsOf("{ wait: 5s }"), 25 * limits.commitRowsEager);
});

test("the documented example is a configuration without warnings", async () => {
  const text = readFileSync(resolve(import.meta.dirname, "../../../weir.example.yaml"), "utf8");
  const parsed = await parse(text);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  assert.deepEqual(parsed.warnings, []);
  assert.deepEqual(
    parsed.config.pipelines.map(({ kind }) => kind),
    ["window", "window", "window", "ewma", "frequency"],
  );
  assert.deepEqual(parsed.config.pipelines[0], {
    kind: "window",
    name: "temperatures",
    where: { sources: ["plant"], metrics: ["temperature", "temp_*"], tags: {} },
    key: ["device", "line", "metric"],
    window: { kind: "tumbling", sizeMs: 10_000 },
    aggregate: ["count", "mean", "min", "max", "p95"],
    allowedLatenessMs: 60_000,
  });
});

test("an unknown key is an error with its place and the nearest known key", async () => {
  assert.deepEqual(await faultsOf(`${source}agnet: a\n`), [
    '6:1: agnet: unknown key; did you mean "agent"?',
  ]);
  const [fault] = await faultsOf(`${source}mqtt:\n  qqqqqqq: 1\n`);
  assert.equal(
    fault,
    "7:3: mqtt.qqqqqqq: unknown key; known are host, port, listeners, anonymous, users, usersFile, certificates, anonymousRights, quotas, publish",
  );
});

test("a value of the wrong type says what was found and what is expected", async () => {
  const [fault] = await faultsOf(source.replace("name: plant", "name: plant\n    disorder: 5"));
  assert.match(
    fault ?? "",
    /^5:15: sources\[0\]\.disorder: expected a duration such as .*, found the number 5$/,
  );
});

test("every fault is reported, in the order of the file", async () => {
  const faults = await faultsOf(`
version: 3
mqtt: { host: 0.0.0.0, port: 1 }
commit: { latency: low, wait: 1s }
sources:
  - name: plant
    topics: ["a/{b", "x/#/y"]
  - name: plant
    topics: []
pipelines:
  - name: p
    window: { tumbling: 10 }
  - name: q
    where: { sources: [plantt] }
    key: [nothing]
    window: { sliding: 10s, every: 3s, max: 1s }
`);
  const paths = faults.map((fault) => fault.split(" ")[1]?.replace(/:$/, ""));
  assert.deepEqual(paths, [
    "version",
    "mqtt.host",
    "commit.wait",
    "sources[0].topics[0]",
    "sources[0].topics[1]",
    "sources[1].topics",
    "pipelines[0].window.tumbling",
    "pipelines[1].window.every",
    "pipelines[1].window.max",
  ]);
});

test("names that occur twice and sources that nobody has are found", async () => {
  const text = `${source}
  - name: plant
    topics: ["b"]
pipelines:
  - { name: p, key: [metric], window: { tumbling: 10s }, where: { sources: [plnat] } }
  - { name: p, ewma: {} }
`;
  assert.deepEqual(await faultsOf(text), [
    '7:11: sources[1].name: "plant" is the name of sources[0] already',
    '10:77: pipelines[0].where.sources[0]: no source has the name "plnat"; did you mean "plant"?',
    '11:13: pipelines[1].name: "p" is the name of pipelines[0] already',
  ]);
});

test("a key tag must be in a topic of the pipeline's sources", async () => {
  const pipeline = (key: string): string =>
    `${source}pipelines:\n  - { name: p, key: [${key}], window: { tumbling: 10s } }\n`;
  const [fault] = await faultsOf(pipeline("line, devise"));
  assert.match(
    fault ?? "",
    /pipelines\[0\]\.key\[1\]: no topic .* "devise"; did you mean "device"\?$/,
  );
  assert.equal((await configOf(pipeline("line, metric"))).pipelines.length, 1);
});

test("a window that would keep too many panes per key is refused with the sum", async () => {
  const [fault] = await faultsOf(
    `${source}pipelines:\n  - { name: p, key: [device], window: { sliding: 2h, every: 1s } }\n`,
  );
  assert.match(
    fault ?? "",
    /pipelines\[0\]\.window: 7209 panes per key would be kept, at most 4096/,
  );
});

test("a pipeline has exactly one computation, and only what belongs to it", async () => {
  const faults = await faultsOf(`${source}pipelines:
  - { name: a }
  - { name: b, window: { tumbling: 1s }, ewma: {} }
  - { name: c, key: [line], aggregate: [count], ewma: {} }
  - { name: d, frequency: {} }
  - { name: e, key: [], window: {} }
  - { name: f, window: { tumbling: 1s } }
  - { name: g, key: [], window: { tumbling: 1s }, raw: {} }
`);
  assert.deepEqual(
    faults.map((fault) => fault.replace(/^\d+:\d+: /, "")),
    [
      "pipelines[0]: this pipeline computes nothing: give it one of window, ewma or frequency",
      "pipelines[1]: a pipeline has one of window and ewma; make them two pipelines",
      "pipelines[2].key: an EWMA chart is kept per series; remove the key",
      "pipelines[2].aggregate: only a pipeline with window aggregates",
      "pipelines[3].frequency: never alerts: set heavy or rare",
      "pipelines[4].window: expected one of tumbling, sliding and session, found none",
      "pipelines[5].key: missing; a window needs the tags that share it, such as [device, metric]",
      "pipelines[6].raw: only alerts ask for readings: a window has none",
    ],
  );
  const raw = "  - { name: a, ewma: {}, raw: { before: 1h } }\n  - { name: b, ewma: {} }";
  const config = await configOf(`${source}pipelines:\n${raw}\n`);
  assert.deepEqual(config.rawAround, { a: { beforeMs: 3_600_000, afterMs: 60_000 } });
  assert.ok(!JSON.stringify(dataflowSpecOf(config)).includes("3600000"), "it decides no outputs");
});

test("a listener beyond loopback needs users, or says that it does not", async () => {
  const listen = (rest: string): string => `${source}mqtt: { host: 0.0.0.0${rest} }\n`;
  const [fault] = await faultsOf(listen(""));
  assert.match(fault ?? "", /^6:15: mqtt\.host: 0\.0\.0\.0 can be reached from other machines/);
  assert.equal((await configOf(listen(", anonymous: true"))).mqtt.anonymous, true);
  const local = await configOf(`${source}mqtt: { host: LocalHost }\n`);
  assert.equal(local.mqtt.anonymous, true);
  const withUsers = await configOf(listen(", users: [{ name: a, password: b }]"));
  assert.equal(withUsers.mqtt.anonymous, false);
});

test("HTTP beyond loopback is refused, and off is off", async () => {
  const [fault] = await faultsOf(`${source}http: { host: 0.0.0.0 }\n`);
  assert.match(fault ?? "", /http\.host: .*can be reached from other machines: add tokens/);
  assert.equal((await configOf(`${source}http: off\n`)).http, undefined);
  const [odd] = await faultsOf(`${source}http: on\n`);
  assert.equal(
    odd,
    "6:7: http: expected off, or a section with host and port, found a value that is not shown here",
  );
});

test("two sources whose topics meet give a warning", async () => {
  const parsed = await parse(`${source}  - name: other\n    topics: ["plant/a/+/state"]\n`);
  assert.ok(parsed.kind === "config");
  assert.match(
    parsed.warnings.find((warning) => warning.includes("topics")) ?? "",
    /weir\.yaml:7:14: sources\[1\]\.topics\[0\]: topics of plant match/,
  );
});

test("a substituted text becomes the number that is wanted there, a password of digits stays a text", async () => {
  const text = `${source}mqtt:
  port: \${PORT}
  anonymous: \${ANON:-true}
  users: [{ name: a, password: "\${PASSWORD}" }]
`;
  const { mqtt } = await configOf(text, { env: { PORT: "1884", PASSWORD: "007" } });
  assert.equal(mqtt.port, 1884);
  assert.equal(mqtt.anonymous, true);
  assert.deepEqual(mqtt.users, [{ name: "a", password: "007" }]);
});

test("a secret is in no fault, no warning and no explanation", async () => {
  const secret = "hunter2-the-secret";
  const env = { SECRET: secret };
  const files = { "/run/secrets/x": secret };
  const user = `mqtt: { users: [{ name: a, password: PASSWORD }] }\n`;
  for (const value of [secret, '"${SECRET}"', '"${file:/run/secrets/x}"']) {
    const config = await configOf(source + user.replace("PASSWORD", value), { env, files });
    assert.equal(config.mqtt.users[0]?.password, secret);
    assert.ok(!explain(config).includes(secret));
  }
  const wrong = [
    `${source}mqtt: { port: "\${SECRET}" }\n`,
    `${source}agent: "\${SECRET} \${SECRET}"\n`,
    `${source}mqtt: { users: [{ name: a, password: [${secret}] }] }\n`,
    `${source}mqtt: { users: { password: ${secret} } }\n`,
    `${source}mqtt: { users: [{ name: a, password: ${secret} ] }\n`,
    `${source}mqtt: { users: [{ name: a, password: "${secret} }] }\n`,
    `${source}mqtt:\n  users:\n   - name: a\n     password: ${secret}\n    ${secret}\n`,
    source.replace("plant/{line}/{device}/state", "a/{${SECRET}/b"),
    `${source}pipelines: [{ name: p, where: { sources: ["\${SECRET}"] }, ewma: {} }]\n`,
    `${source}pipelines: [{ name: p, key: ["\${SECRET}"], window: { tumbling: 1s } }]\n`,
  ];
  for (const text of wrong) {
    const faults = await faultsOf(text, { env, files });
    assert.ok(faults.length > 0 && !faults.join("\n").includes(secret), faults.join("\n"));
  }
});

test("a substituted value is shown as the file writes it, default and all", async () => {
  const [fault] = await faultsOf(`${source}mqtt:\n  port: \${PORT:-99999}\n`);
  assert.match(fault ?? "", /mqtt\.port: .*, found the value of "\$\{PORT:-99999\}"$/);
});

test("a variable that is not set and a file that is not there are one fault each", async () => {
  const text = `${source}agent: \${AGENT}\ndata: \${file:nothing}\n`;
  assert.deepEqual(await faultsOf(text), [
    '6:8: agent: the environment variable AGENT is not set here; set it (the service reads /etc/default/weir, a shell after "set -a; . /etc/default/weir"), or write ${AGENT:-default}',
    "7:7: data: cannot read the file /etc/weir/nothing (ENOENT); create it, or correct the path",
  ]);
});

test("a key without a value is not taken for a key that is not there", async () => {
  assert.deepEqual(await faultsOf(`${source}uplinks:\n`), [
    "6:1: uplinks: expected a list, found nothing",
  ]);
});

test("a list that must not be empty says what an item looks like", async () => {
  const such = 'such as - { name: plant, topics: ["plant/{line}/{device}"] }';
  const found = async (value: string): Promise<string[]> =>
    await faultsOf(`version: 1\nsources: ${value}\n`);
  assert.deepEqual(await found("[]"), [
    `2:10: sources: expected a list, with one item at least, ${such}, found an empty list`,
  ]);
  const [nothing] = await found("");
  assert.match(nothing ?? "", /such as - \{ name: plant, .*, found nothing$/);
  for (const [text, item] of [
    [`version: 1\nsources: [{ name: a, topics: [] }]\n`, '"plant/{line}/{device}"'],
    [`${source}pipelines: [{ name: p, window: { tumbling: 1s }, aggregate: [] }]\n`, "mean"],
  ] as const) {
    const [fault = ""] = await faultsOf(text);
    assert.ok(fault.includes(`such as - ${item}, found an empty list`), fault);
  }
});

test("an empty file needs a version and sources", async () => {
  const missing = (key: string): string => `1:1: ${key}: missing; the file needs this key`;
  assert.deepEqual(await faultsOf(""), [missing("version"), missing("sources")]);
  assert.deepEqual(await faultsOf("- a\n"), ["1:1: expected a section of keys, found a list of 1"]);
});

test("whatever the text, the outcome is a configuration or faults with places in the text", async () => {
  const words = [
    "version: 1",
    "sources:",
    "  - name: a",
    "    topics: [a]",
    "{",
    "[",
    "*a",
    "&a b",
    "!!set x",
    "? y",
    "__proto__: 1",
    "- ",
    "\t",
    '"',
    "${X",
    "mqtt: []",
    "a: a: a",
    "%YAML 1.1",
    "---",
    "...",
  ];
  const lines = fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 12 })), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(lines, fc.constantFrom("", source), async (parts, before) => {
      const text = before + parts.join("\n");
      const parsed = await parse(text);
      if (parsed.kind === "config") return;
      assert.ok(parsed.faults.length > 0);
      const lineCount = text.split("\n").length;
      for (const { line, column } of parsed.faults) {
        assert.ok(line >= 1 && line <= lineCount && column >= 1, `${line}:${column}`);
      }
    }),
    { numRuns: 500 },
  );
});

test("a text made to exhaust the parser is refused", async () => {
  for (const text of [
    "[".repeat(100_000),
    "{a: ".repeat(50_000),
    "x".repeat(2_000_000),
    "- ".repeat(20_000),
  ]) {
    assert.equal((await faultsOf(text)).length > 0, true);
  }
});
