/**
 * The table store of a data directory in which no agent runs, for commands that change it. It is the
 * agent's own store, without a log: nothing is taken, and what is in the log stays there.
 */

import { Fault, type FaultCode } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { position } from "../../core/units.ts";
import { readDefinitions } from "../../store/state/catalog-store.ts";
import { readCheckpoint } from "../../store/state/checkpoint-store.ts";
import type { Kv } from "../../core/doors.ts";
import { openStateStore } from "../../store/state/state-store.ts";
import type { CompactionPolicy } from "../../store/tables/compaction/compaction-plan.ts";
import { openTableStore } from "../../store/tables/open-table-store.ts";
import { decodeRefusedRows, RefusedRows } from "../../store/tables/memory/refused-rows.ts";
import type { TableStore } from "../../store/tables/table-store.ts";
import { systemClock } from "../doors/clock.ts";
import { systemDisk } from "../doors/disk.ts";

/** Keeps everything, and merges from so many tables on; none where that is undefined. */
export function keepingPolicy(
  tiers: CompactionPolicy["tiers"],
  mergeTablesMin: number | undefined,
): CompactionPolicy {
  return {
    tiers,
    keepMs: new Map(),
    classes: new Map(),
    bytesMax: Number.MAX_SAFE_INTEGER,
    freeBytesMin: 0,
    mergeTablesMin: mergeTablesMin ?? Number.MAX_SAFE_INTEGER,
  };
}

/** Not started; the caller closes it. Rejects with STORE_FAILED, and as the disk does. */
export async function openOfflineStore(
  kv: Kv,
  { directory, policy }: { readonly directory: string; readonly policy: CompactionPolicy },
): Promise<TableStore> {
  const { store } = await openStateStore(kv);
  const devices = new Map<number, number>();
  for (const definition of readDefinitions(kv)) {
    if (definition.kind === "series") devices.set(definition.id, definition.device);
  }
  const checkpoint = readCheckpoint(kv)?.checkpoint;
  const refused = checkpoint?.refused;
  return await openTableStore({
    disk: systemDisk,
    clock: systemClock(),
    kv,
    store,
    directory,
    // A series that was flushed, and whose name is in the log alone: a device of its own.
    deviceOf: (series) => devices.get(series) ?? -1 - series,
    from: checkpoint?.at ?? position(0),
    refused: refused === undefined ? new RefusedRows() : decodeRefusedRows(refused),
    policy,
    clockNow: () => undefined,
  });
}

const codes: Readonly<Record<string, FaultCode>> = {
  DISK_FULL: "DISK_FULL",
  STATE_STORE_FULL: "STORE_FAILED",
  STORE_FAILED: "STORE_FAILED",
};

/**
 * Does all there is to do; where it does not start compaction, flushes alone. Faults: DISK_FULL,
 * DISK_FAILED, STORE_FAILED, instead of trying for ever.
 */
export async function settled(
  tables: TableStore,
  { onTurn, starts = true }: { readonly onTurn: () => void; readonly starts?: boolean },
): Promise<void> {
  const clock = systemClock();
  let isDone = false;
  if (starts) tables.start();
  const done = tables.settle().then(() => {
    isDone = true;
  });
  while (!isDone) {
    await Promise.race([
      done,
      new Promise<void>((resolve) => clock.after(limits.workLookMs, resolve)),
    ]);
    onTurn();
    const { trouble } = tables.status;
    if (trouble === undefined) continue;
    throw new Fault(codes[trouble.code] ?? "DISK_FAILED", trouble.message);
  }
}
