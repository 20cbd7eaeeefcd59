/** Files that `${file:...}` in a configuration names, read at once: parsing waits for nothing. */

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";

/** UTF-8 takes no more for a character; whoever gets this much sees that it is too long. */
const bytesMax = 4 * limits.secretCharactersMax + 1;
const CHUNK_BYTES = 4_096;

/**
 * The text of a regular file, cut off once it is longer than `limits.secretCharactersMax` characters.
 * Throws Fault INPUT_INVALID for a pipe, a device or a folder, and as the disk does.
 */
export function readValueFile(path: string): string {
  // A pipe without a writer would be waited for, by a process that has to answer others.
  const handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    if (!fstatSync(handle).isFile()) {
      const what = `${path} is no regular file but a folder, a pipe or a device`;
      throw new Fault("INPUT_INVALID", `${what}; correct the path`, { facts: { path } });
    }
    const bytes = Buffer.alloc(CHUNK_BYTES);
    const parts: Buffer[] = [];
    for (let left = bytesMax; left > 0; ) {
      const count = readSync(handle, bytes, 0, Math.min(left, bytes.length), null);
      if (count === 0) break;
      parts.push(Buffer.from(bytes.subarray(0, count)));
      left -= count;
    }
    return Buffer.concat(parts).toString("utf8");
  } finally {
    closeSync(handle);
  }
}
