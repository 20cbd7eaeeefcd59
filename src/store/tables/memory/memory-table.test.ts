import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Batch, createBatch, KIND_SEQUENCE } from "../../../core/batch.ts";
import { position, seriesId } from "../../../core/units.ts";
import { MemoryTable, SpareSlabs } from "./memory-table.ts";
import { allTime, createRows, readings } from "../rows.ts";

type Reading = { readonly series: number; readonly time: number; readonly value: number };

function batchOf(rows: readonly Reading[]): Batch {
  const batch = createBatch(Math.max(rows.length, 1));
  for (const [i, { series, time, value }] of rows.entries()) {
    batch.series[i] = series;
    batch.time[i] = time;
    batch.value[i] = value;
    batch.kind[i] = series === 0 ? KIND_SEQUENCE : 0;
    batch.sequence[i] = series === 0 ? i + 1 : 0;
  }
  batch.rows = rows.length;
  return batch;
}

function filled(batches: readonly (readonly Reading[])[]): MemoryTable {
  const memory = new MemoryTable(position(0));
  for (const rows of batches) {
    const chosen = Uint32Array.from(rows.keys());
    memory.add(batchOf(rows), chosen, chosen.length);
  }
  return memory;
}

const reading = fc.record({
  series: fc.nat({ max: 4 }),
  time: fc.integer({ min: -5, max: 20 }),
  value: fc.integer({ min: 0, max: 1_000 }),
});

test("rows of a series come in the order of time, those of one time as they came", () => {
  const range = fc.tuple(fc.integer({ min: -6, max: 21 }), fc.integer({ min: -6, max: 21 }));
  fc.assert(
    fc.property(fc.array(fc.array(reading, { maxLength: 30 })), range, (batches, [from, to]) => {
      const memory = filled(batches);
      const all = batches.flat();
      for (const series of memory.series()) {
        const target = createRows(readings, Math.max(all.length, 1));
        memory.copy(memory.rowsOf(seriesId(series), { from, to }), target);
        const wanted = all
          .filter((row) => row.series === series && row.time >= from && row.time < to)
          .toSorted((a, b) => a.time - b.time);
        assert.deepEqual(
          [...target.time.subarray(0, target.rows)],
          wanted.map((row) => row.time),
        );
        const values = [...target.columns[0]!.subarray(0, target.rows)];
        assert.deepEqual(
          values,
          wanted.map((row) => row.value),
        );
      }
    }),
  );
});

test("only the chosen rows of a batch are added", () => {
  const memory = new MemoryTable(position(7));
  const rows = [1, 2, 3].map((value) => ({ series: 3, time: value, value }));
  memory.add(batchOf(rows), Uint32Array.of(0, 2), 2);
  assert.equal(memory.rows, 2);
  assert.deepEqual(
    [...memory.rowsOf(seriesId(3), allTime)].map((row) => memory.timeOf(row)),
    [1, 3],
  );
  assert.deepEqual([...memory.rowsOf(seriesId(2), allTime)], []);
});

test("the latest is the one of the newest event time, with its sequence", () => {
  const memory = filled([
    [
      { series: 0, time: 10, value: 1 },
      { series: 0, time: 12, value: 2 },
    ],
    [{ series: 0, time: 11, value: 3 }],
  ]);
  const target = createRows(readings, 1);
  assert.ok(memory.latest(seriesId(0), target));
  assert.deepEqual([target.time[0], target.columns[0]![0], target.sequence[0]], [12, 2, 2]);
  assert.ok(!memory.latest(seriesId(1), target));
});

test("more rows than a slab has, of more series than were reserved", () => {
  const memory = new MemoryTable(position(0));
  const rows = Array.from({ length: 30_000 }, (_, i) => ({ series: i % 3_000, time: i, value: i }));
  for (let batch = 0; batch < 3; batch++) {
    memory.add(batchOf(rows), Uint32Array.from(rows.keys()), rows.length);
  }
  assert.equal(memory.rows, 90_000);
  assert.equal(memory.series().length, 3_000);
  assert.equal(memory.rowsOf(seriesId(2_999), allTime).length, 30);
});

test("a retired table's rows stay while somebody holds it; then its memory is the next one's", () => {
  const spares = new SpareSlabs();
  const fill = (memory: MemoryTable, series: number): void => {
    const rows = [{ series, time: series, value: 10 + series }];
    memory.add(batchOf(rows), Uint32Array.of(0), 1);
  };
  const valueOf = (memory: MemoryTable, series: number): number | undefined => {
    const target = createRows(readings, 1);
    return memory.latest(seriesId(series), target) ? target.columns[0]![0] : undefined;
  };
  const first = new MemoryTable(position(0), spares);
  fill(first, 0);
  const letGo = first.hold();
  first.retire();
  const second = new MemoryTable(position(1), spares);
  fill(second, 1);
  assert.equal(valueOf(first, 0), 10);
  letGo();
  assert.equal(first.rows, 0);
  const slab = spares.take();
  assert.equal(slab.value[0], 10); // the first one's
  spares.give([slab]);
  const third = new MemoryTable(position(2), spares);
  fill(third, 2);
  assert.equal(slab.value[0], 12);
  const target = createRows(readings, 1);
  assert.ok(third.latest(seriesId(2), target));
  assert.equal(target.sequence[0], 0, "a sequence number of before does not show");
});
