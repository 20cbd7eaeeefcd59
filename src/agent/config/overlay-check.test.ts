/** What is said of a document without its local file: what every agent would refuse, and nothing more. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { overlayFaults } from "./overlay-check.ts";

async function said(text: string): Promise<string> {
  return (await overlayFaults(text, "fleet.yaml")).map(({ text: line }) => line).join("\n");
}

const window = "name: w, key: [device]";

test("what no agent would take is told with its place, all of it at once", async () => {
  for (const [text, pattern] of [
    [
      `pipelines: [{ ${window}, window: { tumbling: 10s }, aggregate: [p96] }]`,
      /^fleet\.yaml:1:\d+: pipelines\[0\]\.aggregate\[0\]: .*p95/,
    ],
    [`pipelines: [{ ${window}, window: { tumbling: 1 }, aggregate: [mean] }]`, /window\.tumbling/],
    [`pipelines: [{ ${window}, aggregate: [mean] }]`, /computes nothing/],
    ["pipelines: [{ name: w }, { name: w }]", /computes nothing[^]*name of pipelines\[0\] already/],
    ["sources: []", /sources/],
    ["limits: { serie: 5 }", /limits\.serie: unknown key/],
    ["commit: { wait: 0s, waitMax: 1s }", /commit\.waitMax: wait: 0s does not wait/],
    ["uplinks: [{ file: { directory: x }, via: [lte] }]", /files go over no link/],
    ['uplinks: [{ http: { url: "https://x", token: plain } }]', /a secret does not travel/],
    // A section is wanted, and no secret: nothing is to be said of files.
    ["uplinks:", /^fleet\.yaml:1:\d+: uplinks: expected a list[^\n]*, found nothing$/],
    ["brokers:", /^fleet\.yaml:1:\d+: brokers: expected a list[^\n]*, found nothing$/],
    ["uplinks: [{ kafka: { brokers: [k], tls: } }]", /kafka\.tls: expected [^\n]*, found nothing$/],
    ["uplinks: [{ kafka: { sasl: pass } }]", /kafka\.sasl: expected .* that is not shown here$/m],
    ["uplinks: ${file:/run/x}", /: uplinks: \$\{\.\.\.\} stands for secrets only/],
    [
      "uplinks: [{ kafka: { tls: '${file:/x}' } }]",
      /kafka\.tls: \$\{\.\.\.\} stands for secrets only/,
    ],
    ["data: elsewhere", /^fleet\.yaml:1:1: data: cannot be set from afar: it may have brokers,/],
    ["", /it has no section/],
    ["- a", /it has no section/],
    ["sources: [", /^fleet\.yaml:1:/],
    // Its own lists are whole: what is not in them is nowhere.
    [
      `sources: [{ name: p, topics: ["p/{device}"] }]\npipelines: [{ ${window}, window: { tumbling: 1m }, aggregate: [mean], where: { sources: [q] } }]`,
      /^fleet\.yaml:2:\d+: pipelines\[0\]\.where\.sources\[0\]: no source has the name "q"/,
    ],
  ] as const) {
    assert.match(await said(text), pattern, text);
  }
});

test("what the local file or the gateway may have is not missed", async () => {
  for (const text of [
    `pipelines: [{ ${window}, window: { tumbling: 1m }, aggregate: [mean], where: { sources: [q] } }]`,
    'sources: [{ name: p, broker: site, topics: ["p/{device}"] }]',
    'uplinks: [{ kafka: { brokers: ["k:9092"] }, via: [lte] }]',
    'uplinks: [{ http: { url: "https://x/", token: "${file:/run/secrets/x}" } }]',
    'uplinks: [{ mqtt: { url: "mqtts://x", user: u, password: "${PASSWORD}" } }]',
    "links: [{ name: lte, bandwidth: 32kB }]",
    "store: { budget: 2GiB }",
    "limits: { series: 500 }",
    "pipelines: []",
    // A tag's name, and no secret.
    `pipelines: [{ ${window}, window: { tumbling: 1m }, aggregate: [mean], where: { tags: { token: a } } }]`,
  ]) {
    assert.equal(await said(text), "", text);
  }
});
