/** The report node in Node-RED's runtime. */

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { flowOf, startRig } from "../../../test/rig.ts";
import { register } from "./node.ts";

const T = Date.parse("2026-03-01T10:00:00Z");
const node = { type: "weir-report", band: "1", silenceSeconds: "60" };

/** What passes of these values of one key, which come a second apart. */
async function passed(
  t: TestContext,
  settings: object,
  values: readonly unknown[],
): Promise<readonly unknown[]> {
  const rig = await startRig(t, register, flowOf({ ...node, ...settings }, 1));
  t.mock.timers.enable({ apis: ["Date"], now: T });
  for (const [i, payload] of values.entries()) {
    t.mock.timers.setTime(T + i * 1_000);
    rig.send({ topic: "tank", payload });
    await rig.next("completed");
  }
  return rig.rest("out0").map(({ payload }) => payload);
}

test("a value passes when it is beyond the band of the one that passed", async (t) => {
  const values = [20, 20.9, 21, 21.1, 20.2, 20];
  assert.deepEqual(await passed(t, { mode: "absolute" }, values), [20, 21.1, 20]);
});

test("a slow drift is reported", async (t) => {
  const values = Array.from({ length: 21 }, (_, i) => 20 + i / 8);
  assert.deepEqual(await passed(t, { mode: "absolute" }, values), [20, 21.125, 22.25]);
});

test("percent is of what was reported", async (t) => {
  const values = [200, 209, 211, 199];
  assert.deepEqual(await passed(t, { mode: "percent", band: 5 }, values), [200, 211, 199]);
});

test("each change takes texts and booleans", async (t) => {
  const values = ["run", "run", "stop", true, true, false];
  assert.deepEqual(await passed(t, { mode: "change" }, values), ["run", "stop", true, false]);
});

test("an unchanged value passes after the silence", async (t) => {
  const values = Array.from({ length: 125 }, () => 20);
  assert.equal((await passed(t, { mode: "absolute" }, values)).length, 3);
});

test("keys are apart, one too many goes to Catch nodes, and a silent one makes room", async (t) => {
  const settings = { mode: "absolute", keysMax: 2, forgetSeconds: 10 };
  const rig = await startRig(t, register, flowOf({ ...node, ...settings }, 1));
  t.mock.timers.enable({ apis: ["Date"], now: T });
  for (const topic of ["a", "b"]) rig.send({ topic, payload: 1 });
  await rig.next("out0");
  await rig.next("out0");
  t.mock.timers.setTime(T + 5_000);
  rig.send({ topic: "a", payload: 1 });
  rig.send({ topic: "c", payload: 1 });
  const caught = await rig.next("caught");
  assert.match(String((caught["error"] as Error).message), /"c" is one key more than the 2/);
  t.mock.timers.setTime(T + 10_000);
  rig.send({ topic: "c", payload: 1 });
  assert.equal((await rig.next("out0"))["topic"], "c");
  rig.send({ topic: "a", payload: 1.5 });
  rig.send({ topic: "a", payload: 7 });
  assert.equal((await rig.next("out0"))["payload"], 7);
});

test("what was reported is known after a deploy", async (t) => {
  const flow = flowOf({ ...node, mode: "absolute" }, 1);
  const rig = await startRig(t, register, flow);
  rig.send({ topic: "tank", payload: 20 });
  await rig.next("out0");
  await rig.deploy(flow);
  rig.send({ topic: "tank", payload: 20.5 });
  rig.send({ topic: "tank", payload: 25 });
  assert.equal((await rig.next("out0"))["payload"], 25);
});

test("a value that is no number goes to Catch nodes where there is a band", async (t) => {
  const rig = await startRig(t, register, flowOf({ ...node, mode: "percent" }, 1));
  rig.send({ topic: "tank", payload: "run" });
  const caught = await rig.next("caught");
  assert.match(String((caught["error"] as Error).message), /msg\.payload is "run"/);
});
