/**
 * `weir store erase`: no byte of the readings of a device stays in its data directory. The agent must be
 * stopped: state store and log are written anew.
 */

import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Catalog } from "../../core/catalog.ts";
import type { Kv } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { type SeriesId, seriesId } from "../../core/units.ts";
import type { WhereSpec } from "../../edge-ops/spec.ts";
import { takesSeries } from "../../edge-ops/where.ts";
import { readBackupList, whereaboutsOf } from "../../store/care/backup-list.ts";
import { UpstreamFile } from "../../store/care/upstream-file.ts";
import { readHeldBack } from "../../store/state/held-back.ts";
import { openCheckedKv } from "../../store/state/checked-kv.ts";
import { copyEntries } from "../../store/state/kv-copy.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { type Config, dataflowSpecOf } from "../config/config.ts";
import { systemClock } from "../doors/clock.ts";
import { lockDirectories } from "../doors/directory-lock.ts";
import { readingDisk, systemDisk } from "../doors/disk.ts";
import { systemRandom } from "../doors/random.ts";
import { checkStateFile } from "../doors/state-file.ts";
import type { LogDamage } from "../../store/log/log.ts";
import type { TableStore } from "../../store/tables/table-store.ts";
import { type Erased, eraseSeries } from "../erasure/erasure.ts";
import { concernsDevicesOf } from "../erasure/erasure-words.ts";
import { Outputs } from "../outputs.ts";
import { recover, type Recovery } from "../recovery.ts";
import { dataPaths } from "../start.ts";
import { actAsOwner, inOwned } from "./act-as-owner.ts";
import { exitCodes } from "./command.ts";
import {
  type ErasureDone,
  type ErasureReport,
  type KnownBackup,
  reportJson,
  reportText,
} from "./erase-text.ts";
import { keepingPolicy, openOfflineStore, settled } from "./offline-store.ts";

export type EraseRequest = {
  readonly config: Config;
  /** Which series; `text` as the user wrote it. */
  readonly chosen: { readonly where: WhereSpec; readonly text: string };
  /** Without it only what would be erased is told. */
  readonly isConfirmed: boolean;
  readonly json: boolean;
};

/** Faults: INPUT_INVALID where there is no such series, DIRECTORY_IN_USE, those of store and disk. */
export async function erase(request: EraseRequest): Promise<number> {
  const { config, json } = request;
  const directory = config.dataDirectory;
  actAsOwner(directory);
  if (!existsSync(dataPaths(directory).state)) {
    throw new Fault(
      "INPUT_INVALID",
      `${directory} is not the data directory of an agent; point to one with --data or -c`,
    );
  }
  const unlock = await lockDirectories([
    {
      directory,
      inUse: `an agent is using ${directory}; stop it first: log and state store are written anew`,
    },
    {
      directory: dataPaths(directory).log,
      inUse: `a backup of ${directory} is being made; wait until it is done`,
    },
  ]);
  try {
    const { savepoints } = dataPaths(directory);
    // First: what cannot be read is told before anything is erased, and could not be told afterwards.
    const known = await inOwned(directory, async () => {
      // One that the agent was sending when it was killed is of no use to anybody.
      if (request.isConfirmed) await new UpstreamFile(systemDisk, savepoints).remove();
      return { ...(await knownBackups(directory)), savepoints: savepointsIn(savepoints) };
    });
    const { series, damage, done } = await eraseFromState(request);
    const report: ErasureReport = {
      series,
      damage,
      done: done && { ...done, ...(await clearTables(config)) },
      ...known,
    };
    console.log(json ? reportJson(report) : reportText(report, directory));
    return exitCodes.ok;
  } finally {
    await unlock();
  }
}

/** Everything but the tables: log, operators, outbox, dead letters. Then the state store is written anew. */
async function eraseFromState({ config, chosen, isConfirmed }: EraseRequest): Promise<{
  readonly series: readonly string[];
  /** Of the log, as a start would tell. */
  readonly damage: LogDamage;
  readonly done: Erased | undefined;
}> {
  const { state } = dataPaths(config.dataDirectory);
  await checkStateFile(state);
  const raw = openKvLmdb({ path: state, bytesMax: Number.MAX_SAFE_INTEGER });
  try {
    const kv = await openCheckedKv(raw);
    const outputs = new Outputs(config.agent, readHeldBack(kv));
    await using recovery = await recoverAll(config, { kv, outputs });
    const { catalog, damage } = recovery;
    const ids = chosenIn(catalog, chosen);
    const series = ids.map((id) => catalog.seriesName(id));
    if (!isConfirmed) return { series, damage, done: undefined };
    const done = await eraseSeries({
      recovery,
      outputs,
      kv,
      clock: systemClock(),
      series: ids,
      concerns: concernsDevicesOf(catalog, ids, Object.keys(chosen.where.tags)),
      settle: (tables) => settled(tables, { onTurn: () => undefined, starts: false }),
    });
    await writeAnew(raw, config.dataDirectory);
    return { series, damage, done };
  } finally {
    await raw.close();
  }
}

/** As an agent would start, but that nothing is ever too much. Disposing of it closes log and tables. */
async function recoverAll(
  config: Config,
  { kv, outputs }: { readonly kv: Kv; readonly outputs: Outputs },
): Promise<Recovery & AsyncDisposable> {
  const paths = dataPaths(config.dataDirectory);
  const recovery = await recover({
    disk: systemDisk,
    kv,
    random: systemRandom(),
    clock: systemClock(),
    logDirectory: paths.log,
    tablesDirectory: paths.tables,
    policy: keepingPolicy(config.store.tiers, undefined),
    classes: config.store.classes,
    clockNow: () => undefined,
    logBytesMax: config.logBytesMax,
    outboxBytesMax: Number.MAX_SAFE_INTEGER,
    configInForce: JSON.stringify(dataflowSpecOf(config)),
    segmentBytes: limits.segmentBytes,
    outputs,
  });
  const close = async (): Promise<void> => {
    await recovery.tables.close();
    await recovery.log.close();
  };
  return { ...recovery, [Symbol.asyncDispose]: close };
}

function chosenIn(catalog: Catalog, { where, text }: EraseRequest["chosen"]): readonly SeriesId[] {
  const takes = takesSeries(catalog, where);
  const all = Array.from({ length: catalog.seriesCount }, (_, id) => seriesId(id));
  const chosen = all.filter(takes);
  if (chosen.length > 0) return chosen;
  throw new Fault(
    "INPUT_INVALID",
    `there is no series ${text}; nothing was erased: weir query --series lists those there are`,
  );
}

/** Into another file, which takes the place of this one: the old one goes, with all its pages. */
async function writeAnew(kv: Kv, dataDirectory: string): Promise<void> {
  const { state } = dataPaths(dataDirectory);
  const path = `${state}.new`;
  const files = [path, `${path}-lock`];
  for (const file of files) rmSync(file, { force: true }); // of a try that was interrupted
  const anew = openKvLmdb({ path, bytesMax: Number.MAX_SAFE_INTEGER });
  try {
    await copyEntries(kv, anew);
  } finally {
    await anew.close();
  }
  await systemDisk.rename(path, state);
  await systemDisk.syncDirectory(dataDirectory);
  for (const file of files) rmSync(file, { force: true });
}

/** Tables are written anew, as an agent would by and by; files in quarantine go, before and afterwards. */
async function clearTables({
  dataDirectory,
  store,
}: Config): Promise<Pick<ErasureDone, "readings" | "quarantinedFiles">> {
  const { state, tables: directory } = dataPaths(dataDirectory);
  const raw = openKvLmdb({ path: state, bytesMax: limits.kvBytesMax });
  try {
    const policy = keepingPolicy(store.tiers, undefined);
    const kv = await openCheckedKv(raw);
    const tables = await openOfflineStore(kv, { directory, policy });
    try {
      const erasedBefore = tables.status.counts.erased;
      let quarantinedFiles = await clearQuarantine(tables);
      await settled(tables, { onTurn: progressOf(tables) });
      quarantinedFiles += await clearQuarantine(tables);
      await assertCleared(tables, directory);
      return { readings: tables.status.counts.erased - erasedBefore, quarantinedFiles };
    } finally {
      await tables.close();
    }
  } finally {
    await raw.close();
  }
}

async function clearQuarantine(tables: TableStore): Promise<number> {
  using snapshot = tables.snapshot();
  const { files } = snapshot.files.quarantine;
  await snapshot.files.giveWay(Number.POSITIVE_INFINITY);
  return files - snapshot.files.quarantine.files;
}

/** That they are gone is durable, too. Faults: DISK_FAILED where something is still there. */
async function assertCleared(tables: TableStore, directory: string): Promise<void> {
  using snapshot = tables.snapshot();
  const { quarantine, counters } = snapshot.files;
  if (tables.status.tombstones + quarantine.files + counters.removeFailures > 0) {
    throw new Fault(
      "DISK_FAILED",
      `files in ${directory} that may hold what was to be erased could not be removed or written anew; check the disk, then give the command again`,
      { facts: { directory } },
    );
  }
  await systemDisk.syncDirectory(directory);
  const aside = join(directory, "quarantine");
  if (existsSync(aside)) await systemDisk.syncDirectory(aside);
}

function progressOf(tables: TableStore): () => void {
  const clock = systemClock();
  const count = tables.status.tables;
  let saidAt = clock.monotonic();
  return () => {
    if (clock.monotonic() - saidAt < limits.progressMs) return;
    saidAt = clock.monotonic();
    console.error(`weir: ${tables.status.compactions} of at most ${count} tables are written anew`);
  };
}

async function knownBackups(directory: string): Promise<{
  readonly backups: readonly KnownBackup[];
  readonly forgotten: number;
}> {
  const { backups, forgotten } = await readBackupList(readingDisk, dataPaths(directory).backups);
  const known: KnownBackup[] = [];
  for (const backup of backups) {
    known.push({ ...backup, now: await whereaboutsOf(readingDisk, backup) });
  }
  return { backups: known, forgotten };
}

function savepointsIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}
