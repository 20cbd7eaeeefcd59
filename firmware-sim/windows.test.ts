import assert from "node:assert/strict";
import { test } from "node:test";
import type { Message, ReadingTruth } from "./event.ts";
import { Windows } from "./windows.ts";

function message(values: readonly ReadingTruth[], qos: 0 | 1 = 1): Message {
  const truth = { role: "original", readings: values.length, values, faults: [] } as const;
  return { topic: "t", payload: Buffer.from("1"), qos, dup: false, truth };
}

function flow(value: number, ts: number): ReadingTruth {
  return { metric: "flow", value, ts };
}

test("what was acknowledged counts once, in the window of its device time", () => {
  const windows = new Windows({ windowMs: 10_000, now: () => 20_500 });
  const first = message([flow(3, 19_998), flow(5, 20_000)]);
  const copy = { ...first, dup: true };
  windows.sent("pump-1", first);
  windows.sent("pump-1", copy);
  windows.acked("pump-1", copy);
  windows.acked("pump-1", first);
  windows.sent("pump-1", first);
  const same = { line: "window", device: "pump-1", metric: "flow", count: 1, pending: 0 };
  assert.deepEqual(
    [...windows.lines()],
    [
      { ...same, start: 10_000, sum: 3, min: 3, max: 3, ageMs: 502 },
      { ...same, start: 20_000, sum: 5, min: 5, max: 5, ageMs: 500 },
    ],
  );
});

test("what was not acknowledged is pending, and nothing is said of its value", () => {
  const windows = new Windows({ windowMs: 10_000, now: () => 20_500 });
  windows.sent("pump-1", message([flow(3, 1)]));
  const key = { line: "window", device: "pump-1", metric: "flow" };
  const lost = { ...key, start: 0, count: 0, pending: 1, ageMs: 0 };
  assert.deepEqual([...windows.lines()], [lost]);
});

test("nobody is held to QoS 0, nor to what has no time", () => {
  const windows = new Windows({ windowMs: 10_000, now: () => 20_500 });
  for (const each of [
    message([flow(3, 1)], 0),
    message([{ metric: "flow", value: 3, ts: undefined }]),
  ]) {
    windows.sent("pump-1", each);
    windows.acked("pump-1", each);
  }
  assert.deepEqual([...windows.lines()], []);
});

test("what is no number is counted, not added up", () => {
  const windows = new Windows({ windowMs: 10_000, now: () => 20_500 });
  const text = { metric: "mode", value: "auto", ts: 2 };
  const truth = { metric: "door", value: true, ts: 2 };
  windows.sent("room-1", message([text, truth]));
  windows.acked("room-1", message([text, truth]));
  const same = { line: "window", device: "room-1", start: 0, count: 1, pending: 0, ageMs: 20_498 };
  assert.deepEqual(
    [...windows.lines()],
    [
      { ...same, metric: "mode" },
      { ...same, metric: "door" },
    ],
  );
});
