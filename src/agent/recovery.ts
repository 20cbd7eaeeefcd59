/**
 * Recovery is the loop's own code: read the newest checkpoint, replay the log after it. Outputs up
 * to emittedThrough are durable already, so they are muted; when the replay passes that position
 * the ledger must equal the committed one, or the state does not come from this log. What another
 * weir wrote, or another log led to, is refused with what to do: a start by itself would only fail
 * in the same way again.
 */

import { limits } from "../core/limits.ts";
import { MalformedBytes } from "../core/bytes.ts";
import { Catalog } from "../core/catalog.ts";
import type { Clock, Disk, Kv, Random } from "../core/doors.ts";
import { Fault } from "../core/faults.ts";
import type { Definition, Frame, Posted } from "../core/frame.ts";
import { type Millis, millis, type Position, position } from "../core/units.ts";
import { createDataflow, type Dataflow, emptySpec } from "../edge-ops/dataflow.ts";
import { decodeLedger, differingRow, type Ledger } from "../edge-ops/ledger.ts";
import { decodeSpec } from "../edge-ops/spec.ts";
import { type Log, type LogDamage, openLog } from "../store/log/log.ts";
import { logBeginOf } from "../store/care/savepoint.ts";
import { damaged } from "../store/state/stored-json.ts";
import { openStateStore, type Recovered, type StateStore } from "../store/state/state-store.ts";
import type { CompactionPolicy } from "../store/tables/compaction/compaction-plan.ts";
import { decodeRefusedRows, RefusedRows } from "../store/tables/memory/refused-rows.ts";
import { readTableHead } from "../store/tables/listing/table-list.ts";
import { openTableStore } from "../store/tables/open-table-store.ts";
import type { TableStore } from "../store/tables/table-store.ts";
import { defineLostNames } from "./lost-names.ts";
import type { Outputs } from "./outputs.ts";
import { type SeriesClass, seriesClasses } from "./series-classes.ts";

export type Recovery = {
  readonly catalog: Catalog;
  readonly dataflow: Dataflow;
  readonly log: Log;
  readonly store: StateStore;
  readonly tables: TableStore;
  readonly applied: Position;
  readonly checkpointed: Position;
  readonly clock: Millis | undefined;
  readonly damage: LogDamage;
  /** How far bodies are taken that were posted under a key, oldest first; of a key the last counts. */
  readonly posted: readonly Posted[];
  readonly replayed: { readonly frames: number; readonly rows: number };
};

export type RecoveryOptions = {
  readonly disk: Disk;
  readonly kv: Kv;
  readonly random: Random;
  readonly clock: Clock;
  readonly logDirectory: string;
  readonly tablesDirectory: string;
  readonly memoryRowsMax?: number | undefined;
  readonly policy: CompactionPolicy;
  readonly isSparing?: () => boolean;
  /** Series that are kept by rules of their own. */
  readonly classes: readonly SeriesClass[];
  /** The gateway's clock while it is trusted; not asked before the tables are started. */
  readonly clockNow: () => number | undefined;
  readonly logBytesMax: number;
  readonly bytesLeftFree?: (() => number) | undefined;
  readonly outboxBytesMax: number;
  /** JSON of the DataflowSpec of today's configuration, for a log that lost its own. */
  readonly configInForce: string;
  readonly segmentBytes: number;
  readonly outputs: Outputs;
};

/**
 * The log and the tables are the caller's to close. Faults: STATE_MISMATCH, FORMAT_TOO_NEW,
 * FORMAT_UNKNOWN, those of the log, of the state store and of the table store; what was opened is then
 * closed again.
 */
export async function recover(options: RecoveryOptions): Promise<Recovery> {
  const { store, recovered } = await openStateStore(options.kv, options);
  await using opened = new AsyncDisposableStack();
  const { log, damage } = await openLog(options.disk, {
    directory: options.logDirectory,
    segmentBytes: options.segmentBytes,
    bytesMax: options.logBytesMax,
    bytesLeftFree: options.bytesLeftFree,
    random: options.random,
    // What was emitted or is in tables was in the log: where its end is gone, its positions are not
    // given again.
    begin: position(logBeginOf(options.kv)),
    endMin: position(Math.max(recovered.emitted?.through ?? 0, tabledThrough(options.kv))),
  });
  opened.use(log);
  const catalog = new Catalog();
  for (const definition of recovered.definitions) catalog.define(definition);
  const dataflow = restoreDataflow(catalog, recovered);
  const from = recovered.checkpoint?.at ?? position(0);
  const tables = await openTableStore({
    disk: options.disk,
    clock: options.clock,
    kv: options.kv,
    store,
    directory: options.tablesDirectory,
    deviceOf: (series) => catalog.series(series).device,
    classOf: seriesClasses(catalog, options.classes),
    from,
    refused: refusedOf(recovered),
    policy: options.policy,
    mergeShare: limits.mergeShare,
    ...(options.isSparing === undefined ? {} : { isSparing: options.isSparing }),
    clockNow: options.clockNow,
    rowsMax: options.memoryRowsMax,
  });
  opened.defer(() => tables.close());
  const replay = await replayLog({
    log,
    catalog,
    dataflow,
    tables,
    recovered,
    from,
    damage,
    options,
  });
  opened.move();
  const posted = [...recovered.posted, ...options.outputs.posted];
  return { catalog, dataflow, log, store, tables, checkpointed: from, damage, posted, ...replay };
}

function tabledThrough(kv: Kv): number {
  return readTableHead(kv)?.through ?? 0;
}

function refusedOf({ checkpoint }: Recovered): RefusedRows {
  const bytes = checkpoint?.refused;
  if (bytes === undefined) return new RefusedRows();
  try {
    return decodeRefusedRows(bytes);
  } catch (error) {
    if (!(error instanceof MalformedBytes)) throw error;
    throw damaged("the state store's refused rows", error.message);
  }
}

/** As of the checkpoint. Faults: FORMAT_UNKNOWN, FORMAT_TOO_NEW. */
export function restoreDataflow(
  catalog: Catalog,
  recovered: Pick<Recovered, "checkpoint">,
): Dataflow {
  const { checkpoint } = recovered;
  if (checkpoint === undefined) return createDataflow(emptySpec, catalog);
  const dataflow = createDataflow(decodeSpec(checkpoint.spec), catalog);
  for (const { table, chunk, bytes } of checkpoint.chunks()) {
    if (!dataflow.load(table, chunk, bytes)) {
      throw new Fault(
        "FORMAT_UNKNOWN",
        `the saved state of ${table} has a layout that this weir does not know; start the version that wrote it, or start with a fresh data directory`,
        { facts: { table, chunk } },
      );
    }
  }
  dataflow.restore();
  return dataflow;
}

/** Tables may begin before the checkpoint, or end behind it: each takes what it does not have. */
async function replayLog({
  log,
  catalog,
  dataflow,
  tables,
  recovered,
  from,
  damage,
  options: { outputs, configInForce },
}: {
  readonly log: Log;
  readonly catalog: Catalog;
  readonly dataflow: Dataflow;
  readonly tables: TableStore;
  readonly recovered: Recovered;
  readonly from: Position;
  readonly damage: LogDamage;
  readonly options: RecoveryOptions;
}): Promise<Pick<Recovery, "applied" | "clock" | "replayed">> {
  const emittedThrough = recovered.emitted?.through ?? position(0);
  const config: Definition = recovered.definitions.findLast(({ kind }) => kind === "config") ?? {
    kind: "config",
    json: configInForce,
  };
  let clock = recovered.emitted?.clock;
  const replayed = { frames: 0, rows: 0 };
  /** What of the tables' part was read. */
  let next = tables.through;
  const takenThrough = (to: Position): void => {
    if (to > next && next < from) tables.replayLost(next, to < from ? to : from);
  };
  await log.read(position(Math.min(from, tables.through)), (found, at) => {
    takenThrough(at);
    if (at < from) {
      tables.replay(position(at + 1), found.batch);
      next = position(at + found.batch.rows + 1);
      return tables.isFull ? tables.room() : undefined;
    }
    next = from;
    if (found.clockTrusted) clock = millis(Math.max(clock ?? found.clock, found.clock));
    const frame = damage.lostPositions > 0 ? mended(found, { catalog, dataflow, config }) : found;
    outputs.muted = at < emittedThrough;
    outputs.define(frame.definitions);
    tables.take(dataflow.apply(frame, at, outputs));
    const end = position(at + frame.batch.rows + 1);
    if (end === emittedThrough && recovered.emitted !== undefined && damage.lostPositions === 0) {
      checkLedger(dataflow.ledger, recovered.emitted.ledger);
    }
    replayed.frames += 1;
    replayed.rows += frame.batch.rows;
    return tables.isFull ? tables.room() : undefined;
  });
  takenThrough(from);
  outputs.muted = false;
  return { applied: log.end, clock, replayed };
}

/**
 * The frame with what a damaged one before it may have said: names for ids that nobody defined, and
 * a configuration where there is none, the last one known to have been in force.
 */
function mended(
  frame: Frame,
  {
    catalog,
    dataflow,
    config,
  }: {
    readonly catalog: Catalog;
    readonly dataflow: Dataflow;
    readonly config: Definition;
  },
): Frame {
  const names = defineLostNames(catalog, frame);
  const isConfigured =
    dataflow.spec.sources.length > 0 || frame.definitions.some(({ kind }) => kind === "config");
  const definitions = [...(isConfigured ? [] : [config]), ...names, ...frame.definitions];
  return { ...frame, definitions };
}

function checkLedger(ledger: Ledger, committed: Uint8Array): void {
  if (ledger.equals(committed)) return;
  const view = decodeLedger(committed);
  const row = (view && differingRow(ledger.view(), view)) ?? "the format of the committed one";
  throw new Fault(
    "STATE_MISMATCH",
    `the ledger after replay is not the one that was committed: it differs in ${row}; start the version of weir that ran last, restore log and state store together from one backup, or start with a fresh data directory`,
    { facts: { row } },
  );
}
