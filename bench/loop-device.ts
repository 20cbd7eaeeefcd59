/**
 * Private block devices with a file system each, on files that are gone afterwards: what is written
 * to one is counted by the kernel, journal and all, and nobody else writes there.
 */

import { spawnSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { findTool } from "../test/support/require-tool.ts";

const deviceBytes = 3 * 1024 ** 3;

export type Devices = Disposable & {
  /** Mounted there; the others at the folders in it. */
  readonly directory: string;
  /** The kernel's counters of each device, by the name of its folder ("" for the first). */
  readonly statFiles: Readonly<Record<string, string>>;
};

/**
 * One for a data directory and one for each of the folders in it; or why there are none. `isDirect`: what
 * is written goes past the caches of the file system below.
 */
export function makeDevices(
  folders: readonly string[],
  { isDirect = false }: { readonly isDirect?: boolean } = {},
):
  | { readonly kind: "devices"; readonly devices: Devices }
  | { readonly kind: "none"; readonly reason: string } {
  const lacking = ["losetup", "mkfs.ext4", "mount", "umount"].find(
    (tool) => findTool(tool) === undefined,
  );
  if (lacking !== undefined) return { kind: "none", reason: `needs ${lacking}` };
  if (process.getuid?.() !== 0) return { kind: "none", reason: "needs the rights to mount" };
  const made = new DisposableStack();
  try {
    const place = mkdtempSync(join(tmpdir(), "weir-device-"));
    made.defer(() => rmSync(place, { recursive: true, force: true }));
    const directory = join(place, "data");
    const statFiles: Record<string, string> = {};
    for (const [n, folder] of ["", ...folders].entries()) {
      statFiles[folder] = mountNew(join(place, `${n}.img`), join(directory, folder), {
        made,
        isDirect,
      });
    }
    // Whoever ends us by a signal leaves nothing mounted.
    const end = (): void => {
      made.dispose();
      process.exit(1);
    };
    process.once("SIGINT", end).once("SIGTERM", end);
    made.defer(() => process.off("SIGINT", end).off("SIGTERM", end));
    return {
      kind: "devices",
      devices: { directory, statFiles, [Symbol.dispose]: () => made.dispose() },
    };
  } catch (error) {
    made.dispose();
    return { kind: "none", reason: error instanceof Error ? error.message : String(error) };
  }
}

/** The file of the device's counters. */
function mountNew(
  image: string,
  at: string,
  { made, isDirect }: { readonly made: DisposableStack; readonly isDirect: boolean },
): string {
  const file = openSync(image, "w");
  ftruncateSync(file, deviceBytes);
  closeSync(file);
  const direct = isDirect ? ["--direct-io=on"] : [];
  const device = run("losetup", [...direct, "--find", "--show", image]).trim();
  made.defer(() => run("losetup", ["--detach", device]));
  run("mkfs.ext4", ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", device]);
  mkdirSync(at, { recursive: true });
  run("mount", ["-o", "noatime", device, at]);
  made.defer(() => run("umount", [at]));
  return `/sys/block/${basename(device)}/stat`;
}

/** So much was written to the device so far. */
export function bytesWritten(statFile: string): number {
  const sectors = readFileSync(statFile, "utf8").trim().split(/\s+/)[6];
  return Number(sectors) * 512;
}

/** Everything written to the file system is on its device. */
export function syncAll(directory: string): void {
  run("sync", ["--file-system", directory]);
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(findTool(command) ?? command, args, {
    encoding: "utf8",
  });
  if (status === 0) return stdout;
  throw new Error(`${command} failed: ${(error?.message ?? stderr).trim()}`);
}
