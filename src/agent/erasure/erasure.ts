/**
 * Erasing the readings of some series from a data directory in which no agent runs, so that no byte of
 * them is in any file of it.
 *
 *   1  everything that is in the log is applied, committed and flushed, and the log begins anew
 *   2  the operators forget the series; what they emit of them is committed; tables get a tombstone
 *   3  records in the outbox and dead letters are emptied, what Home Assistant was told loses its names
 *   4  the state store is written anew (kv-copy.ts): pages that LMDB has freed hold what was in them
 *   5  tables that hold them are written again, and damaged files kept aside are removed
 *
 * The first three are here, the rest is done by who owns the files. Where it is interrupted it is
 * simply done again: each step finds less to do. What stays is told: names in the catalog, aggregates
 * of several devices, and copies elsewhere (backups, what was sent).
 */

import type { Clock, Kv } from "../../core/doors.ts";
import type { Frame } from "../../core/frame.ts";
import { createBatch } from "../../core/batch.ts";
import { type Position, position, type SeriesId } from "../../core/units.ts";
import type { ErasedKeys, PipelineKey } from "../../edge-ops/dataflow.ts";
import { erasedRecord } from "../../store/outbox/erased-record.ts";
import { queues } from "../../store/outbox/lane.ts";
import { rewriteLane } from "../../store/outbox/rewrite-outbox.ts";
import { eraseDeadLetters, type KeptDeadLetter } from "../../store/state/dead-letters.ts";
import { allTime } from "../../store/tables/rows.ts";
import type { TableStore } from "../../store/tables/table-store.ts";
import { chooseRecords, type RecordChoice } from "./erasure-records.ts";
import { erasedTold, readTold, writeOfTold } from "../home-assistant/told.ts";
import { checkpointOf } from "../loop.ts";
import type { Outputs } from "../outputs.ts";
import type { Recovery } from "../recovery.ts";

export type ErasureOptions = {
  readonly recovery: Recovery;
  readonly outputs: Outputs;
  readonly kv: Kv;
  readonly clock: Clock;
  /** At least one. */
  readonly series: readonly SeriesId[];
  /** Whether a message that could not be decoded may be about them. */
  readonly concerns: (letter: KeptDeadLetter) => boolean;
  /** Waits for a flush. Faults: DISK_FULL, DISK_FAILED. */
  readonly settle: (tables: TableStore) => Promise<void>;
};

export type Erased = {
  /** Records that waited for an uplink. */
  readonly records: number;
  readonly deadLetters: number;
  /** Blocks of the outbox that are damaged: nobody knows what they held, and they are gone. */
  readonly damagedBlocks: number;
  /** What aggregates hold of these series and others together. */
  readonly kept: readonly PipelineKey[];
};

/**
 * Steps 1 to 3. Closes log and tables of `recovery`. Faults: those of the log, the state store and the
 * disk.
 */
export async function eraseSeries(options: ErasureOptions): Promise<Erased> {
  const { recovery, kv, series, concerns } = options;
  const { catalog, dataflow } = recovery;
  // It has records of all series once more; whoever streams is told what is missed.
  await recovery.store.tail.forget();
  const keys = await forget(options);
  const pipelines = dataflow.ledger.view().pipelines.map(({ pipeline }) => pipeline);
  const { tells, kept } = chooseRecords(catalog, { series, keys, pipelines });
  const rewritten = { records: 0, damagedBlocks: 0 };
  for (const lane of queues) {
    const done = await rewriteLane(kv, lane, (bytes, number) =>
      erasedRecord(bytes, { number, tells }),
    );
    rewritten.records += done.records;
    rewritten.damagedBlocks += done.damagedBlocks;
  }
  await eraseTold(kv, tells);
  const deadLetters = await eraseDeadLetters(kv, concerns);
  return { ...rewritten, deadLetters, kept: kept() };
}

/** What Home Assistant was told of them is left as ids alone, by which the agent takes it back. */
async function eraseTold(kv: Kv, tells: RecordChoice["tells"]): Promise<void> {
  const erased = readTold(kv).filter(
    ({ kind, about }) => about !== undefined && tells({ kind, ...about }),
  );
  if (erased.length > 0) await kv.commit(erased.map((told) => writeOfTold(erasedTold(told))));
}

/** Steps 1 and 2. */
async function forget(options: ErasureOptions): Promise<ErasedKeys> {
  const { recovery, outputs, series } = options;
  await using opened = new AsyncDisposableStack();
  opened.use(recovery.log);
  opened.defer(() => recovery.tables.close());
  const begun = await beginLogAnew(options);
  const keys = recovery.dataflow.erase(series, begun, outputs);
  recovery.tables.erase({ at: begun, series, range: allTime });
  await commitThrough(options, begun);
  await releaseLog(options, begun);
  return keys;
}

// ---- the log ----

/** Afterwards the log has one frame, which says nothing; its end. */
async function beginLogAnew(options: ErasureOptions): Promise<Position> {
  const { recovery, outputs } = options;
  const { log, dataflow, tables, applied } = recovery;
  await commitThrough(options, applied);
  await releaseLog(options, applied);
  log.seal();
  const frame = silentFrame(options);
  const at = await log.append(frame);
  tables.take(dataflow.apply(frame, at, outputs));
  return position(at + 1);
}

/** Says of the clock what is known already. */
function silentFrame({ recovery, clock }: ErasureOptions): Frame {
  const known = recovery.clock;
  return {
    clock: known ?? clock.now(),
    clockTrusted: known !== undefined,
    definitions: [],
    counts: [],
    deadLetters: [],
    batch: createBatch(1),
  };
}

/** Operators and tables are at `through`; what they emitted is in the outbox, however full that is. */
async function commitThrough(
  { recovery, outputs, settle }: ErasureOptions,
  through: Position,
): Promise<void> {
  const { dataflow, store, tables, clock } = recovery;
  await store.commit({
    through,
    clock,
    ledger: dataflow.ledger.encode(),
    ...outputs.take(),
    checkpoint: checkpointOf(dataflow, tables),
  });
  tables.wantFlush();
  await settle(tables);
}

async function releaseLog({ recovery: { log } }: ErasureOptions, below: Position): Promise<void> {
  await log.release(below);
  await log.removeSpares();
}
