/** The sketch node in Node-RED's runtime; the sketches themselves are tested in src/edge-ops/sketch. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { flowOf, startRig } from "../../../test/rig.ts";
import { register } from "./node.ts";

const T = Date.parse("2026-03-01T10:00:00Z");
const top = { type: "weir-sketch", method: "top", periodSeconds: "60", topCount: "2" };
const quantiles = {
  type: "weir-sketch",
  method: "quantiles",
  periodSeconds: "60",
  timeFrom: "message",
  futureSeconds: 0,
};

test("at the end of a period the most frequent items come, counted", async (t) => {
  const rig = await startRig(t, register, flowOf(top, 2));
  t.mock.timers.enable({ apis: ["Date", "setTimeout"], now: T + 5_000 });
  const items = ["E1", "E2", "E3", "E2", "E3", "E3", "E4", "E5"];
  for (const payload of items) rig.send({ payload });
  for (let i = 0; i < items.length; i++) await rig.next("completed");
  t.mock.timers.tick(54_999);
  assert.deepEqual(rig.rest("out0"), []);
  t.mock.timers.tick(1);
  const result = await rig.next("out0");
  assert.deepEqual(result["payload"], [
    { item: "E3", count: 3, share: 3 / 8 },
    { item: "E2", count: 2, share: 2 / 8 },
  ]);
  assert.deepEqual(result["window"], { start: T, end: T + 60_000, count: 8 });
  assert.equal(result["error"], 1);
  rig.send({ payload: "E2" });
  await rig.next("completed");
  t.mock.timers.tick(60_000);
  assert.deepEqual((await rig.next("out0"))["payload"], [{ item: "E2", count: 1, share: 1 }]);
});

test("of many items none of the frequent is missed, and a count is over by the error at most", async (t) => {
  const rig = await startRig(t, register, flowOf({ ...top, topCount: 5, errorPercent: 1 }, 2));
  t.mock.timers.enable({ apis: ["Date", "setTimeout"], now: T });
  const counts = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    // Item k comes about as often as 1 / k.
    const payload = `E${Math.floor(2_000 ** ((i * 0.618_033_988_7) % 1))}`;
    counts.set(payload, (counts.get(payload) ?? 0) + 1);
    rig.send({ payload });
    if (i % 1_000 === 999) for (let j = 0; j < 1_000; j++) await rig.next("completed");
  }
  t.mock.timers.tick(60_000);
  const result = await rig.next("out0");
  const found = result["payload"] as { item: string; count: number }[];
  const frequent = [...counts].toSorted(([, a], [, b]) => b - a).slice(0, 5);
  assert.deepEqual(
    found.map(({ item }) => item),
    frequent.map(([item]) => item),
  );
  for (const { item, count } of found) {
    const over = count - counts.get(item)!;
    assert.ok(over >= 0 && over <= (result["error"] as number), `${item} is over by ${over}`);
  }
});

test("a period goes on over a deploy, and one that ended meanwhile comes at the start", async (t) => {
  const flow = flowOf(top, 2);
  const rig = await startRig(t, register, flow);
  t.mock.timers.enable({ apis: ["Date"], now: T + 5_000 });
  rig.send({ payload: "E1" });
  await rig.next("completed");
  await rig.deploy(flow);
  rig.send({ payload: "E1" });
  await rig.next("completed");
  t.mock.timers.setTime(T + 65_000);
  await rig.deploy(flow);
  const result = await rig.next("out0");
  assert.deepEqual(result["payload"], [{ item: "E1", count: 2, share: 1 }]);
});

test("percentiles of each key come with their sketch", async (t) => {
  const rig = await startRig(t, register, flowOf(quantiles, 2));
  for (let i = 0; i < 100; i++) rig.send({ topic: "p1", payload: i + 1, time: T + i * 100 });
  rig.send({ topic: "p1", payload: 0, time: T + 60_000 });
  const result = await rig.next("out0");
  assert.deepEqual(result["payload"], {
    count: 100,
    min: 1,
    max: 100,
    p50: 50,
    p90: 90,
    p95: 95,
    p99: 99,
  });
  assert.ok(Buffer.isBuffer(result["sketch"]) && result["sketch"].length > 100 * 8);
  rig.send({ topic: "p1", payload: 7, time: T });
  assert.deepEqual((await rig.next("out1"))["late"], { key: "p1", time: T });
});

test("an item that is an object goes to Catch nodes", async (t) => {
  const rig = await startRig(t, register, flowOf(top, 2));
  rig.send({ payload: { code: 1 } });
  const caught = await rig.next("caught");
  assert.match(String((caught["error"] as Error).message), /must be a text, number or boolean/);
});
