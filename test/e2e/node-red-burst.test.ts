/**
 * A burst into a Node-RED with a small heap, which dies of one where nothing bounds it: our publish node
 * drops by its stated policy and counts it, and what it acknowledged the agent has, also where the agent is
 * killed in the middle.
 */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { startAgentProcess } from "../support/agent-process.ts";
import { type FlowNode, startNodeRed } from "../support/node-red/node-red-process.ts";
import { freePorts } from "../support/ports.ts";

const messages = 60_000;
const queueMessages = 10_000;

type Counts = { readonly published: number; readonly full: number; readonly other: number };

/** A button, the burst, the node, and a file with what became of the messages. */
function burstFlow(http: number, counts: string): readonly FlowNode[] {
  const send = `
for (let i = 0; i < ${messages}; i++) {
  node.send({ topic: "plant/d" + (i % 100), payload: { time: 1772359200000 + i, value: i } });
}
return null;`;
  const count = (name: string): string =>
    `flow.set("${name}", (flow.get("${name}") || 0) + 1); return null;`;
  const sort = `
const name = /the queue is full/.test(msg.error.message) ? "full" : "other";
const [, before = 0] = /and (\\d+) others before/.exec(msg.error.message) || [];
flow.set(name, (flow.get(name) || 0) + 1 + Number(before)); return null;`;
  const told = `
msg.payload = JSON.stringify({
  published: flow.get("published") || 0, full: flow.get("full") || 0, other: flow.get("other") || 0 });
return msg;`;
  const once = { type: "inject", z: "tab", props: [], crontab: "", topic: "" };
  const code = { type: "function", z: "tab", outputs: 1 };
  return [
    { id: "tab", type: "tab", label: "burst" },
    { id: "ag", type: "weir-agent", version: 1, address: `http://127.0.0.1:${http}`, tls: "" },
    { ...once, id: "go", once: true, onceDelay: "1", repeat: "", wires: [["burst"]] },
    { ...code, id: "burst", func: send, wires: [["pub"]] },
    {
      id: "pub",
      type: "weir-publish",
      z: "tab",
      version: 1,
      agent: "ag",
      topic: "",
      queueMessages,
      whenFull: "refuse",
      wires: [["ok"]],
    },
    { ...code, id: "ok", func: count("published"), wires: [[]] },
    { id: "catch", type: "catch", z: "tab", scope: ["pub"], wires: [["why"]] },
    { ...code, id: "why", func: sort, wires: [[]] },
    { ...once, id: "tick", once: true, onceDelay: "1", repeat: "0.3", wires: [["told"]] },
    { ...code, id: "told", func: told, wires: [["file"]] },
    {
      id: "file",
      type: "file",
      z: "tab",
      filename: counts,
      filenameType: "str",
      appendNewline: false,
      overwriteFile: "true",
      wires: [[]],
    },
  ];
}

test("60,000 messages at once into a heap of 128 MB, and the agent killed meanwhile: what is acknowledged is there once, the rest is counted", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "weir-burst-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [mqtt = 0, http = 0] = await freePorts(2);
  const config = join(folder, "weir.yaml");
  writeFileSync(
    config,
    `version: 1
agent: burst
data: ./data
mqtt: { port: ${mqtt}, anonymous: true }
http: { port: ${http} }
sources: [{ name: plant, topics: ["plant/{device}"], time: { fields: [time] } }]
pipelines: [{ name: means, key: [device], window: { tumbling: 10s } }]
`,
  );
  const first = await startAgentProcess(["run", "--config", config]);
  t.after(() => first.child.kill("SIGKILL"));
  const file = join(folder, "counts.json");
  await using nodeRed = await startNodeRed({
    flow: burstFlow(http, file),
    flags: ["--max-old-space-size=128"],
  });
  const counts = (): Counts => {
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    return text === "" ? { published: 0, full: 0, other: 0 } : JSON.parse(text);
  };
  const until = async (what: string, holds: (counts: Counts) => boolean): Promise<void> => {
    for (let at = 0; at < 600 && !holds(counts()); at++) await wait(100);
    assert.ok(holds(counts()), `${what}: ${JSON.stringify(counts())}`);
  };
  await until("some are published", ({ published }) => published > 0);
  await first.kill("SIGKILL");
  const second = await startAgentProcess(["run", "--config", config]);
  t.after(() => second.child.kill("SIGKILL"));
  await until("all are accounted for", ({ published, full, other }) => {
    return published + full + other >= messages;
  });
  const { published, full, other } = counts();
  assert.equal(published + full + other, messages);
  assert.equal(other, 0, "nothing is lost for another reason than a full queue");
  assert.ok(full > 0 && published >= queueMessages, JSON.stringify(counts()));
  const ledger = (await (await fetch(`http://127.0.0.1:${http}/v1/ledger`)).json()) as {
    sources: { readings: { accepted: number; duplicate: number } }[];
  };
  const [source] = ledger.sources;
  assert.equal(source?.readings.accepted, published, "each acknowledged message is there, once");
  assert.equal(source?.readings.duplicate, 0, "and none was taken twice and recognised");
  const page = await fetch(nodeRed.url);
  assert.equal(page.status, 200, "Node-RED goes on");
});
