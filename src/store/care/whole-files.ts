/** Small files that are read and written whole. */

import { dirname } from "node:path";
import type { Disk, DiskFile } from "../../core/doors.ts";
import { isEnvironmental } from "../../core/faults.ts";

/** An open file that `await using` closes. */
export async function opened(
  disk: Pick<Disk, "open">,
  path: string,
  create: boolean,
): Promise<DiskFile & AsyncDisposable> {
  const file = await disk.open(path, { create });
  return Object.assign(file, { [Symbol.asyncDispose]: () => file.close() });
}

export async function readWhole(disk: Pick<Disk, "open">, path: string): Promise<Uint8Array> {
  await using file = await opened(disk, path, false);
  const bytes = new Uint8Array(await file.size());
  await file.read(bytes, 0);
  return bytes;
}

/** A file that is not there yet; the caller syncs its folder. */
export async function writeWhole(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  await using file = await opened(disk, path, true);
  await file.write(bytes, 0);
  await file.sync();
}

/** After a crash the file has its old bytes, or the new ones. */
export async function replaceWhole(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  await ifThere(() => disk.remove(fresh));
  await writeWhole(disk, fresh, bytes);
  await disk.rename(fresh, path);
  await disk.syncDirectory(dirname(path));
}

/** Undefined where the file is not there, nor can be: a part of its path is a file. */
export async function ifThere<Value>(use: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await use();
  } catch (error) {
    if (isEnvironmental(error) && ["ENOENT", "ENOTDIR"].includes(error.code)) return undefined;
    throw error;
  }
}
