/**
 * The backups that were made of a data directory: what holds copies of its readings elsewhere.
 *
 *   backups.ndjson   {"created":ms,"target":"/mnt/usb/monday","weir":"0.1.0"}    one line each, oldest first
 *                    {"forgotten":3}    the first line, where older ones had to go
 *
 * It lies beside the log, and no backup has it: a restored directory begins with the backup it came
 * from. A line that is not one of ours (torn, or changed by hand) is left out and counted.
 */

import type { Disk } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { decodeJson, textOf, wholeOf } from "../state/stored-json.ts";
import { type Backup, readBackup } from "./backup.ts";
import { ifThere, readWhole, replaceWhole } from "./whole-files.ts";

export type NotedBackup = {
  /** Milliseconds since 1970. */
  readonly created: number;
  /** The absolute path of its folder when it was made. */
  readonly target: string;
  /** The version that made it. */
  readonly weir: string;
};

export type BackupList = {
  /** Oldest first. */
  readonly backups: readonly NotedBackup[];
  /** Older ones that are not listed any more. */
  readonly forgotten: number;
  /** Lines that could not be read. */
  readonly damaged: number;
};

/** An empty list where no backup was noted. `path`: of backups.ndjson. Rejects as the disk does. */
export async function readBackupList(disk: Pick<Disk, "open">, path: string): Promise<BackupList> {
  const bytes = await ifThere(() => readWhole(disk, path));
  const backups: NotedBackup[] = [];
  let forgotten = 0;
  let damaged = 0;
  for (const line of new TextDecoder().decode(bytes).split("\n")) {
    if (line === "") continue;
    const entry = entryOf(line);
    if (entry === undefined) damaged += 1;
    else if (typeof entry === "number") forgotten += entry;
    else backups.push(entry);
  }
  return { backups, forgotten, damaged };
}

/**
 * Adds a backup that is whole. One writer at a time: the caller sees to it. Rejects as the disk does;
 * the list is then as it was.
 */
export async function noteBackup(disk: Disk, path: string, made: NotedBackup): Promise<void> {
  const { backups, forgotten, damaged } = await readBackupList(disk, path);
  const all = [...backups, made]; // twice at one place: it may be that of another medium
  const kept = all.slice(-limits.backupsListedMax);
  const gone = forgotten + damaged + all.length - kept.length;
  const lines = [...(gone === 0 ? [] : [{ forgotten: gone }]), ...kept.map(lineOf)];
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  await replaceWhole(disk, path, new TextEncoder().encode(text));
}

/** What is at a backup's place now. */
export type Whereabouts =
  /** It is. */
  | "there"
  /** A backup that was made at another time. */
  | "another"
  /** Nothing, or no backup; its medium may be elsewhere. */
  | "absent"
  /** Something that cannot be read. */
  | "unreadable";

/** Reads what the backup says of itself, no more of it. */
export async function whereaboutsOf(
  disk: Pick<Disk, "open">,
  { created, target }: NotedBackup,
): Promise<Whereabouts> {
  let found: Backup;
  try {
    found = await readBackup(disk, target);
  } catch (error) {
    if (error instanceof Fault && error.code === "INPUT_INVALID") return "absent";
    if (isEnvironmental(error)) return error.code === "ENOTDIR" ? "absent" : "unreadable";
    throw error;
  }
  return found.created === created ? "there" : "another";
}

function lineOf({ created, target, weir }: NotedBackup): NotedBackup {
  return { created, target, weir };
}

/** A number: so many were forgotten before. Undefined where it is no line of ours. */
function entryOf(line: string): NotedBackup | number | undefined {
  try {
    const stored = decodeJson(new TextEncoder().encode(line), "backups.ndjson");
    if ("forgotten" in stored.fields) return wholeOf(stored, "forgotten");
    const created = wholeOf(stored, "created");
    return { created, target: textOf(stored, "target"), weir: textOf(stored, "weir") };
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
