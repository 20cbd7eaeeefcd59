/** Files that `${file:...}` in a configuration names, read at once: parsing waits for nothing. */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { limits } from "../../core/limits.ts";
import { assertRegular, readFlags } from "./regular-file.ts";

/** UTF-8 takes no more for a character; whoever gets this much sees that it is too long. */
const bytesMax = 4 * limits.secretCharactersMax + 1;
const CHUNK_BYTES = 4_096;

/**
 * The text of a regular file, cut off once it is longer than `limits.secretCharactersMax` characters.
 * Throws Fault DISK_FAILED for a pipe, a device or a folder, and as the disk does.
 */
export function readValueFile(path: string): string {
  const handle = openSync(path, readFlags);
  try {
    assertRegular(fstatSync(handle), path);
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
