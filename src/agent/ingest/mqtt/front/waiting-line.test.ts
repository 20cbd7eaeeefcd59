import assert from "node:assert/strict";
import { it } from "node:test";
import { WaitingLine } from "./waiting-line.ts";

type Waiter = { readonly id: number; isHere: boolean };

it("keeps those that wait in their order, and nobody who is gone", () => {
  const line = new WaitingLine<Waiter>(({ isHere }) => isHere);
  const stays: Waiter[] = [];
  for (let id = 0; id < 100_000; id++) {
    const waiter = { id, isHere: true };
    line.add(waiter);
    if (id % 1_000 === 0) stays.push(waiter);
    else waiter.isHere = false;
    assert.ok(line.length <= Math.max(64, 2 * stays.length + 2), `${line.length} of ${id}`);
  }
  assert.deepEqual(line.take(), stays);
  assert.equal(line.length, 0);
});

it("gives those that were put back before those that came since", () => {
  const line = new WaitingLine<Waiter>(({ isHere }) => isHere);
  const [one, two, three] = [1, 2, 3].map((id) => ({ id, isHere: true }));
  line.add(one!);
  line.add(two!);
  const taken = line.take();
  line.add(three!);
  line.putBack(taken.slice(1));
  assert.deepEqual(line.take(), [two, three]);
});
