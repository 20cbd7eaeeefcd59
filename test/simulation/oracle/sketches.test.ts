import assert from "node:assert/strict";
import { test } from "node:test";
import { sketchedAs } from "./sketch-bytes.ts";
import { sketchFault } from "./sketches.ts";

const values = [1, 2, 4, 8, 16, 32];

test("a sketch of the readings, and its percentile, break nothing", () => {
  assert.equal(sketchFault(sketchedAs(values), values), undefined);
  assert.equal(sketchFault(sketchedAs([7]), [7]), undefined);
});

test("P5: a sketch of many readings may forget some, and be off by no more than it says", () => {
  const many = Array.from({ length: 400 }, (_, i) => i);
  const ofSome = (shift: number): string | undefined => {
    const inner = many.filter((value) => value % 2 === 1).slice(1, -1);
    const moved = inner.map((value) => Math.min(Math.max(value + shift, 0), 399));
    return sketchFault(sketchedAs([0, ...moved, 399], 1), many);
  };
  assert.equal(ofSome(0), undefined);
  assert.match(ofSome(20) ?? "", /p50 of the sketch/);
  assert.match(ofSome(-20) ?? "", /p50 of the sketch/);
});

test("P5: a sketch that says something else is found", () => {
  const found = (record: object, what: RegExp): void => {
    assert.match(sketchFault({ ...record }, values) ?? "", what);
  };
  found({}, /it has no sketch/);
  found(sketchedAs([1, 2, 4, 8, 32]), /the sketch has 5 readings, not 6/);
  found(sketchedAs([1, 2, 4, 8, 16, 64]), /the sketch goes from 1 to 64/);
  found(sketchedAs([1, 2, 8, 8, 16, 32]), /p50 of the sketch is 8/);
  found({ ...sketchedAs(values), p95: 16 }, /p95 is 16, of the sketch 32/);
  const bytes = Buffer.from(String(sketchedAs(values)["quantiles"]), "base64");
  bytes.writeBigUInt64LE(7n, 8);
  const seven = { quantiles: bytes.toString("base64") };
  assert.match(sketchFault(seven, [...values, 3]) ?? "", /stand for 6 readings of 7/);
});
