/**
 * `weir backup` and `weir restore`: a whole data directory, copied while the agent runs, and back. The
 * data directory remembers what was made of it, and what it came from.
 */

import { existsSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { counted } from "../../core/counted.ts";
import type { Disk } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { type Backup, makeBackup, restoreBackup } from "../../store/care/backup.ts";
import {
  noteBackup,
  readBackupList,
  type Whereabouts,
  whereaboutsOf,
} from "../../store/care/backup-list.ts";
import { openCheckedKv, readCheckedKv } from "../../store/state/checked-kv.ts";
import { copyKvLmdb, openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { tailKey } from "../../store/state/kv-key.ts";
import { openStateStore } from "../../store/state/state-store.ts";
import { bytesText } from "../config/quantity.ts";
import { systemClock } from "../doors/clock.ts";
import { lockDirectories } from "../doors/directory-lock.ts";
import { readingDisk, systemDisk } from "../doors/disk.ts";
import { checkStateFile } from "../doors/state-file.ts";
import { dataPaths } from "../start.ts";
import { version } from "../version.ts";
import { actAsOwner, asOwner, inOwned, lookAsOwner } from "./act-as-owner.ts";
import { ColumnText } from "./column-text.ts";
import { exitCodes, parseOptions, refusePositionals, UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";
import { timeText } from "./store-text.ts";
import { writingTo } from "./writing.ts";

const options = {
  config: { type: "string", short: "c", default: "weir.yaml" },
  data: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    ...options,
    list: { type: "boolean", default: false },
  });
  const place = async (): Promise<string> =>
    resolve(values.data ?? (await readConfig(values.config)).dataDirectory);
  if (values.list) {
    refusePositionals(positionals);
    return await list(await place(), values.json);
  }
  const target = onlyFolder(positionals, "weir backup DIR");
  refuseFull(target, "the folder of a new backup must be empty or not there");
  const directory = await place();
  const unlock = await lockForBackup(directory);
  try {
    return await makeAndNote({ directory, target, json: values.json });
  } finally {
    await unlock();
  }
}

async function lockForBackup(directory: string): Promise<() => Promise<void>> {
  using _owner = asOwner(directory);
  const from = dataPaths(directory);
  if (!existsSync(from.state)) throw notData(directory);
  await checkStateFile(from.state);
  const inUse = `another backup of ${directory} is being made; wait until it is done`;
  return await lockDirectories([{ directory: from.log, inUse }]);
}

async function makeAndNote({
  directory,
  target,
  json,
}: {
  readonly directory: string;
  readonly target: string;
  readonly json: boolean;
}): Promise<number> {
  const from = dataPaths(directory);
  const clock = systemClock();
  const copying = makeBackup({
    disk: systemDisk,
    source: sourceIn(directory),
    target,
    from,
    placesIn: dataPaths,
    copyState: (path, to) => copyKvLmdb(path, to, () => asOwner(directory)),
    openState: (path) => readCheckedKv(openKvLmdb({ path, bytesMax: limits.kvBytesMax })),
    weir: version,
    created: clock.now(),
    onProgress: progress(),
  });
  const backup = await writingTo(target, () => copying).catch((error: unknown) => {
    removeAllIn(target); // it was empty, and shall be for the next try
    throw error;
  });
  // Not before: the folder of the backup may be root's.
  actAsOwner(directory);
  const noted = await noteMade(directory, { backup, target });
  tell(`backed up ${directory} to ${target}`, { ...backup, noted }, json);
  return exitCodes.ok;
}

/** Opens what is there as its owner, who may open no other file through it. */
function sourceIn(directory: string): Pick<Disk, "open" | "list"> {
  return {
    open: (path, how) => lookAsOwner(directory, () => readingDisk.open(path, how)),
    list: (path) => lookAsOwner(directory, () => readingDisk.list(path)),
  };
}

/** Whether the data directory remembers the backup: one that cannot be written has a backup all the same. */
async function noteMade(
  directory: string,
  { backup, target }: { readonly backup: Backup; readonly target: string },
): Promise<boolean> {
  const { created, weir } = backup;
  const { backups } = dataPaths(directory);
  try {
    await inOwned(directory, () => noteBackup(systemDisk, backups, { created, target, weir }));
    return true;
  } catch (error) {
    if (!isEnvironmental(error)) throw error;
    console.error(
      `weir: ${directory} could not note that there is a backup in ${target} (${error.message}): weir backup --list will not show it`,
    );
    return false;
  }
}

/** What was made of a data directory, and what is at its place now. */
async function list(directory: string, json: boolean): Promise<number> {
  if (!existsSync(dataPaths(directory).state)) throw notData(directory);
  const { backups, ...counts } = await lookAsOwner(directory, () =>
    readBackupList(readingDisk, dataPaths(directory).backups),
  );
  const found: ((typeof backups)[number] & { readonly now: Whereabouts })[] = [];
  for (const backup of backups) {
    // Where it is said to be was written by the owner, who may have said anything.
    const now = await lookAsOwner(directory, () => whereaboutsOf(readingDisk, backup));
    found.push({ ...backup, now });
  }
  if (json) {
    console.log(JSON.stringify({ backups: found, ...counts }));
    return exitCodes.ok;
  }
  const text = new ColumnText(["made", "version", "now", "folder"], (line) => console.log(line));
  for (const { created, weir, now, target } of found) {
    text.add([timeText(created), weir, now, target]);
  }
  text.flush();
  if (found.length === 0) console.log(`no backup of ${directory} is known`);
  if (counts.forgotten > 0) console.log(`older ones that are not listed: ${counts.forgotten}`);
  if (counts.damaged > 0) console.log(`lines that cannot be read: ${counts.damaged}`);
  return exitCodes.ok;
}

function notData(directory: string): Fault {
  return new Fault(
    "INPUT_INVALID",
    `${directory} is not the data directory of an agent; point to one with --data or -c`,
  );
}

export async function restore(args: readonly string[]): Promise<number> {
  if (args.some((arg) => /^--from-kafka(=|$)/.test(arg))) {
    return await (await import("./restore-kafka.ts")).run(args);
  }
  const { values, positionals } = parseOptions(args, options);
  const backup = onlyFolder(positionals, "weir restore DIR");
  const target = resolve(values.data ?? (await readConfig(values.config)).dataDirectory);
  refuseFull(target, "restoring overwrites nothing: move the old data directory away first");
  const copying = restoreBackup({
    disk: systemDisk,
    backup,
    target,
    placesIn: dataPaths,
    onProgress: progress(),
  });
  const found = await writingTo(target, () => copying);
  await forgetTail(dataPaths(target).state);
  await noteMade(target, { backup: found, target: backup });
  tell(`restored ${backup} to ${target}`, found, values.json);
  return exitCodes.ok;
}

/**
 * What comes now gets numbers that other records have had: whoever streamed those is to be told so
 * (store/outbox/record-tail.ts).
 */
async function forgetTail(path: string): Promise<void> {
  const raw = openKvLmdb({ path, bytesMax: Number.MAX_SAFE_INTEGER });
  try {
    if (raw.get(tailKey) === undefined) return;
    const { store } = await openStateStore(await openCheckedKv(raw));
    await store.tail.forget();
  } finally {
    await raw.close();
  }
}

function onlyFolder(positionals: readonly string[], usage: string): string {
  const [folder, ...rest] = positionals;
  if (folder === undefined || rest.length > 0) throw new UsageError(`say one folder: ${usage}`);
  return resolve(folder);
}

function refuseFull(directory: string, why: string): void {
  if (!existsSync(directory) || readdirSync(directory).length === 0) return;
  throw new Fault("INPUT_INVALID", `${directory} is there and not empty; ${why}`, {
    facts: { directory },
  });
}

/** As far as the disk lets us. */
function removeAllIn(directory: string): void {
  try {
    for (const name of readdirSync(directory)) {
      rmSync(join(directory, name), { recursive: true, force: true });
    }
  } catch {
    // What made it fail before is what is reported.
  }
}

/** A line now and then on a terminal's stderr. */
function progress(): (file: { readonly bytes: number }) => void {
  const clock = systemClock();
  let bytes = 0;
  let files = 0;
  let told = clock.monotonic();
  return (file) => {
    bytes += file.bytes;
    files += 1;
    if (clock.monotonic() - told < PROGRESS_MS) return;
    told = clock.monotonic();
    console.error(`weir: ${counted(files, "file")}, ${bytesText(bytes)} copied so far`);
  };
}

const PROGRESS_MS = 2_000;

function tell(
  what: string,
  { files, ...backup }: Backup & { readonly noted?: boolean },
  json: boolean,
): void {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  console.log(
    json
      ? JSON.stringify({ ...backup, files: files.length, bytes })
      : `weir: ${what}: ${counted(files.length, "file")}, ${bytesText(bytes)}`,
  );
}
