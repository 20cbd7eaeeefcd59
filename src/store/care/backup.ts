/**
 * A backup: a copy of a data directory that an agent can go on from, made while another writes to it.
 *
 *   1  the state store, as of one transaction     state.mdb
 *   2  the tables it lists                         tables/
 *   3  the log, from where it needs it             log/
 *   4  what all of that is                         backup.json
 *
 * Nobody is asked to wait. Tables never change, and the log only grows at its end; what may happen
 * meanwhile is that a table is replaced, or a segment recycled, before it was copied. Then the copy
 * of the state store is too old for what is left, and everything begins again with a newer one. A
 * frame that was being written as it was copied is a torn tail, which opening cuts.
 *
 * `backup.json`: {"format":1,"weir":"0.1.0","created":ms,"files":[{"name","bytes","checksum"}]}, names
 * relative to it. It is written last: a folder without it is no backup. The data directory remembers
 * where its backups are (backup-list.ts).
 */

import { basename, join, relative } from "node:path";
import { crc32 } from "node:zlib";
import type { Disk, Kv } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentNumberOf } from "../log/log-segment.ts";
import { decodeJson, encodeJson, listOf, objectOf, textOf, wholeOf } from "../state/stored-json.ts";
import { tablePath } from "../tables/listing/table-files.ts";
import { readTableList } from "../tables/listing/table-list.ts";
import { ifThere, opened, readWhole, writeWhole } from "./whole-files.ts";

const FORMAT = 1;
const MANIFEST = "backup.json";

/** Where the parts of a data directory are. */
export type DataPlaces = {
  readonly log: string;
  readonly tables: string;
  readonly state: string;
};

export type BackupOptions = {
  readonly disk: Disk;
  /** What of it reads `from`. */
  readonly source: Pick<Disk, "open" | "list">;
  /** Absolute; what is in it is overwritten: the caller sees to it that nothing is. */
  readonly target: string;
  readonly from: DataPlaces;
  /** The same within a copy. */
  readonly placesIn: (directory: string) => DataPlaces;
  /** Copies the state store at one point in time, while it is written. */
  readonly copyState: (from: string, to: string) => Promise<void>;
  /** Opens a copy to be read. */
  readonly openState: (path: string) => Kv;
  readonly weir: string;
  /** Now, in milliseconds since 1970. */
  readonly created: number;
  readonly onProgress?: (done: { readonly name: string; readonly bytes: number }) => void;
};

export type BackedUpFile = {
  readonly name: string;
  readonly bytes: number;
  readonly checksum: number;
};

export type Backup = {
  readonly weir: string;
  readonly created: number;
  readonly files: readonly BackedUpFile[];
};

/** Faults: STORE_FAILED where the directory changes faster than it can be copied, what the disk says. */
export async function makeBackup(options: BackupOptions): Promise<Backup> {
  const { disk, target } = options;
  for (let tries = 1; tries <= limits.backupTriesMax; tries++) {
    await emptyDirectory(options, target);
    const files = await copyAll(options);
    if (files === "moved on") continue;
    const backup = { weir: options.weir, created: options.created, files };
    await writeWhole(disk, join(target, MANIFEST), encodeJson({ format: FORMAT, ...backup }));
    await disk.syncDirectory(target);
    return backup;
  }
  throw new Fault(
    "STORE_FAILED",
    `the data directory changed ${limits.backupTriesMax} times while it was copied to ${target}; choose a faster medium, or stop the agent meanwhile`,
    { facts: { target } },
  );
}

/** A copy of everything that the state store, as it was copied first, needs. */
async function copyAll(options: BackupOptions): Promise<readonly BackedUpFile[] | "moved on"> {
  const { disk, target, from, placesIn, copyState, openState } = options;
  const to = placesIn(target);
  await copyState(from.state, to.state);
  const tables = await tablesIn(openState(to.state));
  await ifThere(() => disk.remove(`${to.state}-lock`)); // LMDB's, from reading the copy
  const files: BackedUpFile[] = [await fileAt(disk, to.state, target)];
  for (const id of tables) {
    const copied = await copyIfThere(options, tablePath(from.tables, id), tablePath(to.tables, id));
    if (copied === undefined) return "moved on";
    files.push(copied);
  }
  const segments = await copyLog(options, to.log);
  if (segments === "moved on") return segments;
  for (const directory of [to.tables, to.log]) await disk.syncDirectory(directory);
  return [...files, ...segments];
}

async function tablesIn(kv: Kv): Promise<readonly number[]> {
  try {
    return readTableList(kv)?.tables.map(({ id }) => id) ?? [];
  } finally {
    await kv.close();
  }
}

/** All segments in use. One that is recycled meanwhile has another header afterwards, or another name. */
async function copyLog(
  options: BackupOptions,
  to: string,
): Promise<readonly BackedUpFile[] | "moved on"> {
  const { source, from } = options;
  const files: BackedUpFile[] = [];
  const headers = new Map<string, string>();
  for (const name of (await source.list(from.log)).toSorted()) {
    if (segmentNumberOf(name) === undefined) continue;
    const header = await headerOf(source, join(from.log, name));
    if (header === undefined) continue;
    const copied = await copyIfThere(options, join(from.log, name), join(to, name));
    if (copied === undefined) return "moved on";
    headers.set(name, header);
    files.push(copied);
  }
  for (const [name, header] of headers) {
    if ((await headerOf(source, join(from.log, name))) !== header) return "moved on";
  }
  return files;
}

/** What tells a use of a segment from others; undefined where it is spare or not there. */
async function headerOf(disk: Pick<Disk, "open">, path: string): Promise<string | undefined> {
  const page = new Uint8Array(SEGMENT_HEADER_BYTES);
  const read = await ifThere(async () => {
    await using file = await opened(disk, path, false);
    return await file.read(page, 0);
  });
  const number = segmentNumberOf(basename(path)) ?? 0;
  if (read === undefined) return undefined;
  const found = decodeSegmentHeader(page, { number, path });
  return found.kind === "spare" ? undefined : Buffer.from(page).toString("hex", 0, 64);
}

// ---- restoring ----

/** Reads what a backup says it is. Faults: INPUT_INVALID where there is none, FORMAT_TOO_NEW. */
export async function readBackup(disk: Pick<Disk, "open">, directory: string): Promise<Backup> {
  const path = join(directory, MANIFEST);
  const bytes = await ifThere(() => readWhole(disk, path));
  if (bytes === undefined) {
    throw new Fault(
      "INPUT_INVALID",
      `${directory} is not a backup: it has no ${MANIFEST}; name the folder that weir backup made`,
      { facts: { directory } },
    );
  }
  const stored = decodeJson(bytes, path);
  const format = wholeOf(stored, "format");
  if (format > FORMAT) {
    throw new Fault(
      "FORMAT_TOO_NEW",
      `${path} has format ${format}, this weir knows up to ${FORMAT}; restore it with the newer weir`,
      { facts: { path, format } },
    );
  }
  return {
    weir: textOf(stored, "weir"),
    created: wholeOf(stored, "created"),
    files: listOf(stored, "files").map((item) => {
      const file = objectOf(item, `${path}, files`);
      return {
        name: nameOf(textOf(file, "name"), path),
        bytes: wholeOf(file, "bytes"),
        checksum: wholeOf(file, "checksum"),
      };
    }),
  };
}

/** A name within the backup: it must not lead out of it. */
function nameOf(name: string, path: string): string {
  if (/^(log|tables)\/[a-z0-9-]+\.(seg|tbl)$/.test(name) || name === "state.mdb") return name;
  throw new Fault("INPUT_INVALID", `${path} names ${JSON.stringify(name)}, which no backup has`, {
    facts: { path },
  });
}

/**
 * Copies a backup into a data directory that has nothing yet. Each file is checked as it is copied:
 * INPUT_INVALID names the first that is not as it was backed up; what was copied by then is removed.
 */
export async function restoreBackup(options: {
  readonly disk: Disk;
  readonly backup: string;
  readonly target: string;
  readonly placesIn: (directory: string) => DataPlaces;
  readonly onProgress?: BackupOptions["onProgress"];
}): Promise<Backup> {
  const { disk, backup, target, onProgress } = options;
  const found = await readBackup(disk, backup);
  const partial = `${target}.partial`;
  await emptyDirectory(options, partial);
  for (const { name, bytes, checksum } of found.files) {
    const copied = await ifThere(() =>
      copyFile({ disk, source: disk }, join(backup, name), join(partial, name)),
    );
    if (copied?.bytes !== bytes || copied.checksum !== checksum) {
      await emptyDirectory(options, partial);
      throw new Fault(
        "INPUT_INVALID",
        `${join(backup, name)} is not as it was backed up; nothing was restored: use another backup`,
        { facts: { backup, name } },
      );
    }
    onProgress?.({ name, bytes });
  }
  const { log, tables } = options.placesIn(partial);
  for (const directory of [log, tables, partial]) await disk.syncDirectory(directory);
  await disk.rename(partial, target);
  await disk.syncDirectory(join(target, ".."));
  return found;
}

// ---- files ----

/** The folders of a data directory at `directory`, with nothing in them. */
async function emptyDirectory(
  { disk, placesIn }: { readonly disk: Disk; readonly placesIn: BackupOptions["placesIn"] },
  directory: string,
): Promise<void> {
  const { log, tables } = placesIn(directory);
  await disk.makeDirectory(directory);
  for (const folder of [log, tables]) {
    await disk.makeDirectory(folder);
    for (const name of await disk.list(folder)) await disk.remove(join(folder, name));
  }
  for (const name of await disk.list(directory)) {
    const path = join(directory, name);
    if (path !== log && path !== tables) await disk.remove(path);
  }
}

async function copyIfThere(
  { disk, source, target, onProgress }: BackupOptions,
  from: string,
  to: string,
): Promise<BackedUpFile | undefined> {
  const copied = await ifThere(() => copyFile({ disk, source }, from, to));
  if (copied === undefined) return undefined;
  const file = { name: relative(target, to), ...copied };
  onProgress?.(file);
  return file;
}

async function copyFile(
  { disk, source: door }: { readonly disk: Disk; readonly source: Pick<Disk, "open"> },
  from: string,
  to: string,
): Promise<{ readonly bytes: number; readonly checksum: number }> {
  await using source = await opened(door, from, false);
  await using target = await opened(disk, to, true);
  const piece = new Uint8Array(limits.backupPieceBytes);
  let bytes = 0;
  let checksum = 0;
  for (;;) {
    const read = await source.read(piece, bytes);
    if (read === 0) break;
    const part = piece.subarray(0, read);
    checksum = crc32(part, checksum);
    await target.write(part, bytes);
    bytes += read;
  }
  await target.sync();
  return { bytes, checksum };
}

/** A file that somebody else wrote there. */
async function fileAt(disk: Disk, path: string, target: string): Promise<BackedUpFile> {
  await using file = await opened(disk, path, false);
  const piece = new Uint8Array(limits.backupPieceBytes);
  let bytes = 0;
  let checksum = 0;
  for (;;) {
    const read = await file.read(piece, bytes);
    if (read === 0) break;
    checksum = crc32(piece.subarray(0, read), checksum);
    bytes += read;
  }
  await file.sync();
  return { name: relative(target, path), bytes, checksum };
}
