/**
 * What this process writes itself, where nobody counts what the device is given: whole pages of its
 * files, and for each transaction of the state store what it holds and the pages around it. A device
 * is given more or less than that; it is a measure for a cap, not for the life of a card.
 */

import type { DeviceWrites, Disk, DiskFile, Kv } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";

const PAGE_BYTES = 4_096;

/** Where these counts stand for those of a device. */
export const OWN_WRITES = "weir itself";

export class OwnWrites {
  readonly #bootId: string;
  #bytes = 0;

  /** `startedAt`: tells this process from others. */
  constructor(startedAt: number) {
    this.#bootId = String(startedAt);
  }

  get writes(): DeviceWrites {
    return { device: OWN_WRITES, bootId: this.#bootId, bytes: this.#bytes };
  }

  counted(disk: Disk): Disk {
    const file = (of: DiskFile): DiskFile => ({
      read: (target, offset) => of.read(target, offset),
      size: () => of.size(),
      write: (source, offset) => {
        this.#bytes += Math.ceil(source.length / PAGE_BYTES) * PAGE_BYTES;
        return of.write(source, offset);
      },
      sync: () => of.sync(),
      truncate: (size) => of.truncate(size),
      close: () => of.close(),
    });
    return {
      open: async (path, options) => file(await disk.open(path, options)),
      list: (directory) => disk.list(directory),
      makeDirectory: (path) => disk.makeDirectory(path),
      rename: (from, to) => disk.rename(from, to),
      remove: (path) => disk.remove(path),
      syncDirectory: (path) => disk.syncDirectory(path),
      freeBytes: (path) => disk.freeBytes(path),
    };
  }

  countedKv(kv: Kv): Kv {
    return {
      get: (key) => kv.get(key),
      range: (range) => kv.range(range),
      close: () => kv.close(),
      commit: (writes) => {
        const bytes = writes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
        this.#bytes += (Math.ceil(bytes / PAGE_BYTES) + limits.ownTransactionPages) * PAGE_BYTES;
        return kv.commit(writes);
      },
    };
  }
}

type Counting = { readonly readDeviceWrites?: () => Promise<DeviceWrites | undefined> };

/** What the device was given, or what was written by ourselves; what counts at first counts for ever. */
export function deviceWritesOf(
  { readDeviceWrites = () => Promise.resolve(undefined) }: Counting,
  own: OwnWrites | undefined,
): () => Promise<DeviceWrites | undefined> {
  let isCounted: boolean | undefined;
  return async () => {
    const writes = await readDeviceWrites();
    isCounted ??= writes !== undefined;
    return isCounted ? writes : own?.writes;
  };
}
