/** The sync node with a real agent, whose one uplink it pauses and resumes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { AgentRig } from "../../../test/agent-rig.ts";
import { flowOf, type FlowNode, type Rig, startRig } from "../../../test/rig.ts";
import type { Message, Red } from "../../red.ts";
import { register as registerAgent } from "../agent/node.ts";
import { register as registerSync } from "./node.ts";

const sync = { type: "weir-sync", version: 1, name: "", agent: "agent1", everySeconds: "0" };

function register(red: Red): void {
  registerAgent(red);
  registerSync(red);
}

function flowWith(agent: AgentRig, changes: object = {}): readonly FlowNode[] {
  return [agent.node, ...flowOf({ ...sync, ...changes }, 1)];
}

/** Whether the agent's uplink is paused, by the answer to this order. */
async function pausedAfter(rig: Rig, payload: unknown): Promise<boolean> {
  rig.send({ payload });
  const answer = (await rig.next("out0"))["payload"] as { uplinks: { paused?: object }[] };
  assert.equal(answer.uplinks.length, 1);
  return answer.uplinks[0]?.paused !== undefined;
}

function messageOf(caught: Message): string {
  return (caught["error"] as { message: string }).message;
}

test("the status comes for any message, and orders change it", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent));
  assert.equal(await pausedAfter(rig, Date.now()), false);
  assert.equal(await pausedAfter(rig, "pause"), true);
  assert.equal(await pausedAfter(rig, undefined), true);
  assert.equal(await pausedAfter(rig, "resume"), false);
  assert.equal(await pausedAfter(rig, { action: "pause", for: "1m" }), true);
  assert.deepEqual(rig.rest("caught"), []);
});

/** The newest status, once it is of this colour. */
async function statusAs(rig: Rig, fill: string): Promise<string | undefined> {
  for (let at = 0; at < 200 && rig.statuses.at(-1)?.fill !== fill; at++) await wait(20);
  assert.equal(rig.statuses.at(-1)?.fill, fill);
  return rig.statuses.at(-1)?.text;
}

test("while an uplink is paused the status says which, and until when", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent));
  await pausedAfter(rig, "pause");
  assert.equal(await statusAs(rig, "yellow"), "status.paused: files:../out");
  await pausedAfter(rig, "resume");
  assert.equal(await statusAs(rig, "green"), undefined);
  await pausedAfter(rig, { action: "pause", for: "30d" });
  assert.match(
    (await statusAs(rig, "yellow")) ?? "",
    /^status\.paused: files:\.\.\/out status\.until \d{4}-\d\d-\d\d \d\d:\d\d$/,
  );
});

test("orders that are wrong go to Catch nodes, in our words or the agent's", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent));
  const orders: readonly (readonly [unknown, RegExp])[] = [
    ["pauze", /"pauze" is no action: status, pause, resume, budget/],
    [{ action: "pause", for: {} }, /payload\.for is \{\}/],
    [{ action: "pause", minutes: 15 }, /payload\.minutes is not known: action, uplink, for/],
    [{ action: 5 }, /5 is no action/],
    [{}, /it is no action/],
    [{ action: "pause", uplink: "mars" }, /refuses \(404\): .*mars/],
    [{ action: "budget", link: "lte", bytes: "50MB" }, /refuses \(404\)/],
  ];
  for (const [payload, error] of orders) {
    rig.send({ payload });
    assert.match(messageOf(await rig.next("caught")), error);
  }
  assert.deepEqual(rig.rest("out0"), []);
});

test("with an interval it comes by itself, also after the agent was away", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent, { everySeconds: "1" }));
  for (let at = 0; at < 2; at++) assert.equal((await rig.next("out0"))["topic"], "sync");
  await agent.stop();
  await agent.start();
  await rig.next("out0");
});
