import assert from "node:assert/strict";
import { test } from "node:test";
import { give, openBench, source, take } from "../../../../test/support/intake.ts";

test("a NaN of CBOR is no value, as null is: the rest of its message stands", () => {
  for (const nan of ["f97e00", "fa7fc00000", "fb7ff8000000000000", "fbfff0000000000001", "f6"]) {
    const bench = openBench([source({ format: "cbor" })]);
    for (const payload of [
      "a2616101616202", // a: 1, b: 2
      `a26161${nan}616202`, // a: none, b: 2
      `a2627473${nan}616103`, // ts: none, a: 3
      `a3627473${nan}6474696d651a6553f100616104`, // ts: none, time: 1700000000, a: 4
      nan,
      `a26161${nan}616205`, // a: none, b: 5
    ]) {
      give(bench, "plant/p1", Buffer.from(payload, "hex"));
    }
    const { deadLetters, readings } = take(bench);
    assert.deepEqual(deadLetters, [], nan);
    assert.deepEqual(
      readings.map(({ value }) => value),
      [1, 2, 2, 3, 4, 5],
      nan,
    );
    assert.equal(readings[4]?.time, 1_700_000_000_000, nan);
  }
});
