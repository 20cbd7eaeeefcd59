/** What `format: number` takes for a value, and what it leaves as a dead letter. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { give, openBench, source, take } from "../../../../test/support/intake.ts";

test("a payload that begins like JSON is no bare value, whatever the topic had before", () => {
  const numbers = source({ name: "meter", topics: ["meter/{device}"], format: "number" });
  const bench = openBench([source({}), numbers]);
  const payloads = ['{"value":180.5}', ' {"value":180.5}', "[180.5]", '"180.5"', "{", '"'];
  // A JSON string of another source makes the same text a known symbol.
  for (const payload of payloads) give(bench, "plant/p1", JSON.stringify({ v: payload }));
  give(bench, "meter/known", "180.5");
  take(bench);
  for (const topic of ["meter/new", "meter/known"]) {
    for (const payload of payloads) give(bench, topic, payload);
    const { readings, deadLetters } = take(bench);
    assert.deepEqual(readings, []);
    assert.deepEqual(
      deadLetters.map(({ reason, offset }) => [reason, offset]),
      payloads.map((payload) => ["number_invalid", payload.startsWith(" ") ? 1 : 0]),
    );
  }
});

test("numbers and words are values", () => {
  const bench = openBench([source({ format: "number" })]);
  for (const payload of ["180.5", " -3e2\n", "ON", "a{b"]) give(bench, "plant/p1", payload);
  const { readings, deadLetters } = take(bench);
  assert.deepEqual(
    readings.map(({ value }) => value),
    [180.5, -300, "ON", "a{b"],
  );
  assert.deepEqual(deadLetters, []);
});
