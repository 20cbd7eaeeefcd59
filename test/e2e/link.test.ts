/** A real agent whose uplink is paused, by HTTP and by `weir link`: across a kill, and until it is resumed. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { connectAsync } from "mqtt";
import type { LinkView } from "../../src/agent/uplinks/link-desk.ts";
import { startAgentProcess } from "../support/agent-process.ts";
import { freePorts } from "../support/ports.ts";
import { readUpstream } from "../support/upstream.ts";
import { weir } from "../support/weir-command.ts";

test("a pause holds across a kill, doctor and status show it, and what waited goes when it is resumed", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "weir-link-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [mqtt = 0, http = 0] = await freePorts(2);
  const config = join(folder, "weir.yaml");
  const text = `version: 1
agent: gw1
data: ./data
mqtt: { port: ${mqtt}, anonymous: true }
http: { port: ${http} }
sources: [{ name: plant, topics: ["plant/{device}"], time: { fields: [time] }, disorder: 0s }]
pipelines:
  - { name: temp, key: [device], window: { tumbling: 1s } }
commit: { interval: 100ms }
uplinks: [{ file: { directory: ./out } }]
links: [{ name: lte, quota: { bytes: 500MB, per: month } }]
`;
  writeFileSync(config, text);
  const begin = Math.floor(Date.now() / 1_000) * 1_000 - 600_000;
  let sent = 0;
  const publish = async (count: number): Promise<void> => {
    const publisher = await connectAsync(`mqtt://127.0.0.1:${mqtt}`, { reconnectPeriod: 0 });
    for (let n = 0; n < count; n++, sent++) {
      const payload = JSON.stringify({ temp: sent, time: begin + sent * 1_000 });
      await publisher.publishAsync("plant/p1", payload, { qos: 1 });
    }
    await publisher.endAsync(true);
  };
  const url = `http://127.0.0.1:${http}/v1/link`;
  const link = async (search = "", method = "GET"): Promise<LinkView> => {
    const response = await fetch(`${url}${search}`, { method, headers: { "X-Weir": "1" } });
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()) as LinkView;
  };
  const waiting = async (): Promise<number> => (await link()).uplinks[0]?.waiting ?? 0;
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    for (let i = 0; i < 200 && !(await holds()); i++) await wait(50);
    assert.ok(await holds());
  };
  const summaries = async (): Promise<number> =>
    (await readUpstream(join(folder, "out"), "summaries")).filter(({ kind }) => kind === "summary")
      .length;

  let agent = await startAgentProcess(["run", "--config", config]);
  t.after(() => agent.kill("SIGKILL"));
  await publish(6);
  await until(async () => (await summaries()) === 5);
  const foreign = await fetch(`${url}?action=pause`, { method: "POST" });
  assert.equal(foreign.status, 403, "not by a page of another site");

  const paused = await weir("link", "pause", "files:../out", "--for", "1h", "-c", config);
  assert.equal(paused.code, 0, paused.output);
  assert.match(paused.out, /^uplink {4}files:\.\.\/out: paused since 20\S+Z until 20\S+Z$/m);
  await publish(5);
  await until(async () => (await waiting()) >= 5);
  await agent.kill("SIGKILL");
  agent = await startAgentProcess(["run", "--config", config]);
  await publish(5);
  await until(async () => (await waiting()) >= 10);
  assert.equal(await summaries(), 5, "nothing is sent");
  const [uplink] = (await link()).uplinks;
  assert.equal(uplink?.lanes.summaries.held, "paused");
  assert.ok((uplink?.paused?.leftMs ?? 0) > 3_000_000);
  const status = await weir("status", "-c", config);
  assert.equal(status.code, 0, "it was asked for: nothing is degraded");
  assert.match(status.out, /summaries: .*held: the uplink is paused/);
  assert.match(status.out, /^notice {4}uplink files:\.\.\/out is paused since .*weir link resume/m);
  const doctor = await weir("doctor", "-c", config);
  assert.match(doctor.out, /advice +uplinks +files:\.\.\/out: it is paused since .* until /);

  // To its orderly end it waits for nothing.
  const asked = performance.now();
  assert.equal(await agent.kill("SIGTERM"), 0);
  assert.ok(performance.now() - asked < 5_000);
  assert.equal(await summaries(), 5);
  agent = await startAgentProcess(["run", "--config", config]);
  const resumed = await link("?action=resume", "POST");
  assert.equal(resumed.uplinks[0]?.paused, undefined);
  await until(async () => (await summaries()) >= 15);
  assert.equal(await waiting(), 0);

  const budget = await weir("link", "budget", "lte", "80MB", "-c", config, "--json");
  assert.equal((JSON.parse(budget.out) as LinkView).links[0]?.quota?.bytes, 80e6);
  await agent.kill("SIGKILL");
  agent = await startAgentProcess(["run", "--config", config]);
  assert.equal((await link()).links[0]?.quota?.configuredBytes, 500e6);
  for (const [args, code, said] of [
    [["pause", "kafka"], 1, /answers 404: no uplink is called "kafka": known are files:\.\.\/out/],
    [["pause", "--for", "15"], 2, /for must be a duration such as 15m/],
    [["resume", "--for", "15m"], 2, /--for goes with pause/],
    [["budget"], 2, /say which link/],
    [["stop"], 2, /say pause, resume or budget/],
  ] as const) {
    const outcome = await weir("link", ...args, "-c", config);
    assert.equal(outcome.code, code, outcome.output);
    assert.match(outcome.error, said);
  }
  assert.equal(await agent.kill("SIGTERM"), 0);
});
