import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import type { Net } from "../../core/doors.ts";
import type { Config } from "../config/config.ts";
import { parseConfig } from "../config/parse.ts";
import { newEndpoints, Probe } from "./probe.ts";

const forMs = 80_000;

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("it is in trouble until it is reached, asked a few times, and only while nothing else is known", async () => {
  const clock = new SimulatedClock(0);
  let asked = 0;
  let answer: () => Promise<void> = () => Promise.withResolvers<void>().promise;
  const reach = (): Promise<void> => {
    asked += 1;
    return answer();
  };
  const silent = new Probe([{ name: "http:a", reach }], { clock, forMs });
  assert.deepEqual(silent.troubles([]), [], "it was tried by records");
  assert.equal(asked, 0);
  const trouble = { name: "uplink http:a", message: "it has not answered yet", isEarly: false };
  for (let look = 0; look < 3; look++) {
    assert.deepEqual(silent.troubles(["http:a"]), [trouble]);
    await clock.pass(forMs / 4);
  }
  assert.equal(asked, 1, "one that does not answer is not asked again meanwhile");

  answer = () => Promise.reject(new Error("refused"));
  const probe = new Probe([{ name: "http:a", reach }], { clock, forMs });
  probe.troubles(["http:a"]);
  await turns();
  assert.equal(probe.troubles(["http:a"])[0]?.message, "refused");
  assert.equal(asked, 2, "not at each look");
  answer = () => Promise.resolve();
  await clock.pass(forMs / 8);
  probe.troubles(["http:a"]);
  await turns();
  assert.deepEqual(probe.troubles(["http:a"]), []);
  assert.equal(asked, 3);
});

async function configOf(uplinks: string): Promise<Config> {
  const text = `version: 1\nagent: a\nsources: [{ name: p, topics: [p] }]\nlinks: [{ name: lte }]\nuplinks: [${uplinks}]\n`;
  const parsed = await parseConfig(text, { file: "/w", cwd: "/", env: {}, readFile: () => "" });
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed.config;
}

test("endpoints that were there before, or go over a link, are not asked", async () => {
  const old = '{ http: { url: "http://old/x" } }';
  const before = await configOf(old);
  const now = await configOf(
    `${old}, { http: { url: "http://new:81/x?y" } }, { http: { url: "http://far/" }, via: [lte] }, { file: { directory: out } }`,
  );
  const connected: unknown[] = [];
  const connect: Net["connect"] = (address) => {
    connected.push([address.host, address.port]);
    return Promise.reject(new Error("no"));
  };
  const net = { connect } as Net;
  const endpoints = newEndpoints(before, now, net);
  assert.deepEqual(
    endpoints.map(({ name }) => name),
    ["http:new:81/x"],
  );
  await assert.rejects(endpoints[0]!.reach());
  assert.deepEqual(connected, [["new", 81]]);
});
