import assert from "node:assert/strict";
import { test } from "node:test";
import type { Summary } from "../core/record.ts";
import { millis, position } from "../core/units.ts";
import { HeldBack } from "../store/state/held-back.ts";
import { Outputs } from "./outputs.ts";

function summary(device: string, start: number, revision = 0): Summary {
  return {
    kind: "summary",
    pipeline: "temp",
    key: [["device", device]],
    start: millis(start),
    end: millis(start + 1_000),
    revision,
    count: 1,
    fields: { sum: 1 },
    arrivalTimed: 0,
  };
}

test("windows that hardware before this one has sent are held back, with the markers of their keys", () => {
  const outputs = new Outputs("gw1", new HeldBack([["temp/device=p1", 5_000]]));
  const at = position(1);
  for (const start of [3_000, 4_500, 5_000]) outputs.summary(at, summary("p1", start));
  outputs.summary(at, summary("p1", 4_000, 1));
  outputs.summary(at, summary("p2", 3_000));
  for (const device of ["p1", "p2"]) {
    outputs.complete(at, {
      kind: "complete",
      pipeline: "temp",
      key: [["device", device]],
      through: millis(9_000),
      readings: 3,
    });
  }
  const records = outputs.take().outbox.records("summaries");
  const ids = records.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)).id);
  assert.deepEqual(ids, [
    "gw1/temp/device=p1/5000/1000/0",
    "gw1/temp/device=p2/3000/1000/0",
    "gw1/temp/device=p2/complete/9000/3",
  ]);
  assert.deepEqual(outputs.counters, { summaries: 2, alerts: 0, heldBack: 3 });
});
