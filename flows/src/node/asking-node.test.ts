/** The nodes that ask an agent: query, with a real one; sync differs in what it asks alone. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { AgentRig, startMs } from "../../test/agent-rig.ts";
import { flowOf, type FlowNode, startRig } from "../../test/rig.ts";
import { register as registerAgent } from "../nodes/agent/node.ts";
import { register as registerQuery } from "../nodes/query/node.ts";
import type { Message, Red } from "../red.ts";
import { registerAsking } from "./asking-node.ts";

const query = {
  type: "weir-query",
  version: 1,
  name: "",
  agent: "agent1",
  what: "readings",
  select: "v{device=p1}",
  from: String(startMs),
  to: String(startMs + 60_000),
  step: "",
  aggregates: "count,mean",
  limit: "100",
};

function register(red: Red): void {
  registerAgent(red);
  registerQuery(red);
}

function flowWith(agent: AgentRig, changes: object = {}): readonly FlowNode[] {
  return [agent.node, ...flowOf({ ...query, ...changes }, 1)];
}

function messageOf(caught: Message): string {
  return (caught["error"] as { message: string }).message;
}

test("readings, steps and latest readings come in the message that asked", async (t) => {
  const agent = await AgentRig.start(t);
  await agent.feed([0, 1, 2]);
  const readings = await startRig(t, register, flowWith(agent));
  readings.send({ topic: "mine" });
  const answer = await readings.next("out0");
  assert.equal(answer["topic"], "mine");
  assert.deepEqual(
    (answer["payload"] as { value: number }[]).map(({ value }) => value),
    [0, 1, 2],
  );
  assert.equal((answer["end"] as { complete: boolean }).complete, true);
  await readings.next("completed");
  await readings.stop();

  const steps = await startRig(t, register, flowWith(agent, { what: "steps", step: "1m" }));
  steps.send({});
  const [bucket] = (await steps.next("out0"))["payload"] as { count: number; mean: number }[];
  assert.deepEqual([bucket?.count, bucket?.mean], [3, 1]);
  await steps.stop();

  const latest = await startRig(t, register, flowWith(agent, { what: "latest" }));
  latest.send({});
  const [series] = (await latest.next("out0"))["payload"] as { value: number; time: number }[];
  assert.deepEqual([series?.value, series?.time], [2, startMs + 2_000]);
});

test("the ledger comes as it is, and readings for raw nodes are asked for", async (t) => {
  const agent = await AgentRig.start(t);
  await agent.feed([0, 1, 2]);
  const ledger = await startRig(t, register, flowWith(agent, { what: "ledger" }));
  ledger.send({});
  const { payload, end } = await ledger.next("out0");
  const { balanced, sources } = payload as { balanced: boolean; sources: object[] };
  assert.deepEqual([balanced, sources.length, end], [true, 1, undefined]);
  await ledger.stop();

  const raw = await startRig(t, register, flowWith(agent, { what: "raw" }));
  const asked: unknown[] = [];
  for (let at = 0; at < 2; at++) {
    raw.send({});
    const { id, select, from, to } = (await raw.next("out0"))["payload"] as Record<string, unknown>;
    assert.deepEqual([select, from, to], [["v{device=p1}"], startMs, startMs + 60_000]);
    asked.push(id);
  }
  assert.equal(new Set(asked).size, 2, "each is a request of its own");
});

test("the latest is that of all that is kept, whatever span a message carries along", async (t) => {
  const agent = await AgentRig.start(t);
  await agent.feed([0, 1, 2]);
  const rig = await startRig(t, register, flowWith(agent, { what: "latest" }));
  rig.send({ from: startMs, to: startMs + 1_000, step: "1m" });
  const [series] = (await rig.next("out0"))["payload"] as { value: number }[];
  assert.equal(series?.value, 2);
});

test("what the message says goes before what the node says", async (t) => {
  const agent = await AgentRig.start(t);
  await agent.feed([0, 1, 2, 3]);
  const rig = await startRig(t, register, flowWith(agent));
  rig.send({ from: new Date(startMs + 1_000), to: startMs + 3_000 });
  const { payload } = await rig.next("out0");
  assert.deepEqual(
    (payload as { value: number }[]).map(({ value }) => value),
    [1, 2],
  );
});

test("what the agent refuses, and one that is away, go to Catch nodes with the agent's sentence", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent));
  rig.send({ select: "v{device=" });
  assert.match(messageOf(await rig.next("caught")), /the agent at \S+ refuses \(400\): .*select/s);
  assert.equal(rig.statuses.at(-1)?.text, "status.refuses");
  rig.send({ from: { not: "a time" } });
  assert.match(messageOf(await rig.next("caught")), /from is \{"not":"a time"\}/);
  await agent.stop();
  rig.send({});
  assert.match(messageOf(await rig.next("caught")), /is away: nothing listens there/);
  await agent.start();
  rig.send({});
  await rig.next("out0");
});

test("what the status shows of an answer is made at once, so that nothing holds the answer", async (t) => {
  const agent = await AgentRig.start(t);
  const shown: unknown[] = [];
  const registerTrial = (red: Red): void => {
    registerAgent(red);
    registerAsking(red, {
      type: "weir-trial",
      migrations: [],
      start: () => async () => ({ payload: "an answer" }),
      statusOf: ({ payload }) => {
        shown.push(payload);
        return { text: String(shown.length) };
      },
    });
  };
  const flow = flowOf({ type: "weir-trial", agent: "agent1" }, 1);
  const rig = await startRig(t, registerTrial, [agent.node, ...flow]);
  for (let at = 0; at < 3; at++) {
    rig.send({});
    await rig.next("out0");
  }
  assert.equal(shown.length, 3);
});

test("questions that wait when the node closes are errors, and none is left without an answer", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent));
  for (let at = 0; at < 10; at++) rig.send({ at });
  await rig.deploy(flowWith(agent, { limit: "50" }));
  rig.send({ at: "after" });
  const answers: unknown[] = [];
  while (answers.at(-1) !== "after") answers.push((await rig.next("out0"))["at"]);
  assert.ok(answers.length <= 11);
});
