/**
 * Recovery is the loop's own code: read the newest checkpoint, replay the log after it. Outputs up
 * to emittedThrough are durable already, so they are muted; when the replay passes that position
 * the ledger must equal the committed one, or the state does not come from this log.
 */

import { assert } from "../core/assert.ts";
import { Catalog } from "../core/catalog.ts";
import type { Disk, Kv, Random } from "../core/doors.ts";
import { Fault } from "../core/faults.ts";
import { type Millis, type Position, position } from "../core/units.ts";
import {
  createDataflow,
  type Dataflow,
  type DataflowState,
  emptySpec,
} from "../edge-ops/dataflow.ts";
import { type Log, type LogDamage, openLog } from "../store/log.ts";
import { openStateStore, type Recovered, type StateStore } from "../store/state-store.ts";
import { defineLostNames } from "./lost-names.ts";
import type { Outputs } from "./outputs.ts";

export type Recovery = {
  readonly catalog: Catalog;
  readonly dataflow: Dataflow;
  readonly log: Log;
  readonly store: StateStore;
  readonly applied: Position;
  readonly checkpointed: Position;
  readonly clock: Millis | undefined;
  readonly damage: LogDamage;
  readonly replayed: { readonly frames: number; readonly rows: number };
};

export type RecoveryOptions = {
  readonly disk: Disk;
  readonly kv: Kv;
  readonly random: Random;
  readonly logDirectory: string;
  readonly logBytesMax: number;
  readonly segmentBytes: number;
  readonly outputs: Outputs;
};

export async function recover(options: RecoveryOptions): Promise<Recovery> {
  const { store, recovered } = await openStateStore(options.kv);
  const { log, damage } = await openLog(options.disk, {
    directory: options.logDirectory,
    segmentBytes: options.segmentBytes,
    bytesMax: options.logBytesMax,
    random: options.random,
    // What was emitted was in the log: where its end is gone, its positions are not given again.
    endMin: recovered.emitted?.through ?? position(0),
  });
  const catalog = new Catalog();
  for (const definition of recovered.definitions) catalog.define(definition);
  const dataflow = restoreDataflow(catalog, recovered);
  const from = recovered.checkpoint?.at ?? position(0);
  const replay = await replayLog({ log, catalog, dataflow, recovered, from, damage, options });
  return { catalog, dataflow, log, store, checkpointed: from, damage, ...replay };
}

function restoreDataflow(catalog: Catalog, recovered: Recovered): Dataflow {
  const { checkpoint } = recovered;
  if (checkpoint === undefined) return createDataflow(emptySpec, catalog);
  const dataflow = createDataflow(JSON.parse(checkpoint.spec) as DataflowState, catalog);
  for (const { table, chunk, bytes } of checkpoint.chunks()) {
    if (!dataflow.load(table, chunk, bytes)) {
      throw new Fault(
        "FORMAT_TOO_NEW",
        `the saved state of ${table} was written by another version of weir; start that version, or start with a fresh data directory`,
        { facts: { table, chunk } },
      );
    }
  }
  dataflow.restore();
  return dataflow;
}

async function replayLog({
  log,
  catalog,
  dataflow,
  recovered,
  from,
  damage,
  options: { outputs },
}: {
  readonly log: Log;
  readonly catalog: Catalog;
  readonly dataflow: Dataflow;
  readonly recovered: Recovered;
  readonly from: Position;
  readonly damage: LogDamage;
  readonly options: RecoveryOptions;
}): Promise<Pick<Recovery, "applied" | "clock" | "replayed">> {
  const emittedThrough = recovered.emitted?.through ?? position(0);
  let clock: Millis | undefined;
  const replayed = { frames: 0, rows: 0 };
  await log.read(from, (frame, at) => {
    outputs.muted = at < emittedThrough;
    if (damage.lostPositions > 0) outputs.define(defineLostNames(catalog, frame));
    outputs.define(frame.definitions);
    dataflow.apply(frame, at, outputs);
    const end = position(at + frame.batch.rows + 1);
    if (end === emittedThrough && recovered.emitted !== undefined && damage.lostPositions === 0) {
      assert(
        dataflow.ledger.equals(recovered.emitted.ledger),
        "the ledger after replay equals the committed one",
      );
    }
    if (frame.clockTrusted) clock = frame.clock;
    replayed.frames += 1;
    replayed.rows += frame.batch.rows;
  });
  outputs.muted = false;
  return { applied: log.end, clock, replayed };
}
