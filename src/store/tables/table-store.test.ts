/**
 * The table store against plain arrays: whatever is put, late or not, flushed, merged, lost with the
 * power and replayed, every accepted reading is answered once.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Put, TableRig } from "../../../test/support/table-rig.ts";
import { limits } from "../../core/limits.ts";
import type { ClassPolicy } from "./compaction/table-classes.ts";
import { seriesId } from "../../core/units.ts";
import { createReadReport } from "./read/block-source.ts";
import { readBuckets, readLatest, readReadings } from "./read/table-query.ts";
import { allTime, createRows, isWithin, readings, type TimeRange } from "./rows.ts";
import type { TableStore } from "./table-store.ts";

const day = limits.partitionMs;
const seriesCount = 5;

type Told = { readonly time: number; readonly value: number; readonly kind: number };

async function answered(store: TableStore, series: number, range = allTime): Promise<Told[]> {
  const told: Told[] = [];
  const report = createReadReport();
  using snapshot = store.snapshot();
  for await (const rows of readReadings(snapshot, { series: seriesId(series), range }, report)) {
    for (let row = 0; row < rows.rows; row++) {
      const value = rows.columns[0]![row]!;
      told.push({ time: rows.time[row]!, value, kind: rows.kind[row]! });
    }
  }
  assert.equal(report.damaged.size, 0);
  return told;
}

function sorted(rows: readonly Told[]): readonly Told[] {
  return rows.toSorted((a, b) => a.time - b.time || a.value - b.value || a.kind - b.kind);
}

function kept(puts: readonly Put[], series: number): Told[] {
  return puts
    .filter((put) => put.series === series && put.refused !== true)
    .map(({ time, value, kind = 0 }) => ({ time, value, kind }));
}

/** The readings that an erasure takes away, refused ones apart; their count. */
function removeErased(
  puts: Put[],
  { series, range }: { readonly series: readonly number[]; readonly range: TimeRange },
): number {
  const isErased = (put: Put): boolean => series.includes(put.series) && isWithin(range, put.time);
  const count = puts.filter((put) => isErased(put) && put.refused !== true).length;
  puts.splice(0, puts.length, ...puts.filter((put) => !isErased(put)));
  return count;
}

async function check(rig: TableRig, puts: readonly Put[], erased: number): Promise<void> {
  for (let series = 0; series < seriesCount; series++) {
    const told = await answered(rig.store, series);
    assert.deepEqual(
      told.map(({ time }) => time),
      told.map(({ time }) => time).toSorted((a, b) => a - b),
    );
    assert.deepEqual(sorted(told), sorted(kept(puts, series)));
    const latest = createRows(readings, 1);
    using snapshot = rig.store.snapshot();
    const found = await readLatest(snapshot, seriesId(series), latest, createReadReport());
    const newest = told.at(-1);
    assert.equal(found, newest !== undefined);
    if (newest !== undefined) assert.equal(latest.time[0], newest.time);
  }
  const { counts, inMemory, inTables } = rig.store.status;
  const accepted = puts.filter(({ refused }) => refused !== true).length;
  const gone = counts.expired + counts.lost + counts.erased;
  assert.equal(inMemory + inTables + gone, accepted + erased, "each is somewhere");
  assert.equal(counts.lost, 0);
}

async function checkBuckets(rig: TableRig, puts: readonly Put[], step: number): Promise<void> {
  for (let series = 0; series < seriesCount; series++) {
    using snapshot = rig.store.snapshot();
    const range = { from: -step * 4, to: 0 };
    range.from = Math.floor((9 * day) / step) * step;
    range.to = Math.ceil((12 * day) / step) * step;
    if ((range.to - range.from) / step > 50_000) return;
    const wanted = { series: seriesId(series), range, step };
    const buckets = await readBuckets(snapshot, wanted, createReadReport());
    const told = kept(puts, series).filter(({ time }) => time >= range.from && time < range.to);
    const expected = Map.groupBy(told, ({ time }) => Math.floor(time / step) * step);
    assert.equal(buckets.rows, expected.size);
    for (let row = 0; row < buckets.rows; row++) {
      const rows = expected.get(buckets.time[row]!) ?? [];
      const values = rows.map(({ value }) => value);
      const [count, numbers, , min, max, sum] = buckets.columns.map((column) => column[row]);
      assert.deepEqual([count, numbers], [rows.length, rows.length]);
      assert.deepEqual([min, max], [Math.min(...values), Math.max(...values)]);
      assert.equal(
        sum,
        values.reduce((total, value) => total + value, 0),
      );
    }
  }
}

/** A table of a class has series that were of it at some time, and no others. */
async function checkClasses(
  rig: TableRig,
  members: ReadonlyMap<string | undefined, readonly number[]>,
): Promise<void> {
  using snapshot = rig.store.snapshot();
  for (const { id, class: name } of snapshot.tables) {
    const held = await snapshot.files.hold(id);
    assert.ok(held.kind === "table");
    using open = held;
    const { ids } = await open.table.series(readings);
    for (const series of ids) assert.ok(members.get(name)?.includes(series), `${name}: ${series}`);
  }
}

const put: fc.Arbitrary<Put> = fc.record(
  {
    series: fc.nat({ max: seriesCount - 1 }),
    time: fc.oneof(
      fc.integer({ min: 0, max: 3_000 }).map((s) => 10 * day + s * 1_000),
      fc.integer({ min: 9 * day, max: 12 * day - 1 }),
      fc.integer({ min: -100, max: 100 }).map((days) => days * day),
    ),
    value: fc.integer({ min: -1_000, max: 1_000 }),
    refused: fc.boolean(),
  },
  { requiredKeys: ["series", "time", "value"], noNullPrototype: true },
);

const erasedRange = fc
  .tuple(fc.integer({ min: 9 * day, max: 12 * day }), fc.integer({ min: 1, max: 2 * day }))
  .map(([from, length]) => ({ from, to: from + length }));

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.array(put, { maxLength: 40 }).map((puts) => ({ kind: "put" as const, puts })),
  },
  { weight: 4, arbitrary: fc.constant({ kind: "flush" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "checkpoint" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("erase" as const),
      series: fc.uniqueArray(fc.nat({ max: seriesCount - 1 }), { minLength: 1, maxLength: 3 }),
      range: fc.oneof(fc.constant(allTime), erasedRange),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("configure" as const),
      // Of each series; one that is not configured is gone.
      classes: fc.array(fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined }), {
        minLength: seriesCount,
        maxLength: seriesCount,
      }),
      configured: fc.uniqueArray(fc.constantFrom("a", "b", "c")),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "close" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "crash" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "query" as const }) },
);

test("put, late put, flush, compact, crash, reopen, query in any order: every reading once", async () => {
  const seeds = fc.integer({ min: 1, max: 2 ** 31 });
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 40 }), seeds, async (commands, seed) => {
      const rig = new TableRig({ seed, rowsMax: 100, policy: { mergeTablesMin: 3 } });
      await rig.open();
      const puts: Put[] = [];
      let erased = 0;
      /** What each class ever had. */
      const members = Map.groupBy<string | undefined, number>([], () => undefined);
      let classes: readonly (string | undefined)[] = [];
      rig.classOf = (series) => classes[series];
      const join = (): void => {
        for (let series = 0; series < seriesCount; series++) {
          const name = classes[series];
          members.set(name, [...(members.get(name) ?? []), series]);
        }
      };
      join();
      for (const step of commands) {
        if (step.kind === "put") {
          rig.put(step.puts);
          puts.push(...step.puts);
        } else if (step.kind === "erase") {
          rig.erase(step.series, step.range);
          erased += removeErased(puts, step);
        } else if (step.kind === "flush") await rig.flush();
        else if (step.kind === "checkpoint") rig.checkpoint();
        else if (step.kind === "query") await check(rig, puts, erased);
        else if (step.kind === "configure") {
          await rig.end("close");
          classes = step.classes;
          join();
          const rules = { keepMs: new Map(), priority: 0 };
          const configured = new Map(step.configured.map((name) => [name, rules]));
          rig.policy = { ...rig.policy, classes: configured };
          await rig.open();
        } else {
          await rig.end(step.kind);
          await rig.open();
        }
      }
      await check(rig, puts, erased);
      await checkBuckets(rig, puts, 60_000);
      await rig.flush();
      await check(rig, puts, erased);
      await checkBuckets(rig, puts, 3_600_000);
      const { counts, tombstones } = rig.store.status;
      assert.deepEqual([counts.erased, tombstones], [erased, 0], "what was erased is in no file");
      await checkClasses(rig, members);
      await rig.end("close");
    }),
    { numRuns: 100 },
  );
});

test("memory that is full just as the work before it ends is flushed", async () => {
  const rig = new TableRig({ seed: 3, rowsMax: 4 });
  await rig.open();
  await rig.store.settle();
  rig.store.start();
  rig.put([0, 1, 2, 3].map((n) => ({ series: 0, time: n * 1_000, value: n })));
  await rig.store.settle();
  assert.equal(rig.store.status.inMemory, 0);
  assert.equal(rig.store.status.flushes, 1);
  await rig.end("close");
});

test("a memory table that is full is flushed between two steps of a merge, and neither loses anything", async () => {
  const rig = new TableRig({ seed: 5, rowsMax: 60, policy: { mergeTablesMin: 100 } });
  await rig.open();
  const puts: Put[] = [];
  const put = (from: number, count: number): void => {
    const all = Array.from({ length: count }, (_, n) => ({
      series: (from + n) % seriesCount,
      time: 10 * day + (from + n) * 1_000,
      value: from + n,
    }));
    puts.push(...all);
    rig.put(all);
  };
  for (let table = 0; table < 3; table++) {
    put(table * 20, 20);
    await rig.flush();
  }
  await rig.end("close");
  rig.policy = { ...rig.policy, mergeTablesMin: 3 };
  await rig.open();
  const merged: number[] = [];
  rig.store.onChanged(() => merged.push(rig.store.status.compactions));
  put(60, 60);
  put(120, 60);
  assert.ok(rig.store.isFull, "the loop waits");
  await rig.store.settle();
  assert.deepEqual(merged, [0, 0], "the merge has not ended when there is room again");
  assert.equal(rig.store.status.compactions, 1);
  await check(rig, puts, 0);
  await rig.end("close");
  await rig.open();
  await check(rig, puts, 0);
  await rig.end("close");
});

test("a table that keeps a part of an erased series is written once without the rest", {
  timeout: 20_000,
}, async () => {
  const rig = new TableRig({ seed: 1, rowsMax: 100 });
  await rig.open();
  rig.put(Array.from({ length: 20 }, (_, n) => ({ series: 1, time: 10 * day + n, value: n })));
  await rig.flush();
  rig.erase([1], { from: 10 * day + 5, to: 10 * day + 15 });
  const before = await answered(rig.store, 1);
  await rig.store.settle();
  const { compactions, tombstones, counts, inTables } = rig.store.status;
  assert.deepEqual([compactions, tombstones, counts.erased, inTables], [1, 0, 10, 10]);
  const told = await answered(rig.store, 1);
  assert.deepEqual(
    told.map(({ value }) => value),
    [0, 1, 2, 3, 4, 15, 16, 17, 18, 19],
  );
  assert.deepEqual(before, told, "gone from the answer before it is gone from the file");
  await rig.end("close");
});

test("a class is kept by its own rules, and as all others once it is gone", async () => {
  const rig = new TableRig({ seed: 7, rowsMax: 1_000 });
  const fast = (of: number): ReadonlyMap<string, ClassPolicy> =>
    new Map([["fast", { keepMs: new Map([[readings, of]]), priority: 0 }]]);
  rig.classOf = (series) => (series < 2 ? "fast" : undefined);
  rig.policy = { ...rig.policy, classes: fast(day) };
  await rig.open();
  const put = (partition: number): void =>
    rig.put(
      Array.from({ length: 40 }, (_, n) => ({
        series: n % 4,
        time: partition * day + n * 1_000,
        value: n,
      })),
    );
  put(10);
  await rig.flush();
  put(13);
  await rig.flush();
  rig.clockNow = 13.5 * day;
  const reopened = async (): Promise<readonly number[]> => {
    await rig.end("close");
    await rig.open();
    await rig.settle();
    const told: number[] = [];
    for (let series = 0; series < 4; series++) {
      told.push((await answered(rig.store, series)).length);
    }
    return told;
  };
  assert.deepEqual(await reopened(), [10, 10, 20, 20], "readings of the class alone are over");
  const { classes, counts } = rig.store.status;
  assert.deepEqual(
    classes.map((of) => [of.class, of.tables, of.readings]),
    [
      [undefined, 2, 40],
      ["fast", 2, 40],
    ],
  );
  assert.equal(counts.expired, 0, "they are there as rows of a tier");
  rig.policy = { ...rig.policy, classes: new Map(), keepMs: new Map([[readings, 9 * day]]) };
  assert.deepEqual(await reopened(), [10, 10, 20, 20], "what was rolled up stays so");
  rig.clockNow = 21 * day;
  put(21);
  await rig.flush();
  assert.deepEqual(await reopened(), [20, 20, 20, 20], "by the rules for all, readings of 13 stay");
  rig.policy = { ...rig.policy, classes: fast(day) };
  assert.deepEqual(await reopened(), [10, 10, 20, 20], "a class that comes back has its tables");
  await rig.end("close");
});
