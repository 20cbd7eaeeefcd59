/** What a document must not do to what is kept unless whoever signed it says so. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  diskOf,
  localConfigWith,
  localSeries,
  Process,
  signed,
} from "../../../test/support/remote-process.ts";
import { lossesBy } from "./losses.ts";
import { remoteFamilies } from "./remote-metrics.ts";

const kafka = (...brokers: readonly string[]): string =>
  `{ kafka: { brokers: [${brokers.map((each) => `"${each}"`).join(", ")}] } }`;
const files = "{ file: { directory: out } }";
const bridge = (port: number): string => `{ mqtt: { url: "mqtt://h:${port}" } }`;
const post = (path: string): string => `{ http: { url: "http://h/${path}" } }`;
const uplinks = (...each: readonly string[]): string => `uplinks: [${each.join(", ")}]\n`;

test("each change of store and limits is told, and each uplink that is left out; nothing else is", async () => {
  const all = [kafka("a:1", "b:1"), bridge(1883), post("in"), files];
  for (const [before, now, told] of [
    ["", "", []],
    ["", "store: { budget: 1GB }\n", ["changes store"]],
    [
      "store: { keep: { readings: 2d } }\n",
      "store: { keep: { readings: 1d } }\n",
      ["changes store"],
    ],
    ["", "store: { whenOutboxFull: wait }\n", ["changes store"]],
    ["", "store: { outbox: 100MB }\n", ["changes store"]],
    ...[
      "series: 7",
      "devices: 7",
      "keys: 7",
      "duplicateRing: 128",
      "log: 1GiB",
      "memory: 96MB",
    ].map((limit) => ["", `limits: { ${limit} }\n`, ["changes limits"]] as const),
    ["limits: { series: 7 }\n", "limits: { series: 7, devices: 10000 }\n", []],
    [
      "",
      "pipelines: [{ name: w, key: [metric], window: { tumbling: 5s }, aggregate: [count] }]\n",
      [],
    ],
    ["", uplinks(...all), []],
    [uplinks(...all), uplinks(...all), []],
    [uplinks(...all), uplinks(...all.slice(0, 3)), [/^leaves out the uplink files:\/out$/]],
    [uplinks(...all), uplinks(kafka("c:1", "b:1"), bridge(1883), post("in"), files), []],
    [uplinks(kafka("a:1")), uplinks(kafka("c:1")), [/^leaves out the uplink kafka:a:1$/]],
    [uplinks(bridge(1883)), uplinks(bridge(1884)), [/^leaves out the uplink mqtt:h:1883$/]],
    [uplinks(post("in")), uplinks(post("on")), [/^leaves out the uplink http:h:80\/in$/]],
    [uplinks(post("in")), "", [/^leaves out the uplink http:h:80\/in$/]],
  ] as const) {
    const found = lossesBy(await localConfigWith(before), await localConfigWith(now));
    const about = `${before} to ${now}: ${found.join()}`;
    assert.equal(found.length, told.length, about);
    for (const [at, each] of told.entries()) {
      if (typeof each === "string") assert.equal(found[at], each, about);
      else assert.match(found[at] ?? "", each, about);
    }
  }
});

test("a document that may delete is refused, counted and audited, and taken where it says that it may", async () => {
  const process = await Process.start(diskOf(1).mount());
  const body = "limits: { series: 7 }\nstore: { keep: { readings: 1d } }\n";
  const before = await process.run(async () => {
    process.offer(signed(7, body));
    await process.turns();
  });
  assert.equal(before, localSeries);
  const { counters, audit, highest } = process.remote.status;
  assert.deepEqual([counters.refused, counters.accepted, highest], [{ would_delete: 1 }, 0, 0]);
  const [entry] = audit;
  assert.deepEqual([entry?.kind, entry?.code, entry?.version], ["refused", "would_delete", 7]);
  assert.match(
    entry?.reason ?? "",
    /^it changes store and changes limits, .*: sign it with --may-delete if that is meant$/,
  );
  // Refused is not accepted: the same version, signed anew, is no second one of it.
  await process.run(async () => {
    process.offer(signed(7, body, { mayDelete: true }));
    await process.remote.changed;
  });
  assert.equal(await process.run(() => process.pass()), 7);
  assert.deepEqual(process.said, ["refused", "accepted", "proven"]);
  // In force now: one that has the same does not change it, and one that leaves it out does.
  await process.run(async () => {
    process.offer(signed(8, `${body}links: [{ name: lte }]\n`));
    await process.remote.changed;
  });
  assert.equal(await process.run(() => process.pass()), 7);
  await process.run(async () => {
    process.offer(signed(9, "links: [{ name: lte }]\n"));
    await process.turns();
  });
  assert.equal(process.remote.status.highest, 8);
  assert.equal(process.remote.status.counters.refused["would_delete"], 2);
  const why = (): string => process.remote.status.audit.at(-1)?.reason ?? "";
  assert.match(why(), /^it leaves out store, which version 8 set \(.*\) and leaves out limits, /);
  // What it has of these itself is a change; so is one by a document that is on trial no more.
  await process.run(async () => {
    process.offer(signed(9, "{ limits: { series: 8 } }\n"));
    await process.turns();
  });
  assert.match(why(), /^it leaves out store, which version 8 set \(.*\) and changes limits, /);
});

test("the permission is of what is signed: put in afterwards it makes no signature", async () => {
  const process = await Process.start(diskOf(1).mount());
  const body = "limits: { series: 7 }\n";
  const plain = Buffer.from(signed(7, body)).toString();
  const permitted = Buffer.from(signed(7, body, { mayDelete: true })).toString();
  const put = plain.replace('"}\n', '","mayDelete":true}\n');
  assert.equal(put.slice(put.indexOf("\n")), permitted.slice(permitted.indexOf("\n")));
  await process.run(async () => {
    process.offer(Buffer.from(put));
    await process.turns();
  });
  assert.deepEqual(process.remote.status.counters.refused, { bad_signature: 1 });
  assert.equal(process.remote.status.counters.accepted, 0);
});

test("it has a metric from the start", () => {
  const counters = {
    accepted: 0,
    proven: 0,
    rolledBack: 0,
    refused: {},
    elsewhere: 0,
    unwritten: 0,
  };
  const status = {
    counters,
    highest: 0,
    audit: [],
    channels: [],
    inForce: undefined,
    unused: undefined,
  };
  const families = remoteFamilies({ ...status, trial: undefined, trouble: undefined });
  const refused = families.find(({ name }) => name === "weir_remote_refused_total");
  const samples = refused?.samples.filter(({ labels }) => labels?.["code"] === "would_delete");
  assert.deepEqual(samples, [{ labels: { code: "would_delete" }, value: 0 }]);
});
