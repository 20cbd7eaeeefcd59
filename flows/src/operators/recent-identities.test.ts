/** The bounds of what a dedupe node remembers, and clocks that go back. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import { startDedupe } from "./dedupe-machine.ts";
import { RecentIdentities } from "./recent-identities.ts";

test("an identity from a clock that ran ahead does not hold those behind it", () => {
  const seen = new RecentIdentities(4, 1_000);
  for (const [identity, at] of [
    ["a", 1],
    ["ahead", 900],
    ["b", 3],
  ] as const) {
    seen.add(identity, at);
  }
  seen.clampTo(5);
  assert.deepEqual(
    [...seen.list()],
    [
      ["a", 1],
      ["ahead", 3],
      ["b", 3],
    ],
  );
  seen.dropBefore(4);
  assert.equal(seen.size, 0);
});

test("what came by a clock that ran ahead is forgotten by the clock as it is, also after a restart", () => {
  const settings = {
    by: "identity",
    keyProperty: "",
    idProperty: "id",
    remember: 9,
    withinSeconds: 60,
  };
  const read = (message: object, path: string): unknown => Reflect.get(message, path);
  for (const isKept of [false, true]) {
    let { machine } = startDedupe(settings, undefined, { read, now: 3_600_000 });
    machine.take({ id: 1 }, 3_600_000);
    if (isKept) ({ machine } = startDedupe(settings, machine.keep(), { read, now: 0 }));
    assert.equal(machine.take({ id: 1 }, 0).length, 2, "it is remembered");
    assert.equal(machine.take({ id: 1 }, 60_001).length, 1, "it is not for ever");
  }
});

test("however long identities are, what is kept is never too much", () => {
  const settings = {
    by: "identity",
    keyProperty: "",
    idProperty: "id",
    remember: flowLimits.identitiesMax,
    withinSeconds: 0,
  };
  const read = (message: object, path: string): unknown => Reflect.get(message, path);
  const { machine } = startDedupe(settings, undefined, { read, now: 0 });
  const idOf = (i: number): string => `${i}`.padEnd(flowLimits.textLengthMax, '"');
  for (let i = 0; i < 10_000; i++) machine.take({ id: idOf(i) }, 8.64e15);
  const { length } = machine.keep() ?? "";
  assert.ok(length <= flowLimits.stateLengthMax, `${length} characters`);
  assert.ok(length > flowLimits.stateLengthMax * 0.9, `${length} characters`);
  assert.equal(machine.take({ id: idOf(9_999) }, 8.64e15).length, 2);
});
