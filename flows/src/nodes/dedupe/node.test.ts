/** The dedupe node in Node-RED's runtime, in both ways to tell. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { flowOf, startRig, temporaryFolder } from "../../../test/rig.ts";
import type { Message } from "../../red.ts";
import { register } from "./node.ts";

const T = Date.parse("2026-03-01T10:00:00Z");
const byId = { type: "weir-dedupe", by: "identity", idProperty: "id", remember: "3" };
const byReading = { type: "weir-dedupe", by: "reading", ring: "4", futureSeconds: 0, keysMax: 1 };

function message(id: unknown, topic = "m1"): Message {
  return { topic, payload: "x", id };
}

test("the same id of a key is resent, of another key it is new", async (t) => {
  const rig = await startRig(t, register, flowOf(byId, 2));
  for (const one of [message(1), message("1"), message(1, "m2"), message(2)]) rig.send(one);
  const resent = await rig.next("out1");
  assert.equal(resent["id"], "1");
  const fresh = [await rig.next("out0"), await rig.next("out0"), await rig.next("out0")];
  assert.deepEqual(
    fresh.map(({ topic, id }) => [topic, id]),
    [
      ["m1", 1],
      ["m2", 1],
      ["m1", 2],
    ],
  );
});

test("at the bound the oldest id is forgotten, and only that", async (t) => {
  const rig = await startRig(t, register, flowOf(byId, 2));
  for (const id of [1, 2, 3, 4, 2, 1]) rig.send(message(id));
  const ids: unknown[] = [];
  for (let i = 0; i < 5; i++) ids.push((await rig.next("out0"))["id"]);
  assert.deepEqual(ids, [1, 2, 3, 4, 1]);
  assert.equal((await rig.next("out1"))["id"], 2);
});

test("an id is forgotten when it first came too long ago", async (t) => {
  const rig = await startRig(t, register, flowOf({ ...byId, withinSeconds: "60" }, 2));
  t.mock.timers.enable({ apis: ["Date"], now: T });
  rig.send(message(1));
  await rig.next("out0");
  t.mock.timers.setTime(T + 59_000);
  rig.send(message(1));
  await rig.next("out1");
  t.mock.timers.setTime(T + 61_000);
  rig.send(message(1));
  await rig.next("out0");
});

test("a message without an id goes to Catch nodes", async (t) => {
  const rig = await startRig(t, register, flowOf(byId, 2));
  rig.send(message(undefined));
  const caught = await rig.next("caught");
  assert.match(String((caught["error"] as Error).message), /msg\.id is missing: it must be a text/);
});

for (const [what, store] of [
  ["deploy", ""],
  ["restart", "file"],
] as const) {
  test(`ids are known after a ${what}`, async (t) => {
    const folder = temporaryFolder();
    const flow = flowOf({ ...byId, store }, 2);
    let rig = await startRig(t, register, flow, { filesIn: folder });
    rig.send(message(1));
    await rig.next("out0");
    if (what === "deploy") await rig.deploy(flow);
    else {
      await rig.stop();
      rig = await startRig(t, register, flow, { filesIn: folder });
    }
    rig.send(message(1));
    await rig.next("out1");
  });
}

test("the same time and number of a key is resent, another number at the time is new", async (t) => {
  const rig = await startRig(t, register, flowOf(byReading, 2));
  for (const [seconds, payload] of [
    [1, 5],
    [2, 5],
    [1, 5],
    [1, 6],
  ] as const) {
    rig.send({ topic: "m1", payload, time: T + seconds * 1_000 });
  }
  const resent = await rig.next("out1");
  assert.equal(resent["time"], T + 1_000);
  const values: unknown[] = [];
  for (let i = 0; i < 3; i++) values.push((await rig.next("out0"))["payload"]);
  assert.deepEqual(values, [5, 5, 6]);
});

test("readings are known after a deploy, and none are after the way to tell has changed", async (t) => {
  const rig = await startRig(t, register, flowOf(byReading, 2));
  const reading = { topic: "m1", payload: 5, time: T };
  rig.send({ ...reading });
  await rig.next("out0");
  await rig.deploy(flowOf(byReading, 2));
  rig.send({ ...reading });
  await rig.next("out1");
  await rig.deploy(flowOf({ ...byId, idProperty: "payload" }, 2));
  rig.send({ ...reading });
  await rig.next("out0");
});
