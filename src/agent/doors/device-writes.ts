/**
 * What the block device under a directory has been given to write, as the Linux kernel counts it:
 * field 7 of /sys/block/<device>/stat, in sectors of 512 bytes, of the whole device where the directory
 * is on a partition. Undefined where there is no such device: tmpfs, network, overlay, other systems.
 */

import { readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { DeviceWrites } from "../../core/doors.ts";

const SECTOR_BYTES = 512;
const SECTORS_WRITTEN = 6;

export async function readDeviceWrites(directory: string): Promise<DeviceWrites | undefined> {
  try {
    const { dev } = await stat(directory);
    const path = await deviceOf(await realpath(`/sys/dev/block/${majorOf(dev)}:${minorOf(dev)}`));
    const fields = (await readFile(join(path, "stat"), "utf8")).trim().split(/\s+/);
    const bytes = Number(fields[SECTORS_WRITTEN]) * SECTOR_BYTES;
    const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    return Number.isSafeInteger(bytes) ? { device: basename(path), bootId, bytes } : undefined;
  } catch {
    return undefined; // whatever is not there: it is not counted here
  }
}

/** A partition lies in the folder of its device. */
async function deviceOf(path: string): Promise<string> {
  const isPartition = await stat(join(path, "partition")).then(
    () => true,
    () => false,
  );
  return isPartition ? dirname(path) : path;
}

/** makedev(3) of glibc. */
function majorOf(dev: number): number {
  return Math.floor(dev / 2 ** 8) % 2 ** 12;
}

function minorOf(dev: number): number {
  return (dev % 2 ** 8) + Math.floor(dev / 2 ** 20) * 2 ** 8;
}
