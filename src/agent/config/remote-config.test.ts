import assert from "node:assert/strict";
import { test } from "node:test";
import { newKey } from "../remote/document.ts";
import type { Overlay } from "./overlay.ts";
import { parseConfig, type ParsedConfig } from "./parse.ts";

const { publicKey } = newKey();

function parse(text: string, overlay?: Pick<Overlay, "text" | "allow">): Promise<ParsedConfig> {
  return parseConfig(text, {
    file: "/weir.yaml",
    cwd: "/",
    env: { SITE: "secret of the site" },
    readFile: () => "secret of a file\n",
    ...(overlay === undefined ? {} : { overlay: { name: "version 7", ...overlay } }),
  });
}

async function faultsOf(
  text: string,
  overlay?: Pick<Overlay, "text" | "allow">,
): Promise<string[]> {
  const parsed = await parse(text, overlay);
  assert.ok(parsed.kind === "faults", "it has faults");
  return parsed.faults.map((fault) => fault.text);
}

const base = `version: 1
agent: gw1
sources: [{ name: p, topics: [p] }]
brokers: [{ name: site, urls: ["mqtt://h"] }]
`;
const remote = (inside: string): string => `${base}remote: { ${inside} }\n`;
const key = `keys: [{ name: ops, key: "${publicKey}" }]`;

test("a section with a key and a topic, and what is left out", async () => {
  const parsed = await parse(remote(`${key}, mqtt: { broker: site, topic: "c/{agent}" }`));
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  assert.deepEqual(parsed.config.remote, {
    keys: [{ name: "ops", raw: new Uint8Array(Buffer.from(publicKey, "base64")) }],
    mqtt: { broker: "site", topic: "c/gw1" },
    allow: ["sources", "pipelines", "links", "commit", "store", "limits"],
    watchMs: 120_000,
    triesMax: 2,
  });
  assert.ok(!parsed.warnings.join().includes("no source takes from site"), "it is used");
});

test("what is missing, unknown or no key is named", async () => {
  const faulty: readonly (readonly [string, RegExp])[] = [
    [key, /remote: it comes from nowhere/],
    [
      `${key}, mqtt: { broker: sites, topic: t }`,
      /mqtt\.broker: no broker has the name "sites"; did you/,
    ],
    [`${key}, mqtt: { broker: site, topic: "t/#" }`, /mqtt\.topic: one topic/],
    [`${key}, kafka: { topic: t }`, /kafka: there is no uplink to Kafka/],
    [
      `keys: [{ name: ops, key: "abc" }], mqtt: { broker: site, topic: t }`,
      /keys\[0\]\.key: expected base64 of 32/,
    ],
    [
      `keys: [{ name: ops, key: "${publicKey}" }, { name: ops, key: "${publicKey}" }], mqtt: { broker: site, topic: t }`,
      /keys\[1\]\.name: "ops" is the name of keys\[0\]/,
    ],
    [
      `${key}, mqtt: { broker: site, topic: t }, allow: [http]`,
      /allow\[0\]: expected one of brokers/,
    ],
  ];
  for (const [inside, expected] of faulty) {
    assert.match((await faultsOf(remote(inside))).join("\n"), expected, inside);
  }
});

const all = { allow: ["brokers", "sources", "pipelines", "uplinks", "limits"] };

test("a section from afar takes the place of the file's, whole; all others stay", async () => {
  const text = 'limits: { series: 77 }\nsources: [{ name: q, topics: ["q/{device}"] }]';
  const parsed = await parse(`${base}limits: { devices: 5 }\n`, { ...all, text });
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  const { sources, brokers, seriesMax, devicesMax, agent } = parsed.config;
  assert.deepEqual(
    sources.map(({ name }) => name),
    ["q"],
  );
  assert.deepEqual([brokers.length, seriesMax, devicesMax, agent], [1, 77, 10_000, "gw1"]);
});

test("faults name the document or the file, each with its own lines", async () => {
  const text = "limits:\n  series: none\nagent: gw2\nbroker: []";
  const found = await faultsOf(`${base}pipelines: [{ name: w }]\n`, { ...all, text });
  assert.match(found.join("\n"), /^version 7:2:11: limits\.series: expected a whole number/m);
  assert.match(
    found.join("\n"),
    /^version 7:3:1: agent: must not be set from afar here; .* has brokers/m,
  );
  assert.match(found.join("\n"), /^version 7:4:1: broker: must not be set from afar/m);
  assert.match(found.join("\n"), /^\/weir\.yaml:5:\d+: pipelines\[0\]/m);
  assert.match((await faultsOf(base, { ...all, text: "- a" })).join(), /expected sections such as/);
  assert.match((await faultsOf(base, { ...all, text: "a: [" })).join(), /^version 7:1:\d+/);
});

test("a secret does not travel; where this machine has it may be named", async () => {
  const broker = (password: string): string =>
    `brokers: [{ name: site, urls: ["mqtts://h"], user: u, password: ${password} }]`;
  for (const reference of ['"${file:/run/secrets/site}"', '"${SITE}"']) {
    const parsed = await parse(base, { ...all, text: broker(reference) });
    assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  }
  for (const plain of ["plain", '"a${SITE}"', "7", '"${SITE:-plain}"', '"${GONE:-plain}"']) {
    const found = await faultsOf(base, { ...all, text: broker(plain) });
    assert.match(
      found.join("\n"),
      /version 7:1:\d+: brokers\[0\]\.password: a secret does not travel/,
    );
    assert.doesNotMatch(found.join("\n"), /secret of/);
  }
  const header = 'uplinks: [{ http: { url: "https://h/", headers: { x-key: abc } } }]';
  assert.match(
    (await faultsOf(base, { ...all, text: header })).join(),
    /headers.*a secret does not/,
  );
});

test("nothing else of this machine is put into a document, and nothing is read for it", async () => {
  for (const reference of ["${SITE}", "${file:/etc/shadow}", "a $$${SITE:-b} c", "${"]) {
    const text = `sources:\n  - name: p\n    topics: ["p/${reference}"]`;
    const read: string[] = [];
    const outcome = await parseConfig(base, {
      file: "/weir.yaml",
      cwd: "/",
      env: { SITE: "secret of the site" },
      readFile: (path) => {
        read.push(path);
        return "secret";
      },
      overlay: { name: "version 7", ...all, text },
    });
    assert.ok(outcome.kind === "faults", reference);
    const said = outcome.faults.map((fault) => fault.text).join("\n");
    assert.match(
      said,
      /^version 7:3:14: sources\[0\]\.topics\[0\]: \$\{\.\.\.\} stands for secrets only/,
    );
    assert.doesNotMatch(said, /secret of/);
    assert.deepEqual(read, []);
  }
});
