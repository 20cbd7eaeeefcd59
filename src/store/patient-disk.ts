/**
 * A Disk that is asked again when it cannot be read: a card or a USB disk that resets answers EIO for
 * a moment, and then gives back all it was given. Who took that for damage would cut or set aside a
 * log that is whole.
 *
 *   open, size, read ── EIO ── wait ── again ── EIO ── wait ── ...     until it answers, or patience is over
 *
 * Patience is one amount for all calls together, so a medium that is really damaged costs it once
 * and not for every sector. What changes the disk is never tried again: after a failed write or sync
 * nothing is known.
 */

import type { Clock, Disk, DiskFile } from "../core/doors.ts";
import { isEnvironmental } from "../core/faults.ts";
import { limits } from "../core/limits.ts";

/** Waits limits.diskPatienceMs in all, beside what the calls themselves take. */
export function patientDisk(disk: Disk, clock: Clock): Disk {
  let patienceMs = limits.diskPatienceMs;
  const wait = async (): Promise<void> => {
    const waitMs = Math.min(limits.diskReadRetryMs, patienceMs);
    patienceMs -= waitMs;
    await new Promise<void>((resolve) => clock.after(waitMs, resolve));
  };
  const patiently = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isEnvironmental(error) || error.code !== "EIO" || patienceMs <= 0) throw error;
        await wait();
      }
    }
  };
  const patient = (file: DiskFile): DiskFile => ({
    read: (target, offset) => patiently(() => file.read(target, offset)),
    size: () => patiently(() => file.size()),
    write: (source, offset) => file.write(source, offset),
    sync: () => file.sync(),
    truncate: (size) => file.truncate(size),
    close: () => file.close(),
  });
  return {
    open: async (path, options) => patient(await patiently(() => disk.open(path, options))),
    list: (directory) => patiently(() => disk.list(directory)),
    makeDirectory: (path) => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    freeBytes: (path) => disk.freeBytes(path),
  };
}
