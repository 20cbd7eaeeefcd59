/**
 * A file system of its own, small enough to be filled, that can be made read-only and well again.
 * Needs the right to mount: without it the test is skipped, or failed where everything is required.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { TestContext } from "node:test";
import { findTool, lacking } from "./require-tool.ts";

const MIB = 1_048_576;

export class SmallDisk {
  /** Where it is mounted. */
  readonly path: string;
  readonly #image: string | undefined;

  constructor(path: string, image?: string) {
    this.path = path;
    this.#image = image;
  }

  /** Takes all space but so many bytes, with a file of somebody else's. */
  fill(leftBytes: number): void {
    const { bavail, bsize } = statfsSync(this.path);
    const bytes = bavail * bsize - leftBytes;
    const name = join(this.path, `foreign-${bytes}`);
    const piece = Buffer.alloc(MIB, "foreign");
    writeFileSync(name, "");
    for (let written = 0; written < bytes; written += MIB) {
      try {
        writeFileSync(name, piece.subarray(0, Math.min(MIB, bytes - written)), { flag: "a" });
      } catch {
        break; // as full as it gets
      }
    }
  }

  /** Removes what `fill` made. */
  clear(): void {
    run("find", [this.path, "-maxdepth", "1", "-name", "foreign-*", "-delete"]);
  }

  /** As a person does who mounts it so: nothing has it open for writing. */
  remount(mode: "ro" | "rw"): void {
    run("mount", ["-o", `remount,${mode}`, this.path]);
  }

  /** As the kernel does after an error, whoever writes to it. Only of an image. */
  breakDown(): void {
    const device = run("findmnt", ["-no", "SOURCE", this.path]).trim();
    writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, "test");
  }

  /**
   * Unmounts it, checks it, mounts it again. Throws while a process has it open, and where no loop device
   * was to be had; the next call goes on from there.
   */
  repair(): void {
    if (isMountedAt(this.path)) run("umount", [this.path]);
    try {
      run("e2fsck", ["-fy", this.#image ?? ""]);
    } catch {
      // Its code says that something was repaired.
    }
    mountImage(this.#image ?? "", this.path);
  }
}

export type DiskKind = { readonly kind: "tmpfs" | "ext4"; readonly mib: number };

/** A tmpfs, or an ext4 in a file; undefined where this machine does not let us. */
export function mountSmallDisk(t: TestContext, of: DiskKind): SmallDisk | undefined {
  try {
    const { disk, remove } = makeSmallDisk(of);
    t.after(remove);
    return disk;
  } catch (error) {
    lacking(t, `needs the right to mount a ${of.kind} (${String(error)})`);
    return undefined;
  }
}

/** Throws where this machine does not let us. */
export function makeSmallDisk({ kind, mib }: DiskKind): {
  readonly disk: SmallDisk;
  readonly remove: () => void;
} {
  const home = mkdtempSync(join(tmpdir(), "weir-disk-"));
  const path = join(home, "disk");
  const image = join(home, "image");
  const remove = (): void => {
    if (isMountedAt(path)) run("umount", ["-l", path]); // what a failed test left open goes with its process
    keepEmpty(path, false);
    rmSync(home, { recursive: true, force: true });
  };
  mkdirSync(path);
  keepEmpty(path, true);
  try {
    if (kind === "tmpfs") {
      run("mount", ["-t", "tmpfs", "-o", `size=${mib}m`, "weir-test", path]);
    } else {
      writeFileSync(image, "");
      truncateSync(image, mib * MIB);
      run("mkfs.ext4", ["-q", "-F", "-m", "0", image]);
      mountImage(image, path);
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { disk: new SmallDisk(path, kind === "ext4" ? image : undefined), remove };
}

function isMountedAt(path: string): boolean {
  try {
    run("findmnt", ["-n", path]);
    return true;
  } catch {
    return false;
  }
}

/** While nothing is mounted on it nobody begins a data directory there, where file systems know that. */
function keepEmpty(path: string, isKept: boolean): void {
  try {
    run("chattr", [isKept ? "+i" : "-i", path]);
  } catch {
    // The agent then has to come between an umount and a mount to notice.
  }
}

function mountImage(image: string, path: string): void {
  run("mount", ["-o", "loop,errors=remount-ro", image, path]);
}

function run(program: string, args: readonly string[]): string {
  return execFileSync(findTool(program) ?? program, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}
