/** Makes the directories an agent writes to, or says in a sentence why it cannot. */

import { accessSync } from "node:fs";
import { access, constants, mkdir, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../../core/faults.ts";

export async function makeDataDirectory(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    try {
      await makeFolder(directory);
      await access(directory, constants.W_OK);
    } catch (cause) {
      throw faultOf(directory, cause);
    }
  }
}

/**
 * Why nothing can be kept there: a part of the path is a file, or it is a file system of the kernel's own.
 * Undefined where something can; it need not be there yet, nor be ours to write to.
 */
export async function unfitDirectory(directory: string): Promise<string | undefined> {
  for (let at = directory; ; at = dirname(at)) {
    try {
      const { type } = await statfs(at);
      if (kernelFileSystems.has(type)) {
        return `${directory} is in a file system of the kernel's own, where nothing is kept`;
      }
      const isFolder = (await stat(at)).isDirectory();
      return isFolder ? undefined : `${directory} cannot be made, because ${at} is a file`;
    } catch (error) {
      const isAbsent = ["ENOENT", "ENOTDIR"].includes(codeOf(error));
      // What may not be looked at is for the one to say who writes there.
      if (!isAbsent || dirname(at) === at) return undefined;
    }
  }
}

/** linux/magic.h: proc, sysfs, cgroup, cgroup2, devpts, debugfs, tracefs, securityfs, configfs. */
const kernelFileSystems: ReadonlySet<number> = new Set([
  0x9f_a0, 0x62_65_65_72, 0x27_e0_eb, 0x63_67_72_70, 0x1c_d1, 0x64_62_67_20, 0x74_72_61_63,
  0x73_63_66_73, 0x62_65_65_70,
]);

/** Throws the system's error where nothing can be written to the directory. Some microseconds. */
export function checkWritable(directory: string): void {
  accessSync(directory, constants.W_OK);
}

/**
 * With its parents, one after another: Node's own way to do it never ends where a file system (/proc, an
 * automounter) says of what it does not let be made that it is not there.
 */
async function makeFolder(directory: string, isParentThere = false): Promise<void> {
  try {
    await mkdir(directory);
  } catch (error) {
    const parent = dirname(directory);
    if (codeOf(error) === "EEXIST" && (await stat(directory)).isDirectory()) return;
    if (codeOf(error) !== "ENOENT" || isParentThere || parent === directory) throw error;
    await makeFolder(parent);
    await makeFolder(directory, true);
  }
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
}

function faultOf(directory: string, cause: unknown): Fault {
  const code = codeOf(cause);
  const remedies: Readonly<Record<string, string>> = {
    EACCES: "give the user that runs weir the right to write there, or set another directory",
    EROFS: "the file system is read-only; mount it writable, or set another directory",
    ENOSPC: "the disk is full; free some space, or set another directory",
    EDQUOT: "the quota is used up; free some space, or set another directory",
    EIO: "the disk fails; check it, or set another directory",
    ENOTDIR: "a part of the path is a file; set another directory",
    ENOENT: "its file system does not let it be made; set another directory",
    EEXIST: "a file of that name is in the way; set another directory",
  };
  const remedy = remedies[code] ?? "set another directory";
  return new Fault(
    code === "ENOSPC" || code === "EDQUOT" ? "DISK_FULL" : "DIRECTORY_NOT_WRITABLE",
    `cannot write to ${directory} (${code}): ${remedy}`,
    { cause, facts: { directory, code } },
  );
}
