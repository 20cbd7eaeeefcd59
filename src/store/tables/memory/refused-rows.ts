/**
 * Rows of the log that were not accepted (duplicates, readings from the future), by position, from
 * the tables' position on. The tables' part of a replay may begin before the operators' checkpoint,
 * where nobody can decide again what was accepted: the checkpoint keeps these instead.
 *
 *   encoded   varint runs, then per run: varint gap since the end of the run before, varint rows
 *
 * The first gap counts from position 0.
 */

import { ByteReader, ByteWriter } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import { type Position, position } from "../../../core/units.ts";

type Run = { readonly from: number; to: number };

export class RefusedRows {
  #runs: Run[];

  constructor(runs: readonly Run[] = []) {
    this.#runs = runs.map((run) => ({ ...run }));
  }

  /** So many stretches that they are worth a flush, behind which they are forgotten. */
  get isFull(): boolean {
    return this.#runs.length >= limits.refusedRunsMax;
  }

  /** Notes the rows of a batch whose row 0 is at `at` that are not in `accepted[0, count)`, ascending. */
  note(at: Position, rows: number, accepted: Uint32Array, count: number): void {
    if (count === rows) return;
    let next = 0;
    for (let i = 0; i < count; i++) {
      const row = accepted[i]!;
      if (row > next) this.#add(at + next, at + row);
      next = row + 1;
    }
    if (next < rows) this.#add(at + next, at + rows);
  }

  /** Fills `accepted` with the rows of a batch at `at` that were not refused, ascending; their count. */
  acceptedOf(at: Position, rows: number, accepted: Uint32Array): number {
    let index = this.#runs.findIndex(({ to }) => to > at);
    if (index === -1) index = this.#runs.length;
    let count = 0;
    for (let row = 0; row < rows; row++) {
      while (index < this.#runs.length && this.#runs[index]!.to <= at + row) index += 1;
      const run = this.#runs[index];
      if (run === undefined || at + row < run.from) accepted[count++] = row;
    }
    return count;
  }

  /** How many rows of [from, to) were refused. */
  countIn(from: number, to: number): number {
    return this.#runs.reduce(
      (sum, run) => sum + Math.max(0, Math.min(run.to, to) - Math.max(run.from, from)),
      0,
    );
  }

  /** Forgets what lies below: tables have what was accepted there. */
  forgetBelow(below: Position): void {
    this.#runs = this.#runs.filter(({ to }) => to > below);
  }

  /** Fresh bytes the caller owns. */
  encode(): Uint8Array {
    const bytesMax = 8 * (1 + 2 * this.#runs.length);
    const writer = new ByteWriter({ bytes: bytesMax, bytesMax });
    writer.varint(this.#runs.length);
    let end = 0;
    for (const { from, to } of this.#runs) {
      writer.varint(from - end);
      writer.varint(to - from);
      end = to;
    }
    return writer.slice(0, writer.length).slice();
  }

  #add(from: number, to: number): void {
    const last = this.#runs.at(-1);
    if (last !== undefined && last.to === from) last.to = to;
    else this.#runs.push({ from, to });
  }
}

/** Reads what `encode` gave. Throws MalformedBytes. */
export function decodeRefusedRows(bytes: Uint8Array): RefusedRows {
  const reader = new ByteReader(bytes);
  const count = reader.count(2);
  const runs: Run[] = [];
  let end = 0;
  for (let i = 0; i < count; i++) {
    const from = position(end + reader.varint());
    end = from + reader.varint();
    runs.push({ from, to: end });
  }
  return new RefusedRows(runs);
}
