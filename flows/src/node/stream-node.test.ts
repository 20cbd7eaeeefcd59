/** The nodes that stream from an agent: summaries stand for all, as they differ in their kinds alone. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import { AgentRig, startMs } from "../../test/agent-rig.ts";
import { agentAt, portOf } from "../../test/listening.ts";
import { flowOf, type FlowNode, type Rig, startRig, temporaryFolder } from "../../test/rig.ts";
import { register as registerAgent } from "../nodes/agent/node.ts";
import { register as registerSummaries } from "../nodes/summaries/node.ts";
import type { Message, Red } from "../red.ts";

const summaries = {
  type: "weir-summaries",
  version: 1,
  name: "",
  agent: "agent1",
  pipeline: "",
  key: "",
  from: "now",
  store: "",
};

function register(red: Red): void {
  registerAgent(red);
  registerSummaries(red);
}

function flowWith(agent: AgentRig, changes: object = {}): readonly FlowNode[] {
  return [agent.node, ...flowOf({ ...summaries, ...changes }, 2)];
}

/** Second of the window of each of the next messages. */
async function secondsOf(rig: Rig, count: number): Promise<readonly number[]> {
  const seconds: number[] = [];
  for (let at = 0; at < count; at++) seconds.push(secondOf(await rig.next("out0")));
  return seconds;
}

function secondOf({ payload }: Message): number {
  return ((payload as { start: number }).start - startMs) / 1_000;
}

async function isOpen(rig: Rig, count = 1): Promise<void> {
  const opened = (): number => rig.statuses.filter(({ shape }) => shape === "dot").length;
  for (let at = 0; at < 200 && opened() < count; at++) await wait(20);
  assert.ok(opened() >= count, JSON.stringify(rig.statuses));
}

test("a window of the agent becomes a message when it closes", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent));
  await isOpen(rig);
  await agent.feed([0, 1, 2]);
  const { _msgid, payload, ...rest } = await rig.next("out0");
  const key = { device: "p1", line: "a", metric: "v" };
  assert.deepEqual(rest, { topic: "seconds", key, time: startMs + 1_000 });
  const { kind, count, sum, revision } = payload as Record<string, unknown>;
  assert.deepEqual(
    { kind, count, sum, revision },
    { kind: "summary", count: 1, sum: 0, revision: 0 },
  );
  assert.equal(secondOf(await rig.next("out0")), 1);
  assert.deepEqual(rig.rest("out1"), []);
});

/** An agent that answers streams as the test says. */
async function standIn(
  t: TestContext,
  answer: (response: ServerResponse) => void,
  changes: object = {},
): Promise<readonly FlowNode[]> {
  const server = createServer((_, response) => answer(response));
  return [agentAt(await portOf(t, server)), ...flowOf({ ...summaries, ...changes }, 2)];
}

test("of a burst of records no status is made that is not shown", async (t) => {
  const count = 1_000;
  const flow = await standIn(t, (response) => {
    const record = 'event: summary\ndata: {"pipeline":"seconds"}\n\n';
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(`event: missed\ndata: {"missed":3}\n\n${record.repeat(count)}`);
  });
  let texts = 0;
  const counting = (red: Red): void => {
    const _: Red["_"] = (key) => {
      texts += 1;
      return key;
    };
    register(Object.assign(Object.create(red) as Red, { _ }));
  };
  const rig = await startRig(t, counting, flow);
  for (let at = 0; at < count; at++) await rig.next("out0");
  assert.ok(texts < 10, `${texts} texts`);
});

test("an agent that refuses is told apart from one that is away, by status and sentence", async (t) => {
  const flow = await standIn(t, (response) => {
    response.writeHead(403).end('{"error":"forbidden","message":"the token may not read"}');
  });
  const rig = await startRig(t, register, flow);
  for (let at = 0; at < 200 && rig.statuses.at(-1)?.fill !== "red"; at++) await wait(20);
  assert.deepEqual(rig.statuses.at(-1), { fill: "red", shape: "ring", text: "status.refuses" });
  assert.match(rig.warnings.join(), /the agent at \S+ refuses \(403\): the token may not read/);
});

test("a pipeline that the agent does not have is told of, with those that it has", async (t) => {
  const agent = await AgentRig.start(t);
  const flow = flowWith(agent, { pipeline: "seconds hours minute*" });
  const rig = await startRig(t, register, flow);
  for (let at = 0; at < 200 && rig.warnings.length === 0; at++) await wait(20);
  assert.match(
    rig.warnings.join(),
    /has no pipeline "hours", "minute\*", but "seconds"; mend "Pipelines", or add it/,
  );
  await agent.feed([0, 1]);
  assert.deepEqual(await secondsOf(rig, 1), [0], "what is there comes all the same");
  for (let at = 0; at < 200 && rig.statuses.at(-1)?.fill !== "yellow"; at++) await wait(20);
  assert.match(String(rig.statuses.at(-1)?.text), /^status\.records [01] · status\.noPipeline$/);
  assert.equal(rig.warnings.length, 1);
});

test("an agent that has no pipelines at all is told of as that", async (t) => {
  const flow = await standIn(t, (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write('event: ready\ndata: {"unmatched":["x"],"pipelines":[]}\n\n');
  });
  const rig = await startRig(t, register, flow);
  for (let at = 0; at < 200 && rig.warnings.length === 0; at++) await wait(20);
  assert.match(rig.warnings.join(), /has no pipeline "x", nor any other; mend "Pipelines", or add/);
});

test("that a restart forgets a node's place, or that files have none yet, is told once of each", async (t) => {
  const filesIn = temporaryFolder();
  const [tab, node, ...others] = flowOf(summaries, 2);
  assert.ok(tab !== undefined && node !== undefined);
  const second: FlowNode = { ...node, id: "n2", from: "kept" };
  const third: FlowNode = { ...node, id: "n3", store: "file" };
  const fourth: FlowNode = { ...third, id: "n4", from: "kept" };
  // Nobody is there, so that no place is kept at the deploys either.
  const first = [agentAt(1), tab, node, ...others];
  const all = [...first, second, third, fourth];
  const rig = await startRig(t, register, first, { filesIn });
  for (const [deploys, flow] of [first, all, all].entries()) {
    if (deploys > 0) await rig.deploy(flow);
    for (let at = 0; at < 200 && rig.warnings.length <= deploys; at++) await wait(20);
    assert.equal(rig.warnings.length, deploys + 1, "it is away");
  }
  const then = "keeps its place in memory only: after a restart of Node-RED it gives";
  assert.match(
    rig.errors("info").join("; "),
    new RegExp(
      `^${then} what comes from then on, [^;]*; "Kept in" a context store of files [^;]*$`,
    ),
  );
  assert.match(
    rig.errors("info", "n2").join("; "),
    new RegExp(`^${then} all that the agent still keeps, [^;]*;[^;]*$`),
  );
  const none = "its context store has no place of the agent at 127.0.0.1:1: it begins with";
  assert.deepEqual(rig.errors("info", "n3"), [`${none} what comes from now on`]);
  assert.deepEqual(rig.errors("info", "n4"), [`${none} all that the agent still keeps`]);
});

test("a new node's place is kept as soon as the agent has told it, before any record comes", async (t) => {
  let told = 0;
  const answer = (response: ServerResponse): void => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write('id: 5f.1.2.0\nevent: ready\ndata: {"agent":"gw1"}\n\n');
    told = performance.now();
  };
  const flow = await standIn(t, answer, { store: "file" });
  const rig = await startRig(t, register, flow, { filesIn: temporaryFolder() });
  while ((await rig.kept()) === undefined) await wait(5);
  const tookMs = performance.now() - told;
  assert.ok(tookMs < flowLimits.placeKeepMs / 2, `${tookMs} ms`);
  assert.match(String(await rig.kept()), /^5f\.1\.2\.0 127\.0\.0\.1:\d+$/);
});

test("over deploys, while the agent goes on, none is missing and none comes twice", async (t) => {
  const agent = await AgentRig.start(t);
  const flow = flowWith(agent);
  const rig = await startRig(t, register, flow);
  await isOpen(rig);
  await agent.feed([0, 1, 2]);
  assert.deepEqual(await secondsOf(rig, 2), [0, 1]);
  const deploying = rig.deploy(flow);
  await agent.feed([3, 4, 5]);
  await deploying;
  await agent.feed([6, 7]);
  assert.deepEqual(await secondsOf(rig, 5), [2, 3, 4, 5, 6]);
  assert.deepEqual(rig.rest("out1"), []);
});

test("over a restart of the agent, too, and the status says that it is away", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent));
  await isOpen(rig);
  await agent.feed([0, 1, 2]);
  assert.deepEqual(await secondsOf(rig, 2), [0, 1]);
  await agent.stop();
  for (let at = 0; at < 200 && rig.statuses.at(-1)?.fill !== "red"; at++) await wait(20);
  assert.match(rig.warnings.join("\n"), /the agent at 127\.0\.0\.1:\d+ is away: /);
  const answers = (): readonly string[] =>
    rig.errors("info").filter((text) => text.endsWith("answers again"));
  assert.equal(answers().length, 0);
  await agent.start();
  await agent.feed([3, 4]);
  assert.deepEqual(await secondsOf(rig, 2), [2, 3]);
  assert.equal(answers().length, 1);
  assert.deepEqual(rig.rest("out1"), []);
});

test("over a restart of Node-RED with a store in files, too", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "weir-flows-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const agent = await AgentRig.start(t);
  const flow = flowWith(agent, { store: "file" });
  const before = await startRig(t, register, flow, { filesIn: folder });
  await isOpen(before);
  await agent.feed([0, 1, 2]);
  assert.deepEqual(await secondsOf(before, 2), [0, 1]);
  await before.stop();
  await agent.feed([3, 4]);
  const after = await startRig(t, register, flow, { filesIn: folder });
  assert.deepEqual(await secondsOf(after, 2), [2, 3]);
  assert.deepEqual(after.errors("info"), [], "it has its place");
});

test("an agent that begins anew is told at the second output, and what it has follows", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent));
  await isOpen(rig);
  await agent.feed([0, 1]);
  assert.deepEqual(await secondsOf(rig, 1), [0]);
  await agent.stop();
  await agent.start({ anew: true });
  const { topic, payload } = await rig.next("out1");
  assert.equal(topic, "missed");
  assert.deepEqual(payload, { v: 1, kind: "missed", queue: "summaries", reason: "other_history" });
  await agent.feed([5, 6]);
  assert.deepEqual(await secondsOf(rig, 1), [5]);
});

test("only what is asked for comes, by patterns of pipelines and keys", async (t) => {
  const agent = await AgentRig.start(t);
  const others = await startRig(t, register, flowWith(agent, { pipeline: "minutes hours*" }));
  await isOpen(others);
  await agent.feed([0, 1, 2]);
  await wait(300);
  assert.deepEqual(others.rest("out0"), []);
  await others.stop();
  const wanted = { pipeline: "minutes sec*", key: "*device=p1*", from: "kept" };
  const rig = await startRig(t, register, flowWith(agent, wanted));
  assert.deepEqual(await secondsOf(rig, 2), [0, 1], "and what is kept comes first");
});

test("a node without an agent says so, and so does one of a newer package", async (t) => {
  const agent = await AgentRig.start(t);
  const without = await startRig(t, register, flowWith(agent, { agent: "" }));
  assert.match(without.errors().join(), /no agent is chosen/);
  await without.stop();
  const newer = await startRig(t, register, flowWith(agent, { version: 99 }));
  assert.match(newer.errors().join(), /configured by a newer package/);
});

test("a node that was written by hand has the editor's settings where it says nothing", async (t) => {
  const agent = await AgentRig.start(t);
  const flow = [agent.node, ...flowOf({ type: "weir-summaries", agent: "agent1" }, 2)];
  const rig = await startRig(t, register, flow);
  await isOpen(rig);
  await agent.feed([0, 1]);
  assert.deepEqual(await secondsOf(rig, 1), [0]);
});
