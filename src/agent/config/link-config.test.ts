import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "./config.ts";
import { linkOf } from "./link-config.ts";
import { parseConfig } from "./parse.ts";

const nothing = { env: {}, readFile: () => assert.fail("no file is read"), cwd: "/" };
const rest = 'version: 1\nagent: gw\nsources: [{ name: a, topics: ["a/{m}"] }]\n';

async function parsed(text: string): Promise<{ config?: Config; lines: readonly string[] }> {
  const found = await parseConfig(rest + text, { ...nothing, file: "/w.yaml" });
  if (found.kind === "faults") return { lines: found.faults.map((fault) => fault.text) };
  return { config: found.config, lines: found.warnings };
}

const kafka = "kafka: { brokers: ['k:9092'] }";

test("a link has the policy that is written, and no other", async () => {
  const { config } = await parsed(`
links:
  - name: lte
    bandwidth: 32kB
    shares: { summaries: 0.8 }
    quota: { bytes: 500MB, per: month, reserve: 20MB }
    windows: [{ from: "22:00", to: "24:00", days: [mon, sun] }, { from: "00:00", to: "06:30" }]
    alerts: windows
    timezone: Europe/Berlin
    metered: true
    maxDelay: 1h
    localAddress: 10.64.0.2
    failAfter: 30s
    retryAfter: 5m
  - name: sat
uplinks: [{ ${kafka}, via: [lte, sat] }]
`);
  assert.deepEqual(config?.links, [
    {
      name: "lte",
      bandwidth: 32_000,
      shares: { summaries: 0.8 },
      quota: { bytes: 500_000_000, per: "month", reserveBytes: 20_000_000 },
      windows: [
        { from: 1_320, to: 1_440, days: [0, 6] },
        { from: 0, to: 390, days: [0, 1, 2, 3, 4, 5, 6] },
      ],
      alerts: "windows",
      timezone: "Europe/Berlin",
      metered: { minBatchBytes: 65_536, maxDelayMs: 3_600_000 },
      localAddress: "10.64.0.2",
      failMs: 30_000,
      retryMs: 300_000,
    },
    linkOf({ name: "sat" }),
  ]);
  const [uplink] = config.uplinks;
  assert.ok(uplink?.kind === "kafka");
  assert.deepEqual(uplink.via, ["lte", "sat"]);
});

test("without links nothing is different", async () => {
  const { config } = await parsed(`uplinks: [{ ${kafka} }]\n`);
  assert.deepEqual(config?.links, []);
  assert.ok(!("via" in config.uplinks[0]!));
});

for (const [what, text, expected] of [
  [
    "a name twice",
    "links: [{ name: a }, { name: a }]",
    /links\[1\]\.name: "a" is the name of links\[0\]/,
  ],
  [
    "a link that is not there",
    `links: [{ name: lte }]\nuplinks: [{ ${kafka}, via: [lt] }]`,
    /via\[0\]: no link has the name "lt"; .*lte/,
  ],
  [
    "a link twice in one list",
    `links: [{ name: lte }]\nuplinks: [{ ${kafka}, via: [lte, lte] }]`,
    /via\[1\]: it is named before/,
  ],
  [
    "files over a link",
    "links: [{ name: lte }]\nuplinks: [{ file: { directory: o }, via: [lte] }]",
    /via: files go over no link/,
  ],
  [
    "a lane that is not there",
    "links: [{ name: a, bandwidth: 4kB, shares: { summary: 0.5 } }]",
    /shares\.summary: no lane .*summaries/,
  ],
  [
    "shares beyond the whole",
    "links: [{ name: a, bandwidth: 4kB, shares: { alerts: 0.6, summaries: 0.6 } }]",
    /shares: the shares are more than the whole/,
  ],
  [
    "shares of nothing",
    "links: [{ name: a, shares: { summaries: 0.6 } }]",
    /shares: shares are parts of bandwidth/,
  ],
  [
    "a reserve of all",
    "links: [{ name: a, quota: { bytes: 5MB, per: day, reserve: 5MB } }]",
    /quota\.reserve: the reserve is a part/,
  ],
  ["a timezone of no place", "links: [{ name: a, timezone: Mars/Base }]", /timezone: no timezone/],
  [
    "a wait on a link that is not metered",
    "links: [{ name: a, minBatch: 64KiB }]",
    /minBatch: only a metered link/,
  ],
  [
    "an address that is none",
    "links: [{ name: a, localAddress: eth0 }]",
    /localAddress: an IP address/,
  ],
  [
    "a time that is none",
    'links: [{ name: a, windows: [{ from: "25:00", to: "06:00" }] }]',
    /windows\[0\]\.from: expected a time of day/,
  ],
  ["a quota without its days", "links: [{ name: a, quota: { bytes: 5MB } }]", /per: missing/],
  ["a bandwidth too small", "links: [{ name: a, bandwidth: 100B }]", /bandwidth: expected a size/],
] as const) {
  test(`${what} is a fault`, async () => {
    const { config, lines } = await parsed(text);
    assert.equal(config, undefined);
    assert.ok(
      lines.some((line) => expected.test(line)),
      lines.join("\n"),
    );
  });
}

test("a link that no uplink names is warned of", async () => {
  const { lines } = await parsed(`links: [{ name: lte }]\nuplinks: [{ ${kafka} }]\n`);
  assert.ok(
    lines.some((line) => /no uplink goes over lte/.test(line)),
    lines.join("\n"),
  );
});

test("a request with less time than a delivery at the bandwidth takes is warned of", async () => {
  const hasty = "kafka: { brokers: ['k:9092'], timeouts: { request: 10s } }";
  const over = async (link: string): Promise<readonly string[]> =>
    (await parsed(`links: [${link}]\nuplinks: [{ ${hasty}, via: [lte] }]\n`)).lines;
  const warned = await over("{ name: lte, bandwidth: 4kB }");
  assert.ok(
    warned.some((line) => /request: a delivery takes 5s .* lte.*20s/.test(line)),
    warned.join("\n"),
  );
  assert.ok(!(await over("{ name: lte }")).some((line) => /request/.test(line)));
});

test("addresses of both kinds are taken", async () => {
  for (const address of ["10.64.0.2", '"fd00::2"']) {
    const { config } = await parsed(`links: [{ name: a, localAddress: ${address} }]\n`);
    assert.ok(config?.links[0]?.localAddress !== undefined);
  }
});
