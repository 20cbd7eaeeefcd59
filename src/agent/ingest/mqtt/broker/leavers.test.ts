import assert from "node:assert/strict";
import { it } from "node:test";
import { Leavers } from "./leavers.ts";

it("a few go at once, the others a few in each turn, in order", () => {
  const turns: (() => void)[] = [];
  const leavers = new Leavers({ perTurnMax: 2, soon: (run) => turns.push(run) });
  const told: number[] = [];
  for (let n = 0; n < 5; n++) leavers.left(() => told.push(n));
  assert.deepEqual(told, [0, 1]);
  turns.shift()?.();
  leavers.left(() => told.push(5));
  assert.deepEqual(told, [0, 1, 2, 3]);
  turns.shift()?.();
  assert.deepEqual(told, [0, 1, 2, 3, 4, 5]);
  while (turns.length > 0) turns.shift()?.();
  leavers.left(() => told.push(6));
  assert.equal(told.at(-1), 6);
});
