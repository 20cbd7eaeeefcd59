/** Makes the directories an agent writes to, or says in a sentence why it cannot. */

import { access, constants, mkdir } from "node:fs/promises";
import { Fault } from "../../core/faults.ts";

export async function makeDataDirectory(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    try {
      await mkdir(directory, { recursive: true });
      await access(directory, constants.W_OK);
    } catch (cause) {
      throw faultOf(directory, cause);
    }
  }
}

function faultOf(directory: string, cause: unknown): Fault {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  const remedies: Readonly<Record<string, string>> = {
    EACCES: "give the user that runs weir the right to write there, or set another directory",
    EROFS: "the file system is read-only; mount it writable, or set another directory",
    ENOSPC: "the disk is full; free some space, or set another directory",
    ENOTDIR: "a part of the path is a file; set another directory",
    EEXIST: "a file of that name is in the way; set another directory",
  };
  const remedy = remedies[code] ?? "set another directory";
  return new Fault(
    code === "ENOSPC" ? "DISK_FULL" : "DIRECTORY_NOT_WRITABLE",
    `cannot write to ${directory} (${code}): ${remedy}`,
    { cause, facts: { directory, code } },
  );
}
