/** The publish node with a real agent, and with one that answers as the test wants. */

import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTcp } from "node:net";
import { test, type TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { agentAt, portOf } from "../../../test/listening.ts";
import { AgentRig, startMs } from "../../../test/agent-rig.ts";
import { flowOf, type FlowNode, type Rig, startRig } from "../../../test/rig.ts";
import type { Message, Red } from "../../red.ts";
import { register as registerAgent } from "../agent/node.ts";
import { register as registerPublish } from "./node.ts";

const publish = {
  type: "weir-publish",
  version: 1,
  name: "",
  agent: "agent1",
  topic: "",
  queueMessages: "1000",
  whenFull: "refuse",
};

const topic = "plant/a/p1/state";

function register(red: Red): void {
  registerAgent(red);
  registerPublish(red);
}

function flowWith(agent: FlowNode, changes: object = {}): readonly FlowNode[] {
  return [agent, ...flowOf({ ...publish, ...changes }, 1)];
}

function reading(second: number): Message {
  return { topic, payload: { ts: startMs + second * 1_000, v: second }, second };
}

/** Values of the readings that the agent has, in the order of their times. */
async function storedIn({ agent }: AgentRig): Promise<readonly number[]> {
  const query = `metric=v&from=${startMs}&to=${startMs + 1e7}&limit=10000`;
  const url = `http://127.0.0.1:${agent.httpPort}/v1/readings?${query}`;
  const { readings } = (await (await fetch(url)).json()) as { readings: { value: number }[] };
  return readings.map(({ value }) => value);
}

async function textOf(rig: Rig, id: string): Promise<string> {
  const { error } = (await rig.next(id)) as { error: { message: string } };
  return error.message;
}

test("a message goes on when the agent has it on its disk, and as it came", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent.node));
  rig.send({ ...reading(1), note: "mine" });
  const { _msgid, ...rest } = await rig.next("out0");
  assert.deepEqual(rest, { ...reading(1), note: "mine" });
  await rig.next("completed");
  assert.deepEqual(await storedIn(agent), [1]);
  assert.equal(agent.agent.ledger().sources[0]?.readings.accepted, 1);
});

test("payloads as other nodes give them: objects, texts and bytes of JSON, numbers; and those that cannot be sent", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent.node, { topic }));
  const json = (second: number): string => JSON.stringify(reading(second).payload);
  const payloads = [reading(1)["payload"], json(2), Buffer.from(json(3))];
  for (const payload of payloads) rig.send({ payload });
  for (const _ of payloads) await rig.next("out0");
  assert.deepEqual(await storedIn(agent), [1, 2, 3]);
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /no payload that can be sent/],
    [Number.NaN, /the payload is NaN/],
    [Buffer.from([0xff, 0xfe]), /bytes that are no text/],
    ["x".repeat(270_000), /the message has 2700\d\d characters, more than 262144/],
  ];
  for (const [payload, error] of refused) {
    rig.send({ payload });
    assert.match(await textOf(rig, "caught"), error);
  }
});

test("a topic that no source takes is an error that names it; the others of its body are taken", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent.node));
  rig.send(reading(1));
  rig.send({ topic: "elsewhere", payload: 1 });
  rig.send(reading(2));
  assert.match(await textOf(rig, "caught"), /no source of the agent takes the topic "elsewhere"/);
  for (const second of [1, 2]) assert.equal((await rig.next("out0"))["second"], second);
  rig.send({ topic: "elsewhere", payload: 1 });
  assert.match(await textOf(rig, "caught"), /refuses \(422\): .*no source wants the topic/);
  rig.send({ payload: 1 });
  assert.match(await textOf(rig, "caught"), /the message has no topic/);
});

test("while the agent is away messages wait, up to the bound, and go in their order when it is back", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent.node, { queueMessages: "5" }));
  await agent.stop();
  for (let second = 0; second < 7; second++) rig.send(reading(second));
  for (const second of [5, 6]) {
    const caught = (await rig.next("caught")) as { second: number; error: { message: string } };
    assert.equal(caught.second, second);
    assert.match(caught.error.message, /the queue is full \(5 messages.*this message was dropped/);
  }
  await agent.start();
  for (let second = 0; second < 5; second++) {
    assert.equal((await rig.next("out0"))["second"], second);
  }
  assert.deepEqual(await storedIn(agent), [0, 1, 2, 3, 4]);
});

test("or the oldest give way, where that is chosen", async (t) => {
  const agent = await AgentRig.start(t);
  const changes = { queueMessages: "3", whenFull: "drop-oldest" };
  const rig = await startRig(t, register, flowWith(agent.node, changes));
  await agent.stop();
  for (let second = 0; second < 5; second++) rig.send(reading(second));
  const dropped = [await rig.next("caught"), await rig.next("caught")];
  assert.match(
    (dropped[0] as { error: { message: string } }).error.message,
    /the queue is full \(3 messages.*this message was dropped/,
  );
  await agent.start();
  const published: unknown[] = [];
  for (let at = 0; at < 3; at++) published.push((await rig.next("out0"))["second"]);
  const all = [...dropped.map(({ second }) => second), ...published];
  assert.deepEqual(
    all.toSorted((a, b) => Number(a) - Number(b)),
    [0, 1, 2, 3, 4],
  );
  assert.ok(published.includes(4), "the newest stay");
});

/** An agent of which the test says what it answers, and what bodies came under which keys. */
async function standIn(
  t: TestContext,
  answer: (body: string, response: ServerResponse, nth: number) => void,
): Promise<{ readonly node: FlowNode; readonly bodies: { key: string; body: string }[] }> {
  const bodies: { key: string; body: string }[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = Buffer.concat(parts).toString();
      bodies.push({ key: String(request.headers["idempotency-key"]), body });
      answer(body, response, bodies.length);
    });
  });
  return { node: agentAt(await portOf(t, server)), bodies };
}

function taken(body: string, response: ServerResponse): void {
  const messages = body.split("\n").length;
  const counts = { messages, decoded: messages, deadLettered: 0, unwanted: 0, repeated: false };
  response.end(JSON.stringify(counts));
}

test("a body whose answer is lost, or that has no room, is sent again as it was, under its key", async (t) => {
  const { node, bodies } = await standIn(t, (body, response, nth) => {
    if (nth === 1) response.destroy();
    else if (nth === 2) response.writeHead(503, { "Retry-After": "0" }).end("{}");
    else if (nth === 3) response.writeHead(401).end('{"message":"the token is not known here"}');
    else taken(body, response);
  });
  const rig = await startRig(t, register, flowWith(node));
  rig.send(reading(1));
  rig.send(reading(2));
  await rig.next("out0");
  await rig.next("out0");
  rig.send(reading(3));
  await rig.next("out0");
  assert.equal(bodies.length, 5);
  const [first, ...others] = bodies;
  for (const again of others.slice(0, 3)) assert.deepEqual(again, first);
  assert.notEqual(bodies[4]?.key, first?.key);
  assert.match(first?.key ?? "", /^[\x21-\x7e]{1,64}$/);
  assert.match(rig.warnings.join("\n"), /the token is not known here/, "why it waits is told");
});

test("what waits when the node closes goes on after a deploy, in its order and each once", async (t) => {
  let isAway = true;
  const took: number[] = [];
  const { node, bodies } = await standIn(t, (body, response) => {
    if (isAway) return void response.destroy();
    for (const line of body.split("\n")) took.push(JSON.parse(line).payload.v);
    taken(body, response);
  });
  const flow = flowWith(node);
  const rig = await startRig(t, register, flow);
  for (let second = 0; second < 250; second++) rig.send(reading(second));
  for (let at = 0; at < 200 && bodies.length === 0; at++) await wait(10);
  await wait(50);
  await rig.deploy(flow);
  isAway = false;
  for (let at = 0; at < 500 && took.length < 250; at++) await wait(10);
  assert.deepEqual(
    took,
    Array.from({ length: 250 }, (_, second) => second),
  );
  const sent = bodies.filter(({ body }) => body === bodies[0]?.body);
  assert.equal(new Set(sent.map(({ key }) => key)).size, 1, "the body under way keeps its key");
  rig.send(reading(250));
  for (let second = 0; second <= 250; second++) {
    assert.equal((await rig.next("out0"))["second"], second, "each goes on, also after the deploy");
  }
});

test("a message that is on its way when the node closes goes to the agent, too", async (t) => {
  const agent = await AgentRig.start(t);
  const flow = flowWith(agent.node);
  const rig = await startRig(t, register, flow);
  rig.sendAtClose(reading(1));
  await rig.deploy(flow);
  rig.send(reading(2));
  await rig.next("out0");
  assert.deepEqual(rig.errors(), []);
  assert.deepEqual(await storedIn(agent), [1, 2]);
});

test("what may be at one agent is never sent to another", async (t) => {
  const away = await standIn(t, (_, response) => void response.destroy());
  const other = await standIn(t, taken);
  const rig = await startRig(t, register, flowWith(away.node));
  rig.send(reading(1));
  for (let at = 0; at < 200 && away.bodies.length === 0; at++) await wait(10);
  await wait(50);
  await rig.deploy(flowWith(other.node));
  rig.send(reading(2));
  assert.equal((await rig.next("out0"))["second"], 2);
  assert.equal(other.bodies.length, 1);
  assert.match(
    rig.errors("warn").join(),
    /does not have 1 message yet: .*, to that agent alone; .*dropped: 1 message for the agent at \S+,/,
  );
});

test("what waits for an agent that never answered goes to the one that the node has next", async (t) => {
  const strange = await standIn(
    t,
    (_, response) => void response.writeHead(404).end("no such page"),
  );
  const other = await standIn(t, taken);
  const rig = await startRig(t, register, flowWith(agentAt(1)));
  rig.send(reading(1));
  for (let at = 0; at < 200 && rig.warnings.length === 0; at++) await wait(10);
  rig.send(reading(2));
  await rig.deploy(flowWith(strange.node));
  for (let at = 0; at < 200 && strange.bodies.length === 0; at++) await wait(10);
  await wait(50);
  await rig.deploy(flowWith(other.node));
  for (const second of [1, 2]) assert.equal((await rig.next("out0"))["second"], second);
  assert.match(rig.errors("warn").join(), /2 messages yet: .*, to whichever agent it has then;/);
  assert.doesNotMatch(rig.errors("warn").join(), /dropped/);
  assert.match(
    rig.errors("info").join(),
    /now for the agent at \S+: 2 messages that waited for that at 127\.0\.0\.1:1, which has not/,
  );
});

test("nor has a program that speaks no HTTP taken anything", async (t) => {
  const ssh = await portOf(
    t,
    createTcp((socket) => void socket.on("error", () => undefined).write("SSH-2.0-OpenSSH\r\n")),
  );
  const other = await standIn(t, taken);
  const rig = await startRig(t, register, flowWith(agentAt(ssh)));
  rig.send(reading(1));
  for (let at = 0; at < 200 && rig.warnings.length === 0; at++) await wait(10);
  assert.match(rig.warnings.join(), /what it says is no HTTP/);
  await rig.deploy(flowWith(other.node));
  assert.equal((await rig.next("out0"))["second"], 1);
});

test("that a node goes with what it left is told, also where its last settings were wrong", async (t) => {
  const rig = await startRig(t, register, flowWith(agentAt(1)));
  rig.send(reading(1));
  for (let at = 0; at < 200 && rig.warnings.length === 0; at++) await wait(10);
  const wrong = flowWith(agentAt(1), { queueMessages: "many" });
  await rig.deploy(wrong);
  assert.doesNotMatch(rig.errors("warn").join(), /is lost/);
  await rig.deploy(wrong.filter(({ id }) => id !== "n"));
  assert.match(
    rig.errors("warn").at(-1) ?? "",
    /does not have 1 message yet: the node is gone, and what waited is lost$/,
  );
  const other = await standIn(t, taken);
  await rig.deploy(flowWith(other.node));
  rig.send(reading(2));
  assert.equal((await rig.next("out0"))["second"], 2, "it does not come back with its id");
});

test("what waited when an agent answered is for that one, what came since is for any", async (t) => {
  let isThere = true;
  const first = await standIn(t, (_, response, nth) => {
    if (!isThere) return void response.destroy();
    if (nth > 1) isThere = false;
    response.writeHead(503, { "Retry-After": "0" }).end('{"message":"it ends"}');
  });
  const other = await standIn(t, taken);
  const rig = await startRig(t, register, flowWith(first.node));
  rig.send(reading(1));
  for (let at = 0; at < 200 && first.bodies.length === 0; at++) await wait(10);
  rig.send(reading(2));
  for (let at = 0; at < 200 && isThere; at++) await wait(10);
  await wait(50);
  rig.send(reading(3));
  await rig.deploy(flowWith(other.node));
  assert.equal((await rig.next("out0"))["second"], 3);
  assert.equal(other.bodies.length, 1);
  assert.match(
    rig.errors("warn").join(),
    /3 messages yet: .*, 2 to that agent alone, the others to whichever.*dropped: 2 messages/,
  );
});

async function statusEnds(rig: Rig, text: string): Promise<void> {
  const newest = (): string => rig.statuses.at(-1)?.text ?? "";
  for (let at = 0; at < 200 && !newest().endsWith(text); at++) await wait(10);
  assert.ok(newest().endsWith(text), newest());
}

test("an agent that refuses is told apart from one that is away", async (t) => {
  const { node } = await standIn(t, (_, response) => {
    response.writeHead(401).end('{"message":"the token is not known here"}');
  });
  const rig = await startRig(t, register, flowWith(node));
  rig.send(reading(1));
  await statusEnds(rig, "status.refuses");
  assert.match(rig.warnings.join(), /refuses \(401\): the token is not known here/);
});

test("an agent that ends is busy, which is no refusal, and the log says once that it answers again", async (t) => {
  let isEnding = true;
  const { node } = await standIn(t, (body, response) => {
    if (!isEnding) return taken(body, response);
    const said = '{"error":"ending","message":"the agent ends; send it again when it is back"}';
    response.writeHead(503, { "Retry-After": "0" }).end(said);
  });
  const rig = await startRig(t, register, flowWith(node));
  rig.send(reading(1));
  await statusEnds(rig, "status.busy");
  assert.match(
    rig.warnings.join(),
    /^the agent at \S+ is busy \(503\): the agent ends; send it again/,
  );
  isEnding = false;
  for (const second of [1, 2]) {
    assert.equal((await rig.next("out0"))["second"], second);
    rig.send(reading(second + 1));
  }
  assert.match(rig.errors("info").join("; "), /^the agent at \S+ answers again$/);
});

test("without an address both nodes say how to write one", async (t) => {
  const nowhere = { ...agentAt(1), address: " " };
  const rig = await startRig(t, register, flowWith(nowhere));
  const said = "the agent has no address: write it as http://127.0.0.1:8080";
  assert.deepEqual(rig.errors("error", "agent1"), [said]);
  assert.deepEqual(rig.errors(), [said]);
  rig.send(reading(1));
  assert.match(await textOf(rig, "caught"), /the agent has no address: write it as/);
});

test("another program that answers there is told of, and nothing is taken for sent", async (t) => {
  let isPortal = true;
  const { node } = await standIn(t, (body, response) => {
    if (isPortal) response.end("<html>Log in</html>");
    else taken(body, response);
  });
  const rig = await startRig(t, register, flowWith(node));
  rig.send(reading(1));
  for (let at = 0; at < 200 && rig.warnings.length === 0; at++) await wait(10);
  assert.match(rig.warnings.join(), /is away: what answers there \(200\) is no agent/);
  await statusEnds(rig, "status.away");
  isPortal = false;
  assert.equal((await rig.next("out0"))["second"], 1);
});

test("a proxy's answer refuses nothing for good, an agent's own does", async (t) => {
  const page = "<html><center>nginx</center></html>";
  const own = '{"error":"too_large","message":"the body is too long"}';
  const { node, bodies } = await standIn(t, (body, response, nth) => {
    if (nth === 1) response.writeHead(413, { "Retry-After": "0" }).end(page);
    else if (nth === 2) response.writeHead(400, { "Retry-After": "0" }).end(page);
    else if (nth === 4) response.writeHead(413).end(own);
    else if (nth === 5) response.writeHead(422).end(own);
    else taken(body, response);
  });
  const rig = await startRig(t, register, flowWith(node));
  rig.send(reading(1));
  assert.equal((await rig.next("out0"))["second"], 1);
  assert.equal(new Set(bodies.map(({ key }) => key)).size, 1);
  assert.match(rig.warnings.join(), /away: what answers there \(413\).*answers there \(400\)/s);
  for (const status of [413, 422]) {
    rig.send(reading(2));
    const refused = new RegExp(`refuses \\(${status}\\): the body is too long`);
    assert.match(await textOf(rig, "caught"), refused);
  }
  assert.equal(bodies.length, 5);
});

test("payloads that JSON has no word for are refused in a sentence", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent.node));
  const circular: { self?: unknown } = {};
  circular.self = circular;
  for (const payload of [{ big: 1n }, circular]) {
    rig.send({ topic, payload });
    assert.match(await textOf(rig, "caught"), /cannot be written as JSON \(.*\): send numbers/s);
  }
});

test("settings that are wrong are said, and each message goes to Catch nodes", async (t) => {
  const agent = await AgentRig.start(t);
  const rig = await startRig(t, register, flowWith(agent.node, { queueMessages: "many" }));
  assert.match(rig.errors().join(), /queueMessages is "many": set a number/);
  rig.send(reading(1));
  assert.match(await textOf(rig, "caught"), /queueMessages is "many"/);
});
