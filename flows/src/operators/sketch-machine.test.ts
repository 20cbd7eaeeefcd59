/** The period of the most frequent items, by a clock that goes back. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../../src/core/limits.ts";
import { startSketch } from "./sketch-machine.ts";

const T = Date.parse("2026-03-01T10:00:00Z");
const PERIOD_MS = 10_000;
const settings = {
  method: "top",
  itemProperty: "item",
  errorPercent: 1,
  topCount: 3,
  periodSeconds: PERIOD_MS / 1_000,
};
const read = (message: object, path: string): unknown => Reflect.get(message, path);

test("a clock that is put back for long ends the period, also after a restart; one for short does not", () => {
  const longBack = T - limits.clockBackMs - 1;
  for (const isKept of [false, true]) {
    let { machine } = startSketch(settings, undefined, { read, now: T });
    machine.take({ item: "a" }, T);
    assert.deepEqual(machine.take({ item: "a" }, T - limits.clockBackMs), []);
    let found: unknown;
    if (isKept) {
      const next = startSketch(settings, machine.keep(), { read, now: longBack });
      machine = next.machine;
      found = next.leftover[0]?.[0]?.["window"];
      machine.take({ item: "b" }, longBack);
    } else {
      found = machine.take({ item: "b" }, longBack)[0]?.[0]?.["window"];
    }
    assert.deepEqual(found, { start: T, end: T + PERIOD_MS, count: 2 });
    assert.ok(machine.wakeAt() <= longBack + PERIOD_MS);
  }
});
