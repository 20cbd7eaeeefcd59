import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { type WaitingRecord, WaitingRecords } from "./waiting-records.ts";

function waiting(number: number): WaitingRecord {
  return { topic: `t/${number}`, record: new Uint8Array(number % 7) };
}

test("records leave in order, and bytes are those of what waits", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 500 }), (steps) => {
      const records = new WaitingRecords();
      const model: WaitingRecord[] = [];
      for (const [number, isAdd] of steps.entries()) {
        if (isAdd) {
          model.push(waiting(number));
          records.add(waiting(number));
        } else {
          assert.deepEqual(records.take(), model.shift());
        }
        assert.equal(
          records.bytes,
          model.reduce((sum, { record }) => sum + record.length, 0),
        );
      }
    }),
  );
});

test("a record that was taken is let go, though others always wait", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const records = new WaitingRecords();
  const first = ((): WeakRef<WaitingRecord> => {
    const record = waiting(1);
    records.add(record);
    return new WeakRef(record);
  })();
  for (let number = 2; number < 1_000; number++) {
    records.add(waiting(number));
    records.take();
  }
  await nextTurn();
  collect();
  assert.equal(first.deref(), undefined);
  assert.equal(records.take()?.topic, "t/999");
});
