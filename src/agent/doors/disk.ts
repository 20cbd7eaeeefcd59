/**
 * The Disk door on a real file system. The callback API of node:fs, wrapped in promises:
 * file numbers instead of FileHandles keep a commit's write and sync cheap. Rejections are Node's own
 * errors, with their `code`.
 */

import fs from "node:fs";
import type { Disk, DiskFile } from "../../core/doors.ts";
import { assertRegular, readFlags } from "./regular-file.ts";

/** Readable by the owner and the group: readings may be confidential. */
const FILE_MODE = 0o640;
const DIRECTORY_MODE = 0o750;

export const systemDisk: Disk = {
  open: async (path, { create }) => {
    const flags = fs.constants.O_RDWR | (create ? fs.constants.O_CREAT : 0);
    return openFile(await settled<number>((done) => fs.open(path, flags, FILE_MODE, done)));
  },
  list: (directory) => settled((done) => fs.readdir(directory, done)),
  makeDirectory: async (path) => {
    const options = { recursive: true, mode: DIRECTORY_MODE };
    await settled<string | undefined>((done) => fs.mkdir(path, options, done));
  },
  rename: (from, to) => finished((done) => fs.rename(from, to, done)),
  remove: (path) => finished((done) => fs.unlink(path, done)),
  syncDirectory: async (path) => {
    const handle = await settled<number>((done) => fs.open(path, fs.constants.O_RDONLY, done));
    try {
      await finished((done) => fs.fsync(handle, done));
    } finally {
      await finished((done) => fs.close(handle, done));
    }
  },
  freeBytes: async (path) => {
    const { bavail, bsize } = await settled<fs.StatsFs>((done) => fs.statfs(path, done));
    return bavail * bsize;
  },
};

/**
 * The same for who only reads, maybe where somebody else writes: nothing can be written through it, nothing
 * has to be writable, and what is no file is refused (DISK_FAILED).
 */
export const readingDisk: Pick<Disk, "open" | "list"> = {
  open: async (path) => {
    const handle = await settled<number>((done) => fs.open(path, readFlags, done));
    try {
      assertRegular(await settled<fs.Stats>((done) => fs.fstat(handle, done)), path);
      return openFile(handle);
    } catch (error) {
      await finished((done) => fs.close(handle, done));
      throw error;
    }
  },
  list: (directory) => systemDisk.list(directory),
};

function openFile(handle: number): DiskFile {
  return {
    read: (target, offset) => readAll(handle, target, offset),
    write: (source, offset) => writeAll(handle, source, offset),
    sync: () => finished((done) => fs.fdatasync(handle, done)),
    size: async () => (await settled<fs.Stats>((done) => fs.fstat(handle, done))).size,
    truncate: (size) => finished((done) => fs.ftruncate(handle, size, done)),
    close: () => finished((done) => fs.close(handle, done)),
  };
}

async function readAll(handle: number, target: Uint8Array, offset: number): Promise<number> {
  let filled = 0;
  while (filled < target.length) {
    const at = filled;
    const read = await settled<number>((done) =>
      fs.read(handle, target, at, target.length - at, offset + at, done),
    );
    if (read === 0) break;
    filled += read;
  }
  return filled;
}

/** The kernel may take less than it was given, at a full disk or past 2 GiB. */
async function writeAll(handle: number, source: Uint8Array, offset: number): Promise<void> {
  let written = 0;
  while (written < source.length) {
    const at = written;
    written += await settled<number>((done) =>
      fs.write(handle, source, at, source.length - at, offset + at, done),
    );
  }
}

function settled<Value>(
  call: (done: (error: Error | null, value: Value) => void) => void,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value)));
  });
}

function finished(call: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error ? reject(error) : resolve()));
  });
}
