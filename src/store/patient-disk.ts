/**
 * A Disk whose reads are tried again when they fail: a card or a USB disk that resets answers EIO to
 * everything for a moment, and then gives back all it was given. Who took that for damage would cut
 * or set aside a log that is whole.
 *
 *   read ── EIO ── wait ── read ── EIO ── wait ── ...      until it answers, or patience is over
 *
 * Patience is one amount for all reads together, so a medium that is really damaged costs it once
 * and not for every sector.
 */

import type { Clock, Disk, DiskFile } from "../core/doors.ts";
import { isEnvironmental } from "../core/faults.ts";
import { limits } from "../core/limits.ts";

/** Everything but reads goes to `disk` as it is. Waits limits.diskPatienceMs in all. */
export function patientDisk(disk: Disk, clock: Clock): Disk {
  let patienceMs = limits.diskPatienceMs;
  const wait = async (): Promise<void> => {
    const waitMs = Math.min(limits.diskReadRetryMs, patienceMs);
    patienceMs -= waitMs;
    await new Promise<void>((resolve) => clock.after(waitMs, resolve));
  };
  const patient = (file: DiskFile): DiskFile => ({
    read: async (target, offset) => {
      for (;;) {
        try {
          return await file.read(target, offset);
        } catch (error) {
          if (!isEnvironmental(error) || patienceMs <= 0) throw error;
          await wait();
        }
      }
    },
    write: (source, offset) => file.write(source, offset),
    sync: () => file.sync(),
    size: () => file.size(),
    truncate: (size) => file.truncate(size),
    close: () => file.close(),
  });
  return {
    open: async (path, options) => patient(await disk.open(path, options)),
    list: (directory) => disk.list(directory),
    makeDirectory: (path) => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    freeBytes: (path) => disk.freeBytes(path),
  };
}
