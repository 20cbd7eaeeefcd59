/**
 * Rows of one series and one section from several tables as one ascending stream:
 *
 *   readings       rows of equal time stay in the order of their inputs, and within one as they are
 *   a resolution   rows of equal bucket are parts and added up to one
 *
 * Inputs are numbered from the oldest table on. The merge holds one block of each and says whose next
 * one it needs, so that reading, which waits on a disk, stays outside:
 *
 *     const merge = new RowsMerge(resolution, tables.length);
 *     for (;;) {
 *       const step = merge.advance(target);
 *       if (step.kind === "block") merge.give(step.input, await nextBlockOf(tables[step.input]));
 *       else {
 *         emit(target);
 *         target.rows = 0;
 *         if (step.kind === "end") break;
 *       }
 *     }
 *
 * Runs of rows that come from one input are copied at once, so tables that hardly overlap in time
 * cost a comparison per run, others one per input and row; compaction and queries have few inputs.
 */

import { assert } from "../../../core/assert.ts";
import { addParts } from "../rollup.ts";
import {
  appendRows,
  columnCountOf,
  type ResolutionMs,
  type Rows,
  readings,
  rowsMaxOf,
} from "../rows.ts";

/** What `advance` stopped for. */
export type MergeStep =
  /** `give` the next block of this input, or undefined at its end. */
  | { readonly kind: "block"; readonly input: number }
  /** Take the rows of the target: it is full, and its last bucket is whole. */
  | { readonly kind: "full" }
  /** All inputs are used up; what the target holds is the rest. */
  | { readonly kind: "end" };

const FULL: MergeStep = { kind: "full" };
const END: MergeStep = { kind: "end" };

export class RowsMerge {
  readonly #resolution: ResolutionMs;
  /** The block of each input; undefined before the first and after the last. */
  readonly #blocks: (Rows | undefined)[];
  /** The next row of each block. */
  readonly #at: Uint32Array;
  readonly #hasEnded: Uint8Array;
  readonly #needs: readonly MergeStep[];

  constructor(resolution: ResolutionMs, inputs: number) {
    this.#resolution = resolution;
    this.#blocks = Array.from({ length: inputs }, () => undefined);
    this.#at = new Uint32Array(inputs);
    this.#hasEnded = new Uint8Array(inputs);
    this.#needs = Array.from({ length: inputs }, (_, input) => ({ kind: "block", input }));
  }

  /**
   * The next block of an input that `advance` asked for; undefined where it has no more. The merge
   * reads `block` until it asks for this input again.
   */
  give(input: number, block: Rows | undefined): void {
    assert(this.#lacks(input), "a block is given where one is needed");
    this.#blocks[input] = block;
    this.#at[input] = 0;
    if (block === undefined) this.#hasEnded[input] = 1;
    else assert(block.columns.length === columnCountOf(this.#resolution), "rows of the resolution");
  }

  /** Appends to `target` until something is needed. The target stays the same until it is full. */
  advance(target: Rows): MergeStep {
    for (;;) {
      const lacking = this.#firstLacking();
      if (lacking !== undefined) {
        this.#blocks[lacking] = undefined; // it may be filled again while we wait
        return this.#needs[lacking]!;
      }
      const input = this.#earliest();
      if (input === undefined) return END;
      if (!this.#take(input, target)) return FULL;
    }
  }

  #firstLacking(): number | undefined {
    for (let input = 0; input < this.#blocks.length; input++) {
      if (this.#lacks(input)) return input;
    }
    return undefined;
  }

  #lacks(input: number): boolean {
    const block = this.#blocks[input];
    return this.#hasEnded[input] === 0 && (block === undefined || this.#at[input]! === block.rows);
  }

  /** The input whose next row comes first; the oldest of equal ones. */
  #earliest(): number | undefined {
    let found: number | undefined;
    let foundTime = Number.POSITIVE_INFINITY;
    for (let input = 0; input < this.#blocks.length; input++) {
      const block = this.#blocks[input];
      if (block === undefined) continue;
      const time = block.time[this.#at[input]!]!;
      if (time < foundTime) {
        found = input;
        foundTime = time;
      }
    }
    return found;
  }

  /** Takes the rows of `input` that come before those of all others; false where there is no room. */
  #take(input: number, target: Rows): boolean {
    const block = this.#blocks[input]!;
    const from = this.#at[input]!;
    const end = this.#endOfRun(input);
    assert(end > from, "the earliest row comes before those of all others");
    const to =
      this.#resolution === readings
        ? takeReadings(target, block, from, end)
        : takeBuckets(target, block, from, end);
    this.#at[input] = to;
    return to === end;
  }

  /** One past the last row of `input` that comes before the next row of every other input. */
  #endOfRun(input: number): number {
    let before = Number.POSITIVE_INFINITY;
    let beforeOrAt = Number.POSITIVE_INFINITY;
    for (let other = 0; other < this.#blocks.length; other++) {
      const block = this.#blocks[other];
      if (block === undefined || other === input) continue;
      const time = block.time[this.#at[other]!]!;
      if (other < input) before = Math.min(before, time);
      else beforeOrAt = Math.min(beforeOrAt, time);
    }
    const { time, rows } = this.#blocks[input]!;
    let end = this.#at[input]!;
    while (end < rows && time[end]! < before && time[end]! <= beforeOrAt) end++;
    return end;
  }
}

/** Appends rows [from, end) as far as there is room; returns the first that it did not take. */
function takeReadings(target: Rows, block: Rows, from: number, end: number): number {
  const to = Math.min(end, from + rowsMaxOf(target) - target.rows);
  appendRows(target, block, { from, to });
  return to;
}

/** The same, where a row of the bucket that the target ends with is added to it. */
function takeBuckets(target: Rows, block: Rows, from: number, end: number): number {
  for (let row = from; row < end; row++) {
    const last = target.rows - 1;
    if (last >= 0 && target.time[last] === block.time[row]) addParts(target, last, block, row);
    else if (target.rows === rowsMaxOf(target)) return row;
    else appendRows(target, block, { from: row, to: row + 1 });
  }
  return end;
}
