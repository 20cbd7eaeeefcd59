import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  arbReadings,
  assertRolledUp,
  type Reading,
  rowsOf,
} from "../../../../test/support/rollup-reference.ts";
import { RowsMerge } from "./merge-rows.ts";
import { rollUp } from "../rollup.ts";
import { appendRows, createRows, type ResolutionMs, type Rows, readings } from "../rows.ts";

const MINUTE = 60_000;

/** Merges inputs, each a list of blocks, through a target of `room` rows that is emptied when full. */
function merged(
  inputs: readonly (readonly Rows[])[],
  { resolution, room }: { readonly resolution: ResolutionMs; readonly room: number },
): Rows {
  const merge = new RowsMerge(resolution, inputs.length);
  const emitted = createRows(resolution, 2_000);
  const target = createRows(resolution, room);
  const given = inputs.map(() => 0);
  for (;;) {
    const step = merge.advance(target);
    if (step.kind === "block") {
      merge.give(step.input, inputs[step.input]![given[step.input]!++]);
      continue;
    }
    if (step.kind === "full") assert.equal(target.rows, room);
    appendRows(emitted, target, { from: 0, to: target.rows });
    target.rows = 0;
    if (step.kind === "end") return emitted;
  }
}

function blocksOf(rows: Rows, resolution: ResolutionMs, sizes: readonly number[]): Rows[] {
  const blocks: Rows[] = [];
  for (let from = 0, turn = 0; from < rows.rows; turn++) {
    const to = Math.min(rows.rows, from + sizes[turn % sizes.length]!);
    const block = createRows(resolution, Math.max(1, to - from));
    appendRows(block, rows, { from, to });
    blocks.push(block);
    from = to;
  }
  return blocks;
}

const arbSizes = fc
  .array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 5 })
  .map((sizes) => [...sizes, 3]);

/** Few times, so that many rows share one; the sequence tells every row from the others. */
const arbCrowded = fc.array(
  fc.record({ time: fc.integer({ min: 0, max: 15 }), input: fc.nat(5), kind: fc.nat(7) }),
  { maxLength: 150 },
);

test("readings come out as a stable sort by time puts them, oldest input first, with all columns", () => {
  fc.assert(
    fc.property(
      arbCrowded,
      fc.integer({ min: 1, max: 6 }),
      arbSizes,
      fc.integer({ min: 1, max: 20 }),
      (crowded, inputs, sizes, room) => {
        const rowsOfInput = Array.from({ length: inputs }, (_, input) => {
          const list = crowded
            .map((row, sequence) => ({ ...row, sequence }))
            .filter((row) => row.input % inputs === input)
            .toSorted((a, b) => a.time - b.time);
          const rows = rowsOf(
            list.map(({ time, kind, sequence }) => ({ time, kind, value: -sequence })),
          );
          for (let row = 0; row < rows.rows; row++) rows.sequence[row] = list[row]!.sequence;
          return { list, blocks: blocksOf(rows, readings, sizes) };
        });
        const wanted = rowsOfInput.flatMap(({ list }) => list).toSorted((a, b) => a.time - b.time);
        const rows = merged(
          rowsOfInput.map(({ blocks }) => blocks),
          { resolution: readings, room },
        );
        const got = Array.from({ length: rows.rows }, (_, row) => ({
          time: rows.time[row]!,
          kind: rows.kind[row]!,
          sequence: rows.sequence[row]!,
          value: rows.columns[0]![row]!,
        }));
        assert.deepEqual(
          got,
          wanted.map(({ time, kind, sequence }) => ({ time, kind, sequence, value: -sequence })),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test("buckets of equal start are added up, across inputs and blocks, to those of all readings", () => {
  fc.assert(
    fc.property(
      arbReadings,
      fc.array(fc.nat(4), { minLength: 120, maxLength: 120 }),
      arbSizes,
      fc.integer({ min: 1, max: 20 }),
      (list, deal, sizes, room) => {
        const inputs = Array.from({ length: 5 }, (_, input) => {
          const dealt: readonly Reading[] = list.filter((_reading, i) => deal[i] === input);
          const rows = createRows(MINUTE, Math.max(1, dealt.length));
          rollUp(rowsOf(dealt), rows, { from: readings, to: MINUTE });
          return blocksOf(rows, MINUTE, sizes);
        });
        const rows = merged(inputs, { resolution: MINUTE, room });
        const tolerances = { sum: 2 ** -92, squares: 1e-12 };
        assertRolledUp(rows, list, { resolution: MINUTE, tolerances });
      },
    ),
    { numRuns: 200 },
  );
});

test("without inputs a merge is at its end at once", () => {
  assert.equal(merged([], { resolution: readings, room: 1 }).rows, 0);
});

test("a block is taken only from the input that was asked for", () => {
  const merge = new RowsMerge(readings, 2);
  const target = createRows(readings, 10);
  assert.deepEqual(merge.advance(target), { kind: "block", input: 0 });
  merge.give(0, rowsOf([{ time: 5, value: 1, kind: 0 }]));
  assert.throws(() => merge.give(0, undefined), /needed/);
  assert.deepEqual(merge.advance(target), { kind: "block", input: 1 });
  assert.throws(() => merge.give(1, createRows(MINUTE, 1)), /resolution/);
});
