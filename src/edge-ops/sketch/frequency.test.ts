import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  catalogOf,
  createRig,
  type OperatorRig,
  type Row,
  type Saved,
} from "../../../test/support/operator-rig.ts";
import {
  COUNT_ALERTS,
  COUNT_CLOSED,
  COUNT_FILTERED,
  COUNT_REFUSED,
  COUNT_SUPPRESSED,
} from "../pipeline-counts.ts";
import type { FrequencyPipelineSpec } from "../spec.ts";
import { createFrequency } from "./frequency.ts";

const spec: FrequencyPipelineSpec = {
  kind: "frequency",
  name: "states",
  where: { sources: [], metrics: [], tags: {} },
  key: ["line"],
  depth: 4,
  width: 4096,
  heavyShare: 0.5,
  rareCount: 1,
  minimum: 10,
  periodMs: 60_000,
};

const symbols = ["running", "stopped", "fault", "a", "b", "c", "d", "e"];

/** Series 0 and 1 are of line a, 2 of line b, 3 (line c) finds no room for its key. */
function rigOf(changes: Partial<FrequencyPipelineSpec> = {}, saved?: Saved): OperatorRig {
  const series = [
    ["state", "a", "p0"],
    ["mode", "a", "p1"],
    ["state", "b", "p2"],
    ["state", "c", "p3"],
  ].map(([metric = "", line = "", device = ""]) => ({
    metric,
    tags: [["device", device] as const, ["line", line] as const],
  }));
  return createRig(
    {
      create: createFrequency,
      spec: { ...spec, ...changes },
      catalog: catalogOf(series, symbols),
      keysMax: 2,
    },
    saved,
  );
}

const rowsOf = (values: readonly (string | number)[], series = 0): Row[] =>
  values.map((value, i) => ({ series, time: i, value }));

const repeated = (value: string, times: number) => Array.from({ length: times }, () => value);

test("an item with a heavy share is reported once in a period, with its share", () => {
  const rig = rigOf({ rareCount: 0 });
  rig.tick(1_000);
  rig.apply(rowsOf([...repeated("running", 9), "stopped", ...repeated("running", 20)]));
  assert.deepEqual(
    rig.emitted,
    [
      {
        at: 10,
        record: {
          kind: "alert",
          pipeline: "states",
          key: [
            ["line", "a"],
            ["metric", "state"],
          ],
          time: 10,
          reason: "heavy_symbol",
          value: "running",
          score: 10 / 11,
          expected: 0.5,
          limit: 0.5,
        },
      },
    ].map(({ at, record }) => ({ at: at + 1, record })),
  );
});

test("a rare item is reported each time it is seen, up to rareCount times", () => {
  const rig = rigOf({ heavyShare: 0, rareCount: 2 });
  rig.apply(rowsOf(["fault", ...repeated("running", 20), ...repeated("stopped", 4), "fault"]));
  assert.deepEqual(
    rig.alerts().map(({ reason, value, score, limit }) => [reason, value, score, limit]),
    [
      ["rare_symbol", "stopped", 1, 2],
      ["rare_symbol", "stopped", 2, 2],
      ["rare_symbol", "fault", 2, 2],
    ],
  );
});

test("nothing is reported before the period has its minimum of readings", () => {
  const rig = rigOf({ minimum: 21, rareCount: 5 });
  rig.apply(rowsOf([...repeated("running", 19), "fault"]));
  assert.equal(rig.emitted.length, 0);
});

test("one symbol under two keys is two items, under two series of one key it is one", () => {
  const rig = rigOf({ heavyShare: 0, minimum: 0 });
  const rows = [0, 1, 2, 2].map((series, time) => ({ series, time, value: "fault" }));
  rig.apply(rows);
  assert.deepEqual(
    rig.alerts().map(({ time }) => time),
    [0, 2],
  );
});

test("a period ends at a multiple of its length on the gateway clock and everything starts again", () => {
  const rig = rigOf({ rareCount: 0 });
  const heavyAt = (clock: number) => {
    const before = rig.emitted.length;
    rig.tick(clock);
    rig.apply(rowsOf(repeated("running", 10)));
    return rig.emitted.length - before;
  };
  assert.equal(heavyAt(1_700_000_030_000), 1);
  assert.equal(heavyAt(1_700_000_039_999), 0);
  assert.equal(heavyAt(1_700_000_040_000), 1);
  assert.equal(heavyAt(1_700_000_099_999), 0);
});

test("more heavy items than a period remembers are counted as suppressed", () => {
  // With a share of 1/2 eight items are remembered, and in a sketch of two counters any item of
  // the fuller one looks heavy: more than eight of these sixteen.
  const rig = rigOf({ heavyShare: 0.5, minimum: 0, rareCount: 0, depth: 1, width: 2 });
  for (let pass = 0; pass < 3; pass++) rig.apply([...rowsOf(symbols, 0), ...rowsOf(symbols, 2)]);
  assert.equal(rig.counts[COUNT_ALERTS], 8);
  assert.ok(rig.counts[COUNT_SUPPRESSED]! > 0);
});

test("numbers are filtered, keys beyond the bound refused, symbols counted", () => {
  const rig = rigOf();
  rig.apply([
    { series: 0, time: 0, value: 1 },
    { series: 0, time: 0, value: Number.NaN },
    { series: 0, time: 0, value: "a" },
    { series: 2, time: 0, value: "a" },
    { series: 3, time: 0, value: "a" },
  ]);
  assert.deepEqual(
    [COUNT_FILTERED, COUNT_REFUSED, COUNT_CLOSED].map((cell) => rig.counts[cell]),
    [2, 1, 2],
  );
});

const streams = fc.array(
  fc.record({
    series: fc.nat({ max: 3 }),
    time: fc.nat({ max: 1000 }),
    value: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...symbols) },
      { weight: 1, arbitrary: fc.double() },
    ),
  }),
  { maxLength: 200 },
);
const eager = { heavyShare: 0.2, rareCount: 2, minimum: 3 };

test("a wide sketch reports what exact counts would report", () => {
  fc.assert(
    fc.property(streams, (rows) => {
      const rig = rigOf(eager);
      rig.apply(rows);
      assert.deepEqual(
        rig.alerts().map(({ reason, time, value, score }) => [reason, time, value, score]),
        exactly(rows),
      );
    }),
  );
});

/** The same from a Map of counts, by item. */
function exactly(rows: readonly Row[]): (string | number)[][] {
  const lines: string[] = ["a", "a", "b"];
  const counts = new Map<string, number>();
  const heavy = new Set<string>();
  const found: (string | number)[][] = [];
  let total = 0;
  const keys = new Set<string>();
  for (const { series, time, value } of rows) {
    if (typeof value === "number") continue;
    const line = lines[series] ?? "c";
    if (keys.size < 2) keys.add(line);
    if (!keys.has(line)) continue;
    const item = `${line} ${value}`;
    const count = (counts.get(item) ?? 0) + 1;
    counts.set(item, count);
    total += 1;
    if (total < eager.minimum) continue;
    if (count >= eager.heavyShare * total) {
      if (!heavy.has(item)) found.push(["heavy_symbol", time, value, count / total]);
      heavy.add(item);
    } else if (count <= eager.rareCount) {
      found.push(["rare_symbol", time, value, count]);
    }
  }
  return found;
}

test("how rows are cut into batches changes neither alerts nor state", () => {
  fc.assert(
    fc.property(streams, fc.array(fc.nat({ max: 20 }), { minLength: 1 }), (rows, sizes) => {
      const [whole, cut] = [rigOf(eager), rigOf(eager)];
      whole.apply(rows);
      cut.apply(rows, sizes);
      assert.deepEqual(cut.emitted, whole.emitted);
      assert.deepEqual(cut.save(), whole.save());
    }),
  );
});

test("a sketch loaded from a checkpoint goes on as if nothing had happened", () => {
  fc.assert(
    fc.property(streams, streams, fc.nat({ max: 120_000 }), (before, after, clock) => {
      const whole = rigOf(eager);
      whole.tick(1_000);
      whole.save();
      whole.apply(before);
      const saved = whole.save();
      const emittedBefore = whole.emitted.length;
      const resumed = rigOf(eager, saved);
      for (const rig of [whole, resumed]) {
        rig.tick(clock);
        rig.apply(after);
      }
      assert.deepEqual(resumed.emitted, whole.emitted.slice(emittedBefore));
      assert.deepEqual(resumed.save(), whole.save());
    }),
  );
});
