import assert from "node:assert/strict";
import { it } from "node:test";
import { Turns } from "./turns.ts";

it("a few go at once, the others a few in each turn, in order", () => {
  const ahead: (() => void)[] = [];
  const turns = new Turns({ perTurnMax: 2, soon: (run) => ahead.push(run) });
  const done: number[] = [];
  for (let n = 0; n < 5; n++) turns.take(() => done.push(n));
  assert.deepEqual(done, [0, 1]);
  ahead.shift()?.();
  turns.take(() => done.push(5));
  assert.deepEqual(done, [0, 1, 2, 3]);
  ahead.shift()?.();
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5]);
  while (ahead.length > 0) ahead.shift()?.();
  turns.take(() => done.push(6));
  assert.equal(done.at(-1), 6);
});
