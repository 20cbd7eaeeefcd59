import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDegraded } from "./degraded.ts";
import type { Upstream, Violation } from "./evidence.ts";
import { sketchedAs } from "./sketch-bytes.ts";
import { reading, second, sound, window } from "./sound-evidence.ts";

/** Nine readings in nine windows of a key; upstream three of them, and the others as `rest` says. */
function degraded(
  rest: Readonly<Record<string, unknown>>,
  { drops = true } = {},
): readonly Violation[] {
  const made = Array.from({ length: 9 }, (_, n) => reading(n, { time: 60_000 + n * second }));
  const truth = made.map((each, n) => window(n, [each], { end: 61_000 + n * second }));
  const replayed = truth.map((each): Upstream => ({ ...each, place: "replayed" }));
  const oldest = truth[0]!;
  const record = { ...oldest.record, ...rest };
  const coarser: Upstream = { ...oldest, eventId: "o:summaries:0", record };
  const fine = truth.slice(6).map((each, n) => ({ ...each, eventId: `o:summaries:${n + 1}` }));
  return checkDegraded({
    ...sound,
    places: ["kafka"],
    upstream: [coarser, ...fine],
    replayed,
    outbox: { merges: true, drops },
    outboxTiers: [6_000],
  });
}

const sketch = sketchedAs([1, 2, 4, 8, 16, 32]);
const six = {
  start: 60_000,
  end: 66_000,
  merged: 6,
  count: 6,
  sum: 63,
  min: 1,
  max: 32,
  ...sketch,
};
const gapOfSix = {
  kind: "gap",
  id: "gw1/seconds/gap:5/60000/6000/6",
  start: 60_000,
  end: 66_000,
  records: 6,
  readings: 6,
};

test("coarser summaries that say what their windows said, and gaps that count them, break nothing", () => {
  assert.deepEqual(degraded(six), []);
  assert.deepEqual(degraded(gapOfSix), []);
});

test("P5: coarser summaries and gaps that say something else are found", () => {
  const found = (rest: Readonly<Record<string, unknown>>, what: RegExp, drops = true): void => {
    const violations = degraded(rest, { drops });
    assert.ok(
      violations.some((each) => each.promise === "P5" && what.test(each.what)),
      JSON.stringify(violations),
    );
  };
  found({ ...six, count: 5 }, /count is 5, that of its windows 6/);
  found({ ...six, max: 31 }, /max is 31/);
  found({ ...six, merged: 5 }, /windows is 5/);
  found({ ...six, quantiles: undefined }, /it has no sketch/);
  found({ ...six, end: 65_000 }, /is of no tier/);
  found({ ...six, start: 66_000, end: 72_000 }, /windows is/);
  found({ ...gapOfSix, readings: 5 }, /5 readings where 6 are missing/);
  found({ ...gapOfSix, end: 65_000 }, /is in no record and no gap/);
  found(gapOfSix, /though nothing is dropped/, false);
});
