import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  bytesOf,
  bytesPattern,
  bytesText,
  durationPattern,
  durationText,
  millisOf,
  roughBytesText,
} from "./quantity.ts";

test("a duration is a number and its unit", () => {
  const known: [text: string, ms: number][] = [
    ["0s", 0],
    ["250ms", 250],
    ["10s", 10_000],
    ["1.5h", 5_400_000],
    ["5m", 300_000],
    ["7d", 604_800_000],
  ];
  for (const [text, ms] of known) {
    assert.match(text, durationPattern);
    assert.equal(millisOf(text), ms);
  }
});

test("what is no duration is not taken for one", () => {
  for (const text of [
    "",
    "10",
    "s",
    "-1s",
    "10 s",
    "1h30m",
    "1e3s",
    "10S",
    "10min",
    ".5s",
    "1s\n",
  ]) {
    assert.doesNotMatch(text, durationPattern);
  }
});

test("sizes in units of 1024 and of 1000 differ", () => {
  assert.equal(bytesOf("64MiB"), 67_108_864);
  assert.equal(bytesOf("64MB"), 64_000_000);
  assert.equal(bytesOf("1.5KiB"), 1_536);
  for (const text of ["64", "64M", "64mb", "64 MiB", "-1B"])
    assert.doesNotMatch(text, bytesPattern);
});

test("a quantity that was written reads back as itself", () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 40 }), (amount) => {
      assert.match(durationText(amount), durationPattern);
      assert.equal(millisOf(durationText(amount)), amount);
      assert.match(bytesText(amount), bytesPattern);
      assert.equal(bytesOf(bytesText(amount)), amount);
    }),
  );
});

test("a rough size has two digits", () => {
  assert.equal(roughBytesText(12), "12 B");
  assert.equal(roughBytesText(1_536), "1.5 KiB");
  assert.equal(roughBytesText(123_456_789), "118 MiB");
});
