import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bench, give, source, stillClock, take } from "../../../test/support/intake.ts";
import { Catalog } from "../../core/catalog.ts";
import { createIntake } from "./intake.ts";

function shortBench(): Bench & { readonly memory: { isShort: boolean } } {
  const memory = { isShort: false };
  const catalog = new Catalog();
  const isShort = (): boolean => memory.isShort;
  const intake = createIntake({ catalog, sources: [source({})], clock: stillClock, isShort });
  return { intake, catalog, memory };
}

const named = (bench: Bench): string[] => take(bench).readings.map(({ series }) => series);

test("while memory is short what is known is taken, and what is new is refused and counted", () => {
  const bench = shortBench();
  give(bench, "plant/p1", '{"temp":1,"mode":"eco"}');
  take(bench);
  bench.memory.isShort = true;
  assert.equal(give(bench, "plant/p1", '{"temp":2,"mode":"eco"}'), true);
  assert.equal(give(bench, "plant/p1", '{"temp":3,"flow":1}'), true); // a new series
  assert.equal(give(bench, "plant/p2", '{"temp":4}'), true); // a new device
  assert.equal(give(bench, "plant/p1", '{"mode":"off"}'), true); // a new symbol
  const { readings, definitions, counts } = take(bench);
  assert.deepEqual(definitions, []);
  assert.deepEqual(
    readings.map(({ series, value }) => [series, value]),
    [
      ["temp{device=p1}", 2],
      ["mode{device=p1}", "eco"],
      ["temp{device=p1}", 3],
    ],
  );
  assert.deepEqual(
    counts.map(({ decoded, rejected }) => [decoded, rejected]),
    [[4, 3]],
  );
  assert.equal(bench.intake.counters.topics, 1, "the topic of p2 is not remembered");
});

test("once memory has eased all of it is taken: nothing has learned that it is refused", () => {
  const bench = shortBench();
  give(bench, "plant/p1", '{"temp":1}');
  take(bench);
  bench.memory.isShort = true;
  for (let n = 0; n < 3; n++) {
    give(bench, "plant/p1", '{"temp":2,"flow":1}');
    give(bench, "plant/p2", '{"temp":4}');
  }
  take(bench);
  bench.memory.isShort = false;
  for (let n = 0; n < 2; n++) {
    give(bench, "plant/p1", '{"temp":5,"flow":6}');
    give(bench, "plant/p2", '{"temp":7}');
  }
  const all = ["temp{device=p1}", "flow{device=p1}", "temp{device=p2}"];
  assert.deepEqual(named(bench), [...all, ...all]);
});
