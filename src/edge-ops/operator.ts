/**
 * An operator: a pure, synchronous step over typed arrays with encodable state. It reads rows, puts
 * what it found into the emitter, keeps its state in StateTables, and counts every row it was given
 * in its ledger row. It never looks at the clock, at chance, or at catalog entries that no row has
 * named: its outputs are a function of the log alone.
 */

import type { Batch } from "../core/batch.ts";
import type { Alert, Complete, Summary } from "../core/record.ts";
import type { DeviceId, Millis, Position, SeriesId } from "../core/units.ts";
import type { StateTable } from "./state-table.ts";

/** The accepted rows of one batch, as the accept stage leaves them. Valid during `apply` only. */
export type Step = {
  readonly batch: Batch;
  /** Position of row 0; row i has position `at + i`. */
  readonly at: Position;
  /** Indexes of the accepted rows, ascending; [0, acceptedCount) are in use. */
  readonly accepted: Uint32Array;
  readonly acceptedCount: number;
  /** DeviceId of each accepted row, at the row's index (as in the batch's columns). */
  readonly device: Uint32Array;
  /** Watermark of its device after each accepted row, at the row's index, Millis; never goes back for a device. */
  readonly watermark: Float64Array;
};

/** Takes what an operator finds; what it gets is put into the order of positions before it leaves. */
export interface Emitter {
  /** Where in the log what follows comes from: set by an operator for each row, else by its caller. */
  at: Position;
  summary(summary: Summary): void;
  alert(alert: Alert): void;
  /** After the summaries it speaks of. */
  complete(marker: Complete): void;
}

export interface Operator {
  /** Name of the pipeline, with `@2` and so on after its definition changed. */
  readonly pipeline: string;
  readonly tables: readonly StateTable[];
  /** The rows of a batch, in order. */
  apply(step: Step, emitter: Emitter): void;
  /** Steady gateway time, see gateway-clock.ts; never goes back. Comes before the rows of the same frame. */
  tick(clock: Millis, emitter: Emitter): void;
  /** The device has been silent for its idle timeout: it no longer holds anything open. */
  deviceIdle(device: DeviceId, emitter: Emitter): void;
  /** The earliest clock at which `tick` would do something; Infinity if never. */
  wakeAt(): number;
  /** Emits everything that is open: the pipeline ends here. */
  drain(emitter: Emitter): void;
  /**
   * Leaves no trace of these series, and of these keys, which have no others. What is open of a key is
   * emitted first, so that its readings stay accounted for; what comes of it and is older is late.
   */
  erase(
    erased: { readonly series: readonly SeriesId[]; readonly keys: readonly number[] },
    emitter: Emitter,
  ): void;
  /**
   * What of the key begins before `through` is no longer ours: hardware before this one has sent it.
   * Nothing is emitted of it, and readings that were open in it are late. Absent where an operator cannot.
   */
  concede?(key: number, through: number): void;
  /** Called once after the tables were loaded from a checkpoint: rebuilds what is derived from them. */
  restore(): void;
}
