/**
 * Windows that wait to be emitted again because late readings changed them: a bounded queue in the
 * order in which they were marked, so that the head is the first to be due.
 *
 *   entry = key, the window's tag (its first pane, or the index of its session), deadline on the gateway clock
 *
 * An entry says that its window may be marked; whether it still is, its owner knows. Full means that
 * the owner emits the head early.
 */

import { assert } from "../../core/assert.ts";
import { cellTable, StateTable } from "../state-table.ts";

const HEAD = 0;
const LENGTH = 1;
const CELLS = 2;

export class CorrectionQueue {
  readonly tables: readonly StateTable[];
  readonly #entries: StateTable;
  readonly #ends: StateTable;
  readonly #lengthMax: number;
  readonly #key: Uint32Array;
  readonly #tag: Float64Array;
  readonly #deadline: Float64Array;
  readonly #cells = new Float64Array(CELLS);

  constructor(pipeline: string, lengthMax: number) {
    this.#lengthMax = lengthMax;
    this.#key = new Uint32Array(lengthMax);
    this.#tag = new Float64Array(lengthMax);
    this.#deadline = new Float64Array(lengthMax);
    this.#entries = new StateTable({
      name: `${pipeline}/corrections`,
      version: 1,
      rowsMax: lengthMax,
      rowsPerChunk: 256,
      columns: [
        { cells: this.#key, stride: 1 },
        { cells: this.#tag, stride: 1 },
        { cells: this.#deadline, stride: 1 },
      ],
    });
    this.#ends = cellTable(`${pipeline}/correction-ends`, this.#cells);
    this.tables = [this.#entries, this.#ends];
  }

  get length(): number {
    return this.#cells[LENGTH]!;
  }
  get isFull(): boolean {
    return this.length === this.#lengthMax;
  }
  /** Of the head; Infinity when there is none. */
  get deadline(): number {
    return this.length === 0 ? Number.POSITIVE_INFINITY : this.#deadline[this.#cells[HEAD]!]!;
  }
  get headKey(): number {
    return this.#key[this.#cells[HEAD]!]!;
  }
  get headTag(): number {
    return this.#tag[this.#cells[HEAD]!]!;
  }

  push(key: number, tag: number, deadline: number): void {
    assert(!this.isFull, "a full queue is emptied before it takes more");
    const slot = (this.#cells[HEAD]! + this.#cells[LENGTH]!) % this.#lengthMax;
    this.#key[slot] = key;
    this.#tag[slot] = tag;
    this.#deadline[slot] = deadline;
    this.#cells[LENGTH]! += 1;
    this.#entries.touch(slot);
    this.#ends.touch(0);
  }

  drop(): void {
    assert(this.length > 0, "there is a head to drop");
    this.#cells[HEAD] = (this.#cells[HEAD]! + 1) % this.#lengthMax;
    this.#cells[LENGTH]! -= 1;
    this.#ends.touch(0);
  }
}
