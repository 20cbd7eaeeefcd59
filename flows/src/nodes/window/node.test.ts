/** The window node in Node-RED's runtime; its windows themselves are tested in src/edge-ops. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { flowOf, startRig, temporaryFolder } from "../../../test/rig.ts";
import type { Message } from "../../red.ts";
import { register } from "./node.ts";

const T = Date.parse("2026-03-01T10:00:00Z");

const node = {
  type: "weir-window",
  version: 1,
  name: "",
  keyProperty: "topic",
  valueProperty: "payload",
  timeFrom: "message",
  timeProperty: "time",
  keysMax: "100",
  forgetSeconds: "86400",
  disorderSeconds: "0",
  idleSeconds: "60",
  futureSeconds: "0",
  store: "",
  window: "tumbling",
  sizeSeconds: "10",
  hopSeconds: "10",
  gapSeconds: "10",
  latenessSeconds: "0",
  aggregates: "count,mean,max,p50,stddev",
};

const flow = flowOf(node, 2);

/** A reading of pump p1, `seconds` after T. */
function at(seconds: number, payload: unknown, topic: unknown = "p1"): Message {
  return { topic, payload, time: T + seconds * 1_000 };
}

test("a window is emitted when a message of its key is past its end", async (t) => {
  const rig = await startRig(t, register, flow);
  for (const message of [at(1, 2), at(2, "4"), at(3, 9), at(11, 1)]) rig.send(message);
  const result = await rig.next("out0");
  const { _msgid, ...rest } = result;
  assert.equal(typeof _msgid, "string");
  assert.deepEqual(rest, {
    topic: "p1",
    payload: { count: 3, mean: 5, max: 9, stddev: Math.sqrt(26 / 3), p50: 4 },
    window: { key: "p1", start: T, end: T + 10_000, revision: 0, count: 3 },
  });
  await rig.next("completed");
  assert.deepEqual(rig.rest("caught"), []);
});

test("a message that is late comes out of the second output as it came", async (t) => {
  const rig = await startRig(t, register, flow);
  for (const message of [at(1, 2), at(21, 1), { ...at(2, 7), note: "mine" }]) rig.send(message);
  const late = await rig.next("out1");
  assert.equal(late["payload"], 7);
  assert.equal(late["note"], "mine");
  assert.deepEqual(late["late"], { key: "p1", time: T + 2_000 });
});

test("within the lateness a window is emitted again, one revision on", async (t) => {
  const rig = await startRig(t, register, flowOf({ ...node, latenessSeconds: "60" }, 2));
  for (const message of [at(1, 2), at(11, 1), at(2, 8)]) rig.send(message);
  assert.deepEqual((await rig.next("out0"))["payload"], {
    count: 1,
    mean: 2,
    max: 2,
    p50: 2,
    stddev: 0,
  });
  const again = await rig.next("out0");
  assert.deepEqual(again["window"], {
    key: "p1",
    start: T,
    end: T + 10_000,
    revision: 1,
    count: 2,
  });
});

for (const [what, message, error] of [
  ["no number", at(1, "warm"), /msg\.payload is "warm": it must be a number/],
  ["no time", { topic: "p1", payload: 1 }, /msg\.time is missing: it must be milliseconds/],
  ["a key that is an object", at(1, 1, { a: 1 }), /msg\.topic is {"a":1}: it must be a text/],
] as const) {
  test(`a message with ${what} goes to Catch nodes, and the next is taken`, async (t) => {
    const rig = await startRig(t, register, flow);
    rig.send(message);
    const caught = await rig.next("caught");
    assert.match(messageOf(caught), error);
    for (const fine of [at(1, 2), at(11, 1)]) rig.send(fine);
    assert.equal((await rig.next("out0"))["topic"], "p1");
    await rig.stop();
  });
}

test("a message without what the property is in goes to Catch nodes, and the node goes on", async (t) => {
  const rig = await startRig(
    t,
    register,
    flowOf({ ...node, valueProperty: "payload.deep.value" }, 2),
  );
  for (const payload of [null, 7, {}]) {
    rig.send(at(1, payload));
    assert.match(messageOf(await rig.next("caught")), /payload\.deep\.value/);
  }
  for (const second of [1, 11]) rig.send(at(second, { deep: { value: 3 } }));
  assert.equal(countOf(await rig.next("out0")), 1);
});

test("a time too far ahead of the clock goes to Catch nodes and closes nothing", async (t) => {
  const rig = await startRig(t, register, flowOf({ ...node, futureSeconds: "60" }, 2));
  rig.send(at(1, 2));
  rig.send({ topic: "p1", payload: 1, time: Date.now() + 3_600_000 });
  assert.match(messageOf(await rig.next("caught")), /too far ahead of this machine's clock/);
  assert.deepEqual(rig.rest("out0"), []);
});

test("a window goes on over a deploy", async (t) => {
  const rig = await startRig(t, register, flow);
  rig.send(at(1, 2));
  await rig.next("completed");
  await rig.deploy(flow);
  for (const message of [at(2, 4), at(11, 1)]) rig.send(message);
  assert.equal(countOf(await rig.next("out0")), 2);
});

test("other settings emit what is open, and begin anew", async (t) => {
  const rig = await startRig(t, register, flow);
  rig.send(at(1, 2));
  await rig.next("completed");
  await rig.deploy(flowOf({ ...node, sizeSeconds: "20" }, 2));
  const cut = await rig.next("out0");
  assert.equal(countOf(cut), 1);
  assert.equal((cut["window"] as { end: number }).end, T + 10_000);
  await rig.deploy(flowOf({ ...node, sizeSeconds: "20" }, 2));
  await wait(100);
  assert.deepEqual(rig.rest("out0"), [], "what was open is emitted once");
  for (const message of [at(2, 4), at(21, 1)]) rig.send(message);
  const anew = await rig.next("out0");
  assert.equal(countOf(anew), 1);
  assert.equal((anew["window"] as { end: number }).end, T + 20_000);
});

test("with a store of files a window goes on over a restart", async (t) => {
  const folder = temporaryFolder();
  const kept = flowOf({ ...node, store: "file" }, 2);
  const before = await startRig(t, register, kept, { filesIn: folder });
  before.send(at(1, 2));
  await before.next("completed");
  await before.stop();
  const after = await startRig(t, register, kept, { filesIn: folder });
  for (const message of [at(2, 4), at(11, 1)]) after.send(message);
  assert.equal(countOf(await after.next("out0")), 2);
});

test("a key too many goes to Catch nodes; the others go on", async (t) => {
  const rig = await startRig(t, register, flowOf({ ...node, keysMax: "1", forgetSeconds: "0" }, 2));
  rig.send(at(1, 2));
  rig.send(at(1, 2, "p2"));
  assert.match(
    messageOf(await rig.next("caught")),
    /"p2" is one key more than the 1 that the node keeps/,
  );
  rig.send(at(11, 1));
  assert.equal(countOf(await rig.next("out0")), 1);
});

test("settings that are wrong are said, and each message goes to Catch nodes", async (t) => {
  const rig = await startRig(t, register, flowOf({ ...node, sizeSeconds: "soon" }, 2));
  rig.send(at(1, 2));
  assert.match(messageOf(await rig.next("caught")), /sizeSeconds is "soon": set a number/);
  assert.equal(rig.statuses.at(-1)?.fill ?? "red", "red");
});

test("a node of a flow that was written by hand has the editor's settings where it says nothing", async (t) => {
  const rig = await startRig(t, register, flowOf({ type: "weir-window", timeFrom: "message" }, 2));
  for (const message of [at(1, 2), at(61, 1)]) rig.send(message);
  assert.deepEqual((await rig.next("out0"))["payload"], { count: 1, mean: 2, min: 2, max: 2 });
});

test("a node of a newer package says so and takes nothing", async (t) => {
  const rig = await startRig(t, register, flowOf({ ...node, version: 99 }, 2));
  rig.send(at(1, 2));
  assert.match(messageOf(await rig.next("caught")), /configured by a newer package/);
});

test("without further messages a silent key is emitted, and the status follows once a second", async (t) => {
  const rig = await startRig(t, register, flow);
  t.mock.timers.enable({ apis: ["Date", "setTimeout"], now: T });
  for (let i = 0; i < 50; i++) rig.send(at(1 + i / 100, 2));
  for (let i = 0; i < 50; i++) await rig.next("completed");
  assert.deepEqual(rig.rest("out0"), []);
  t.mock.timers.tick(61_000);
  assert.equal(countOf(await rig.next("out0")), 50);
  assert.ok(rig.statuses.length <= 5, `${rig.statuses.length} statuses`);
});

function countOf(message: Message): unknown {
  return (message["payload"] as { count: number }).count;
}

function messageOf(caught: Message): string {
  return (caught["error"] as { message: string }).message;
}
