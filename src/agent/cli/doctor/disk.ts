/**
 * The disk under the data directory: file system, free space, and what a sync costs there, measured
 * with a file that has no name: it is gone with this process, however that ends.
 */

import { mkdtemp, realpath, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault, isEnvironmental } from "../../../core/faults.ts";
import type { Clock, DiskFile } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import { durationText, roughBytesText } from "../../config/quantity.ts";
import { unfitDirectory } from "../../doors/data-directory.ts";
import { readDeviceWrites } from "../../doors/device-writes.ts";
import { systemDisk } from "../../doors/disk.ts";
import { advice, fault, type Finding, ok } from "./finding.ts";
import type { Machine } from "./machine.ts";

const area = "disk";

export type DiskOptions = {
  readonly clock: Clock;
  readonly machine: Machine;
  /** May not be there yet. */
  readonly directory: string;
  /** Space that is left to others. */
  readonly freeBytes: number;
  /** Readings wait so long for the sync that they share, ms. */
  readonly waitMs: number;
};

export type DiskLook = {
  readonly findings: readonly Finding[];
  /** The block device, such as mmcblk0; undefined where Linux counts for none. */
  readonly device: string | undefined;
  /** What Linux counted as written to the device for each sync of a page; undefined where it was not measured. */
  readonly bytesPerSync: number | undefined;
};

export async function lookAtDisk(options: DiskOptions): Promise<DiskLook> {
  const { directory, clock } = options;
  const about = { area, place: directory };
  const unfit = await unfitDirectory(directory);
  if (unfit !== undefined) {
    const remedy = "set a data directory on a disk";
    return { findings: [fault(about, unfit, remedy)], device: undefined, bytesPerSync: undefined };
  }
  const standing = await standingOf(directory);
  const device = (await readDeviceWrites(standing))?.device;
  let bytesPerSync: number | undefined;
  const findings: Finding[] = [...(await fileSystemFindings(options, standing))];
  try {
    const free = await systemDisk.freeBytes(standing);
    await tryWriting(standing);
    findings.push(spaceFinding(options, free));
    const bytes = Math.min(limits.doctorFileBytesMax, Math.floor(free / 8));
    if (bytes >= limits.doctorFileBytesMin) {
      const found = await measure(standing, bytes, clock);
      bytesPerSync = found.bytesPerSync;
      findings.push(...measured(options, found));
    }
  } catch (error) {
    if (!(error instanceof Fault) && !isEnvironmental(error)) throw error;
    findings.push(unwritable(about, error, "data directory"));
  }
  return { findings, device, bytesPerSync };
}

/**
 * Rejects as the system does where nothing can be written, but for want of space. access(2) would ask for the
 * real user, who is root where this process acts as somebody else.
 */
export async function tryWriting(directory: string): Promise<void> {
  try {
    await (await openNameless(directory)).close();
  } catch (error) {
    if (!isEnvironmental(error) || !["ENOSPC", "EDQUOT"].includes(error.code)) throw error;
  }
}

/** A file that is gone when it is closed. In a folder of ours: nobody has laid a link there. */
async function openNameless(directory: string): Promise<DiskFile> {
  const folder = await mkdtemp(join(directory, ".weir-doctor-"));
  try {
    const path = join(folder, "file");
    const file = await systemDisk.open(path, { create: true });
    await systemDisk.remove(path);
    return file;
  } finally {
    await rmdir(folder);
  }
}

/** What the system said when it was tried. */
export function unwritable(
  about: Pick<Finding, "area" | "place">,
  error: Fault | (Error & { readonly code: string }),
  what: "data directory" | "directory",
): Finding {
  const code = error instanceof Fault ? error.message : error.code;
  return fault(
    about,
    `it cannot be written to (${code})`,
    `give the user that runs weir the right to write there, mount it writable, or set another ${what}`,
  );
}

/** The directory, or what of its path is there. */
export async function standingOf(directory: string): Promise<string> {
  try {
    return await realpath(directory);
  } catch {
    const above = dirname(directory);
    return above === directory ? directory : await standingOf(above);
  }
}

// ---- file system ----

type Mount = { readonly at: string; readonly type: string; readonly options: ReadonlySet<string> };

/** By what of a file system's type or options matters. */
async function fileSystemFindings(
  { machine, directory }: DiskOptions,
  standing: string,
): Promise<readonly Finding[]> {
  const about = { area, place: directory };
  const mount = mountOf(standing, (await machine.text("proc/self/mountinfo")) ?? "");
  if (mount === undefined) return [];
  const { type, options, at } = mount;
  const said = `${type} at ${at}`;
  if (options.has("ro")) {
    return [
      fault(
        about,
        `${said} is mounted read-only`,
        "mount it writable; where the kernel did so after an error, check the disk (dmesg, fsck)",
      ),
    ];
  }
  if (/^(tmpfs|ramfs)$/.test(type)) {
    return [
      fault(
        about,
        `${said} is memory: what was acknowledged is gone with the power`,
        "set a data directory on a disk",
      ),
    ];
  }
  if (/^(nfs4?|cifs|smb3|9p|afs|fuse\.(sshfs|s3fs|rclone))$/.test(type)) {
    return [
      fault(
        about,
        `${said} is on another machine, where the locks and mapped files of the state store are not safe`,
        "set a data directory on a disk of this machine",
      ),
    ];
  }
  if (options.has("nobarrier") || options.has("barrier=0")) {
    return [
      fault(
        about,
        `${said} is mounted without barriers: a sync does not reach the medium`,
        "mount it without nobarrier or barrier=0",
      ),
    ];
  }
  if (type === "overlay") {
    return [
      advice(
        about,
        `${said} is the layer of a container, which goes with it`,
        "mount a volume for the data directory",
      ),
    ];
  }
  if (/^(vfat|msdos|exfat|ntfs3?|fuseblk)$/.test(type)) {
    return [
      advice(
        about,
        `${said} has no journal or no owners of files: a power failure may damage it`,
        "format it as ext4",
      ),
    ];
  }
  return [ok(about, said)];
}

/** Of the file system that the path is on. Lines: proc(5), mountinfo. */
function mountOf(path: string, mountinfo: string): Mount | undefined {
  let found: Mount | undefined;
  for (const line of mountinfo.split("\n")) {
    const [own = "", rest = ""] = line.split(" - ", 2);
    const [, , , , point = "", options = ""] = own.split(" ");
    const [type = "", , superOptions = ""] = rest.split(" ");
    const at = point.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const isAbove = at === "/" || path === at || path.startsWith(`${at}/`);
    // Of several at one place the last one is on top.
    if (at === "" || !isAbove || at.length < (found?.at.length ?? 0)) continue;
    found = { at, type, options: new Set([...options.split(","), ...superOptions.split(",")]) };
  }
  return found;
}

// ---- space ----

function spaceFinding({ directory, freeBytes }: DiskOptions, free: number): Finding {
  const about = { area, place: directory };
  const said = `${roughBytesText(free)} are free`;
  const figures = { freeBytes: free };
  if (free < limits.startFreeBytesMin) {
    return fault(about, `${said}: the agent waits for space`, "free some space", figures);
  }
  if (free < freeBytes) {
    return advice(
      about,
      `${said}, less than the ${roughBytesText(freeBytes)} that store.freeSpace leaves to others: readings are rolled up before their time`,
      "free some space, or leave others less",
      figures,
    );
  }
  return ok(about, said, figures);
}

// ---- speed ----

type Measured = {
  /** Milliseconds, ascending. */
  readonly syncs: readonly number[];
  readonly writtenBytes: number;
  readonly writeMs: number;
  readonly bytesPerSync: number | undefined;
};

async function measure(directory: string, bytes: number, clock: Clock): Promise<Measured> {
  const file = await openNameless(directory);
  try {
    const written = await writeSpeed(file, bytes, clock);
    return { ...written, ...(await syncTimes(file, { directory, clock })) };
  } finally {
    await file.close();
  }
}

async function writeSpeed(
  file: DiskFile,
  bytes: number,
  clock: Clock,
): Promise<Pick<Measured, "writtenBytes" | "writeMs">> {
  const piece = Buffer.alloc(limits.doctorPieceBytes, "weir");
  const began = clock.monotonic();
  let written = 0;
  while (written + piece.length <= bytes && clock.monotonic() - began < limits.doctorWriteMs) {
    await file.write(piece, written);
    written += piece.length;
  }
  await file.sync();
  return { writtenBytes: written, writeMs: clock.monotonic() - began };
}

/** In place, as the log writes into its segments. */
async function syncTimes(
  file: DiskFile,
  { directory, clock }: { readonly directory: string; readonly clock: Clock },
): Promise<Pick<Measured, "syncs" | "bytesPerSync">> {
  const piece = Buffer.alloc(limits.doctorSyncBytes, "sync");
  const began = clock.monotonic();
  const times: number[] = [];
  // Linux counts what all programs write: of several spells that with the least of it counts.
  let bytesPerSync: number | undefined;
  let before = await readDeviceWrites(directory);
  while (times.length < limits.doctorSyncsMax && clock.monotonic() - began < limits.doctorSyncMs) {
    const at = clock.monotonic();
    await file.write(piece, times.length * piece.length);
    await file.sync();
    times.push(clock.monotonic() - at);
    if (times.length % limits.doctorSyncsPerSpell !== 0) continue;
    const after = await readDeviceWrites(directory);
    if (before !== undefined && after !== undefined) {
      const bytes = (after.bytes - before.bytes) / limits.doctorSyncsPerSpell;
      bytesPerSync = Math.min(bytes, bytesPerSync ?? Infinity);
    }
    before = after;
  }
  return { syncs: times.toSorted((a, b) => a - b), bytesPerSync };
}

function measured(
  { directory, waitMs }: DiskOptions,
  { syncs, writtenBytes, writeMs }: Measured,
): readonly Finding[] {
  const about = { area, place: directory };
  const [p50, p99] = [quantile(syncs, 0.5), quantile(syncs, 0.99)];
  const perSecond = writtenBytes / Math.max(writeMs, 1) / 1_000;
  const latency = `a sync takes ${p50.toFixed(1)} ms (p99 ${p99.toFixed(1)} ms, ${syncs.length} syncs)`;
  const figures = { syncMsP50: round(p50), syncMsP99: round(p99), syncs: syncs.length };
  const speed = `${perSecond.toFixed(0)} MB a second in one piece`;
  const speedFigures = { megabytesPerSecond: round(perSecond), writtenBytes };
  const slow = Math.max(limits.doctorSyncMsMax, waitMs);
  return [
    p99 > slow
      ? advice(
          about,
          `${latency}: devices wait longer than ${durationText(slow)} for an acknowledgement`,
          "use a better card or an SSD, see what else writes to it, or let more readings share a sync (commit.wait)",
          figures,
        )
      : ok(about, latency, figures),
    perSecond < 2
      ? advice(
          about,
          `${speed}: tables are merged slowly, and a start after a crash is slow`,
          "use a better card or an SSD, and see what else writes to it",
          speedFigures,
        )
      : ok(about, speed, speedFigures),
  ];
}

function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(share * ascending.length))] ?? 0;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
