/** Makes the directories an agent writes to, or says in a sentence why it cannot. */

import { accessSync } from "node:fs";
import { access, constants, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../../core/faults.ts";

export async function makeDataDirectory(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    try {
      await mkdir(directory, { recursive: true });
      await access(directory, constants.W_OK);
    } catch (cause) {
      throw faultOf(directory, await whyMissing(directory, cause));
    }
  }
}

/** Throws the system's error where nothing can be written to the directory. Some microseconds. */
export function checkWritable(directory: string): void {
  accessSync(directory, constants.W_OK);
}

/** Where a file system is read-only, Node says of a folder made with its parents that it is not there. */
async function whyMissing(directory: string, cause: unknown): Promise<unknown> {
  if (codeOf(cause) !== "ENOENT") return cause;
  const above = dirname(directory);
  try {
    await access(above, constants.W_OK);
    return cause;
  } catch (reason) {
    return above === directory ? cause : await whyMissing(above, reason);
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
    EEXIST: "a file of that name is in the way; set another directory",
  };
  const remedy = remedies[code] ?? "set another directory";
  return new Fault(
    code === "ENOSPC" || code === "EDQUOT" ? "DISK_FULL" : "DIRECTORY_NOT_WRITABLE",
    `cannot write to ${directory} (${code}): ${remedy}`,
    { cause, facts: { directory, code } },
  );
}
