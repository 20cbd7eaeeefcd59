/**
 * `weir store erase`: no byte of the readings of a device stays in its data directory. The agent must be
 * stopped: state store and log are written anew.
 */

import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Catalog, nameOfTags } from "../../core/catalog.ts";
import type { Kv } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { type SeriesId, seriesId } from "../../core/units.ts";
import type { WhereSpec } from "../../edge-ops/spec.ts";
import { takesSeries } from "../../edge-ops/where.ts";
import {
  type NotedBackup,
  readBackupList,
  type Whereabouts,
  whereaboutsOf,
} from "../../store/care/backup-list.ts";
import { openCheckedKv } from "../../store/state/checked-kv.ts";
import { copyEntries } from "../../store/state/kv-copy.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { type Config, dataflowSpecOf } from "../config/config.ts";
import { systemClock } from "../doors/clock.ts";
import { lockDirectories } from "../doors/directory-lock.ts";
import { readingDisk, systemDisk } from "../doors/disk.ts";
import { systemRandom } from "../doors/random.ts";
import { checkStateFile } from "../doors/state-file.ts";
import { type Erased, eraseSeries } from "../erasure.ts";
import { concernsDevicesOf } from "../erasure-words.ts";
import { Outputs } from "../outputs.ts";
import { recover, type Recovery } from "../recovery.ts";
import { dataPaths } from "../start.ts";
import { exitCodes } from "./command.ts";
import { keepingPolicy, openOfflineStore, settled } from "./offline-store.ts";

export type EraseRequest = {
  readonly config: Config;
  /** Which series; `text` as the user wrote it. */
  readonly chosen: { readonly where: WhereSpec; readonly text: string };
  /** Without it only what would be erased is told. */
  readonly isConfirmed: boolean;
  readonly json: boolean;
};

type KnownBackup = NotedBackup & { readonly now: Whereabouts };

/** What was erased; undefined where that was not confirmed. */
type Done = Erased & { readonly readings: number; readonly quarantinedFiles: number };

/** Faults: INPUT_INVALID where there is no such series, DIRECTORY_IN_USE, those of store and disk. */
export async function erase(request: EraseRequest): Promise<number> {
  const { config, json } = request;
  const directory = config.dataDirectory;
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
    const { series, done } = await eraseFromState(request);
    const report: Report = {
      series,
      done: done && { ...done, ...(await clearTables(config)) },
      ...(await knownBackups(directory)),
      savepoints: savepointsIn(dataPaths(directory).savepoints),
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
  readonly done: Erased | undefined;
}> {
  const { state } = dataPaths(config.dataDirectory);
  await checkStateFile(state);
  const raw = openKvLmdb({ path: state, bytesMax: Number.MAX_SAFE_INTEGER });
  try {
    const kv = await openCheckedKv(raw);
    const outputs = new Outputs(config.agent);
    await using recovery = await recoverAll(config, { kv, outputs });
    const { catalog } = recovery;
    const ids = chosenIn(catalog, chosen);
    const series = ids.map((id) => catalog.seriesName(id));
    if (!isConfirmed) return { series, done: undefined };
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
    return { series, done };
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

/** What an agent would do by itself by and by. */
async function clearTables({
  dataDirectory,
  store,
}: Config): Promise<Pick<Done, "readings" | "quarantinedFiles">> {
  const { state, tables: directory } = dataPaths(dataDirectory);
  const raw = openKvLmdb({ path: state, bytesMax: limits.kvBytesMax });
  try {
    const policy = keepingPolicy(store.tiers, undefined);
    const kv = await openCheckedKv(raw);
    const tables = await openOfflineStore(kv, { directory, policy });
    try {
      const before = tables.status;
      const clock = systemClock();
      let saidAt = clock.monotonic();
      await settled(tables, {
        onTurn: () => {
          if (clock.monotonic() - saidAt < limits.progressMs) return;
          saidAt = clock.monotonic();
          console.error(
            `weir: ${tables.status.compactions} of at most ${before.tables} tables are written anew; an agent finishes this by itself`,
          );
        },
      });
      using snapshot = tables.snapshot();
      const quarantinedFiles = snapshot.files.quarantine.files;
      await snapshot.files.giveWay(Number.POSITIVE_INFINITY);
      return { readings: tables.status.counts.erased - before.counts.erased, quarantinedFiles };
    } finally {
      await tables.close();
    }
  } finally {
    await raw.close();
  }
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

// ---- what is told ----

type Report = {
  readonly series: readonly string[];
  readonly done: Done | undefined;
  readonly backups: readonly KnownBackup[];
  readonly forgotten: number;
  /** Files of the folder that is meant for them. */
  readonly savepoints: readonly string[];
};

const namesShownMax = 20;

function reportJson({ series, done, backups, forgotten, savepoints }: Report): string {
  const { kept = [], ...erased } = done ?? {};
  return JSON.stringify({
    series,
    erased: done === undefined ? null : erased,
    kept: kept.map(({ pipeline, key }) => ({ pipeline, key: nameOfTags(key) })),
    backups,
    forgottenBackups: forgotten,
    savepoints,
  });
}

function reportText(
  { series, done, backups, forgotten, savepoints }: Report,
  directory: string,
): string {
  const lines =
    done === undefined
      ? [`would be erased from ${directory}: ${shown(series)}`]
      : [
          `erased from ${directory}: ${shown(series)}`,
          `  ${done.readings} readings, ${done.records} records that waited for an uplink, ${done.deadLetters} dead letters`,
          ...unknownText(done),
          ...keptText(done),
        ];
  if (backups.length + forgotten + savepoints.length > 0) {
    lines.push("copies that may still have them:");
  }
  for (const { target, created, now } of backups) {
    lines.push(`  backup of ${new Date(created).toISOString()} in ${target} (${now})`);
  }
  if (forgotten > 0) lines.push(`  ${forgotten} older backups that are not listed any more`);
  for (const path of savepoints) lines.push(`  savepoint ${path}`);
  lines.push("not erased: names of series and texts they sent, and what uplinks have already");
  if (done === undefined) lines.push("nothing was erased yet: say it again with --yes");
  return lines.join("\n");
}

function shown(series: readonly string[]): string {
  const more = series.length - namesShownMax;
  const names = series.slice(0, namesShownMax).join(", ");
  return `${series.length} series: ${names}${more > 0 ? ` and ${more} more` : ""}`;
}

function unknownText({ damagedBlocks, quarantinedFiles }: Done): readonly string[] {
  if (damagedBlocks + quarantinedFiles === 0) return [];
  return [
    `  and what may have held some: ${damagedBlocks} damaged blocks of the outbox, ${quarantinedFiles} files in quarantine`,
  ];
}

function keptText({ kept }: Done): readonly string[] {
  if (kept.length === 0) return [];
  return [
    "kept, because other series are in them, too:",
    ...kept.map(({ pipeline, key }) => `  ${pipeline}: ${nameOfTags(key) || "all"}`),
  ];
}
