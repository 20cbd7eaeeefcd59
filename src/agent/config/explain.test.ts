import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import type { Config } from "./config.ts";
import { explain } from "./explain.ts";
import { parseConfig } from "./parse.ts";

async function configOf(text: string): Promise<Config> {
  const nothing = { env: {}, readFile: () => assert.fail("no file is read"), cwd: "/" };
  const parsed = await parseConfig(text, { ...nothing, file: "/etc/weir/weir.yaml" });
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed.config;
}

const example = readFileSync(resolve(import.meta.dirname, "../../../weir.example.yaml"), "utf8");

test("everything that has a name is explained", async () => {
  const config = await configOf(example);
  const text = explain(config);
  for (const { name } of [...config.sources, ...config.pipelines]) assert.ok(text.includes(name));
  for (const { topics } of config.sources)
    for (const topic of topics) assert.ok(text.includes(topic));
  assert.doesNotMatch(text, /undefined|NaN|\[object|Infinity/);
});

test("panes per key follow from size, disorder, lateness and slack", async () => {
  const text = explain(await configOf(example));
  assert.match(text, /pipeline temperatures[^]*?panes +12 of 10s per key/);
  assert.match(text, /pipeline power[^]*?panes +11 of 10s per key/);
});

test("memory at the limits grows with the limits", async () => {
  const estimate = async (series: number): Promise<number> => {
    const text = explain(await configOf(example.replace("series: 10000", `series: ${series}`)));
    return Number(/idle, (\d+) MiB at the limits/.exec(text)?.[1]);
  };
  assert.ok((await estimate(100_000)) > (await estimate(10_000)) + 90);
});

test("a ceiling on memory says what it leaves", async () => {
  const of = async (memory: string): Promise<string> =>
    explain(await configOf(example.replace(/^ {2}memory: auto/m, `  memory: ${memory}`)));
  assert.match(
    await of("96MiB"),
    /ceiling +96MiB: new series up to 2048, MQTT connections up to 256/,
  );
  assert.match(await of("auto"), /ceiling +that of the control group/);
  assert.match(await of("off"), /ceiling +none/);
});

test("users are named, their passwords are not, and HTTP that is off is said to be off", async () => {
  const config = await configOf(`version: 1
mqtt: { host: 0.0.0.0, users: [{ name: pump, password: word-of-the-pump }] }
http: off
sources: [{ name: a, topics: [a], time: { fields: [] }, sequence: [] }]
`);
  const text = explain(config);
  assert.match(text, /mqtt +0\.0\.0\.0:1883\n +clients +users pump; no anonymous clients/);
  assert.match(text, /http +off/);
  assert.match(text, /uplink +none/);
  assert.match(text, /time +time of arrival/);
  assert.ok(!text.includes("word-of-the-pump"));
});

test("a link is explained with how long a day's summaries take, and for how many keys there is room", async () => {
  const text = explain(
    await configOf(`version: 1
agent: gw
sources: [{ name: a, topics: ["plant/{device}/state"] }]
pipelines: [{ name: p, key: [device], window: { tumbling: 10s } }]
links:
  - { name: lte, bandwidth: 4kB, quota: { bytes: 300MB, per: month, reserve: 30MB } }
  - { name: sat, metered: true, windows: [{ from: "22:00", to: "06:00", days: [fri] }], timezone: Europe/Berlin }
uplinks: [{ kafka: { brokers: ["k:9092"] }, via: [lte, sat] }]
`),
  );
  assert.match(text, /uplink +Kafka at k:9092.*; over lte, then sat\n/);
  assert.match(text, /link lte[^]*?bandwidth +3\.9 KiB a second/);
  assert.match(text, /quota +286 MiB a month, the last 29 MiB for alerts only/);
  // 8,640 summaries a key and day, 54 bytes each: 0.47 MB. 270 MB a month are 9 MB a day.
  assert.match(text, /a day +of 100 keys: 864000 summaries, some 44 MiB to kafka, 3 hours at/);
  assert.match(text, /there is room for some 19 keys/);
  assert.match(text, /link sat[^]*?hours +fri 22:00 to 06:00 \(Europe\/Berlin\); alerts always/);
  assert.match(text, /metered +summaries wait for 64KiB or 15m/);
});

test("what a broker sends again is said to be recognised as far as the ring reaches", async () => {
  const explained = async (inFlight: number): Promise<string> =>
    explain(
      await configOf(`version: 1
brokers: [{ name: site, urls: ["mqtt://10.0.0.5"], inFlight: ${inFlight} }]
sources: [{ name: a, topics: [a], broker: site }]
`),
    );
  assert.match(
    await explained(64),
    /sent again +recognised among the last 64 readings of a series\n/,
  );
  assert.match(
    await explained(65),
    /sent again .*beyond that may be counted twice after a crash\n/,
  );
});
