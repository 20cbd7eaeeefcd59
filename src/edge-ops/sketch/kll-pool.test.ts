import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../core/limits.ts";
import { StateTable } from "../state-table.ts";
import { encodeKll } from "./kll-format.ts";
import { KllPool } from "./kll-pool.ts";
import { Kll } from "./kll.ts";

const SLOTS = 4;

type Step =
  | { readonly kind: "add"; readonly slot: number; readonly readings: number }
  | { readonly kind: "merge"; readonly slot: number; readonly from: number }
  | { readonly kind: "empty"; readonly slot: number }
  | { readonly kind: "store" };

const slot = fc.nat(SLOTS - 1);
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("add" as const),
        slot,
        readings: fc.oneof(fc.nat(40), fc.nat(900)),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("merge" as const), slot, from: slot }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("empty" as const), slot }) },
    { weight: 1, arbitrary: fc.constant({ kind: "store" as const }) },
  ),
  { maxLength: 25 },
);

/** A pool with its tables. */
function poolOf() {
  const pool = new KllPool("sketches", SLOTS);
  const slots = new StateTable({
    name: "slots",
    version: 1,
    rowsMax: SLOTS,
    rowsPerChunk: 2,
    columns: pool.columns(1),
  });
  return { pool, slots };
}

/** A pool that was stored and read again, from the chunks that changed. */
function restored(
  { pool, slots }: ReturnType<typeof poolOf>,
  stored: Map<string, Uint8Array>,
): ReturnType<typeof poolOf> {
  slots.touchAll(SLOTS);
  const made = poolOf();
  for (const [name, table] of [["slots", slots] as const, ["blocks", pool.table] as const]) {
    table.encodeDirty((chunk, bytes) => stored.set(`${name} ${chunk}`, bytes));
  }
  for (const [name, bytes] of stored) {
    const [table, chunk] = name.split(" ");
    const of = table === "slots" ? made.slots : made.pool.table;
    assert.ok(of.load(Number(chunk), bytes));
  }
  return made;
}

test("the sketches of slots are those of sketches of their own, also after they were stored", () => {
  fc.assert(
    fc.property(steps, (all) => {
      let made = poolOf();
      const stored = new Map<string, Uint8Array>();
      const model = Array.from({ length: SLOTS }, () => new Kll());
      let value = 0;
      for (const step of all) {
        switch (step.kind) {
          case "add":
            for (let i = 0; i < step.readings; i++) {
              value = (value * 7_919 + 104_729) % 65_521;
              made.pool.add(step.slot, value, model[step.slot]!.count);
              model[step.slot]!.add(value);
            }
            break;
          case "merge": {
            const [to, from] = [model[step.slot]!, model[step.from]!];
            if (step.slot === step.from || from.count === 0) break;
            made.pool.merge(step.slot, to.count, made.pool, { from: step.from, count: from.count });
            to.merge(from);
            break;
          }
          case "empty":
            made.pool.empty(step.slot);
            model[step.slot]!.clear();
            break;
          case "store":
            made = restored(made, stored);
        }
      }
      for (const [at, wanted] of model.entries()) {
        const sketch = made.pool.sketchOf(at, wanted);
        assert.equal(sketch === undefined, wanted.count === 0);
        if (sketch !== undefined) assert.deepEqual(encodeKll(sketch), encodeKll(wanted));
      }
      for (let at = 0; at < SLOTS; at++) made.pool.empty(at);
      const { pool } = restored(made, stored);
      const isZero = [...stored.values()].every((bytes) => bytes.subarray(8).every((b) => b === 0));
      assert.ok(isZero, "nothing is left of what was emptied");
      assert.equal(pool.sketchOf(0, new Kll()), undefined);
    }),
    { numRuns: 60 },
  );
});

test("a sketch of more readings than a slot counts is lost", () => {
  const pool = new KllPool("sketches", 3);
  const half = 2 ** 31;
  for (const slot of [0, 1, 2]) {
    for (let count = 0; count < 500; count++) pool.add(slot, count, count);
  }
  // As after so many readings: what a slot counts is its owner's.
  pool.merge(0, half, pool, { from: 1, count: half - 1 });
  assert.equal(pool.isLost(0), false);
  pool.add(0, 1, 2 ** 32 - 1);
  assert.equal(pool.isLost(0), true);
  pool.merge(1, half, pool, { from: 2, count: half });
  assert.equal(pool.isLost(1), true);
});

test("a pool that is used up loses the sketch that needed more, and no other", () => {
  const slots = limits.quantileBlocksMax + 1;
  const pool = new KllPool("sketches", slots);
  for (let at = 0; at < slots; at++) pool.add(at, at, 0);
  assert.equal(pool.isLost(slots - 1), true);
  assert.equal(pool.sketchOf(slots - 1, { count: 1, min: 0, max: 0 }), undefined);
  // Of one that was there already nothing is left, so others have room again.
  for (let count = 1; count < 40; count++) pool.add(5, count, count);
  assert.equal(pool.isLost(5), true);
  assert.equal(pool.isLost(6), false);
  pool.merge(6, 1, pool, { from: 5, count: 40 });
  assert.equal(pool.isLost(6), true, "a sketch of some readings is not one of all");
  pool.empty(5);
  for (let count = 0; count < 40; count++) pool.add(5, count, count);
  assert.equal(pool.isLost(5), false);
  const sketch = pool.sketchOf(5, { count: 40, min: 0, max: 39 })!;
  assert.deepEqual([...sketch.items.subarray(0, 40)], [...Array(40).keys()]);
});
