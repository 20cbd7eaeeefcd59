/** What a disk refused to a command, in a sentence. */

import { Fault, isEnvironmental } from "../../core/faults.ts";

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: "there is no space left; free some, or choose another place",
  EDQUOT: "the quota is used up; free some space, or choose another place",
  EROFS: "it is read-only; mount it writable, or choose another place",
  EACCES: "this user may not write there",
  EIO: "the disk fails; choose another one",
};

/** `run`, which writes to `place`. Faults: its own; DISK_FULL, DISK_FAILED for what the system says. */
export async function writingTo<Value>(place: string, run: () => Promise<Value>): Promise<Value> {
  try {
    return await run();
  } catch (cause) {
    if (cause instanceof Fault || !isEnvironmental(cause)) throw cause;
    const { code } = cause;
    throw new Fault(
      code === "ENOSPC" || code === "EDQUOT" ? "DISK_FULL" : "DISK_FAILED",
      `could not write to ${place} (${code}): ${remedies[code] ?? cause.message}`,
      { cause, facts: { place } },
    );
  }
}
