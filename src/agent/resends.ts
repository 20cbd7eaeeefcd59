/**
 * Resends that are older than the ring of duplicates (P9): looked up among what is stored before their
 * frame is written, and marked in it, so that a replay decides as the log says.
 *
 * Everything accepted before is in the snapshot, since frames are applied one after another before the
 * next is looked at. What is stored only more coarsely, beyond the bounds, or where the disk cannot read
 * it, is not found: it is taken as late.
 */

import { type Batch, KIND_STORED } from "../core/batch.ts";
import { limits } from "../core/limits.ts";
import type { Dataflow } from "../edge-ops/dataflow.ts";
import { findStoredRows } from "../store/tables/read/stored-rows.ts";
import type { TableStore } from "../store/tables/table-store.ts";

export type ResendCounts = {
  /** Readings that were looked up, found, and left without looking. */
  readonly lookedUp: number;
  readonly found: number;
  readonly skipped: number;
};

export class Resends {
  readonly #dataflow: Dataflow;
  readonly #tables: TableStore;
  readonly #older = new Uint32Array(limits.batchRowsMax);
  #lookedUp = 0;
  #found = 0;
  #skipped = 0;

  constructor({ dataflow, tables }: { readonly dataflow: Dataflow; readonly tables: TableStore }) {
    this.#dataflow = dataflow;
    this.#tables = tables;
  }

  get counts(): ResendCounts {
    return { lookedUp: this.#lookedUp, found: this.#found, skipped: this.#skipped };
  }

  /** Undefined where there is nothing to wait for: mostly. The batch is not sealed into bytes yet. */
  mark(batch: Batch): Promise<void> | undefined {
    const count = this.#dataflow.olderRows(batch, this.#older);
    return count === 0 ? undefined : this.#mark(batch, this.#older.subarray(0, count));
  }

  async #mark(batch: Batch, rows: Uint32Array): Promise<void> {
    const stored: number[] = [];
    using snapshot = this.#tables.snapshot();
    const skipped = await findStoredRows(snapshot, { batch, rows }, (row) => stored.push(row));
    for (const row of new Set(stored)) batch.kind[row] = batch.kind[row]! | KIND_STORED;
    this.#lookedUp += rows.length - skipped;
    this.#found += new Set(stored).size;
    this.#skipped += skipped;
  }
}
