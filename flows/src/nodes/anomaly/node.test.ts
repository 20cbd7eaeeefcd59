/** The anomaly node in Node-RED's runtime; its charts themselves are tested in src/edge-ops/detect. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { flowOf, startRig, type Rig } from "../../../test/rig.ts";
import type { Message } from "../../red.ts";
import { register } from "./node.ts";

const T = Date.parse("2026-03-01T10:00:00Z");

const node = {
  type: "weir-anomaly",
  version: 1,
  name: "",
  keyProperty: "topic",
  valueProperty: "payload.value",
  timeFrom: "message",
  timeProperty: "payload.time",
  keysMax: 2,
  forgetSeconds: 0,
  disorderSeconds: 0,
  idleSeconds: 60,
  futureSeconds: 0,
  store: "",
  lambda: "0.5",
  sigmas: "3",
  warmup: "10",
  baseline: "0.01",
  sigmaMin: "0.1",
  rearm: "2",
};

const flow = flowOf(node, 2);

function at(seconds: number, value: unknown, topic = "p1"): Message {
  return { topic, payload: { value, time: T + seconds * 1_000 } };
}

/** Ten numbers around 20, which is what the node learns from; it has taken them. */
async function teach(rig: Rig): Promise<void> {
  for (let i = 0; i < 10; i++) rig.send(at(i, 20 + (i % 2)));
  for (let i = 0; i < 10; i++) await rig.next("out1");
}

test("a shift comes out of the first output once, all else as it came of the second", async (t) => {
  const rig = await startRig(t, register, flow);
  await teach(rig);
  rig.send({ ...at(10, 30), note: "mine" });
  rig.send(at(11, 30));
  const found = await rig.next("out0");
  assert.equal(found["note"], "mine");
  const { score, expected, limit, ...rest } = found["anomaly"] as Record<string, number>;
  assert.deepEqual(rest, { key: "p1", time: T + 10_000, value: 30, reason: "high" });
  assert.equal(expected, 20.5);
  assert.ok(score! > 3 && limit! > 20.5 && limit! < 30);
  const quiet = await rig.next("out1");
  assert.equal(quiet["anomaly"], undefined);
  assert.deepEqual(rig.rest("out0"), []);
});

test("what was learnt goes on over a deploy", async (t) => {
  const rig = await startRig(t, register, flow);
  await teach(rig);
  await rig.deploy(flow);
  rig.send(at(10, 10));
  assert.equal(((await rig.next("out0"))["anomaly"] as { reason: string }).reason, "low");
});

test("other settings learn anew", async (t) => {
  const rig = await startRig(t, register, flow);
  await teach(rig);
  await rig.deploy(flowOf({ ...node, warmup: "11" }, 2));
  rig.send(at(10, 10));
  assert.deepEqual((await rig.next("out1"))["payload"], at(10, 10)["payload"]);
});

test("a message without a number goes to Catch nodes", async (t) => {
  const rig = await startRig(t, register, flow);
  rig.send(at(0, Number.NaN));
  const caught = await rig.next("caught");
  assert.match(String((caught["error"] as Error).message), /payload\.value .* must be a number/);
});

test("a key too many goes to Catch nodes", async (t) => {
  const rig = await startRig(t, register, flow);
  for (const key of ["p1", "p2", "p3"]) rig.send(at(0, 1, key));
  const caught = await rig.next("caught");
  assert.match(String((caught["error"] as Error).message), /"p3" is one key more than the 2/);
});

test("a hand-written node takes payload by topic, when it comes", async (t) => {
  const rig = await startRig(t, register, flowOf({ type: "weir-anomaly", warmup: 2 }, 2));
  for (const payload of [20, 21, 90]) rig.send({ topic: "p1", payload });
  assert.equal((await rig.next("out0"))["payload"], 90);
});
