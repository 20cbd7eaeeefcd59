/**
 * Files that somebody else may have laid there: opening a pipe that nobody writes to, and reading from a
 * terminal, would take for ever.
 *
 *   open(path, readFlags)  ->  fstat  ->  assertRegular
 */

import { constants, type Stats } from "node:fs";
import { Fault } from "../../core/faults.ts";

/** Waits for no writer of a pipe, and takes no terminal for this process's own. */
export const readFlags: number = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** `stats`: of what was opened. Throws Fault DISK_FAILED. */
export function assertRegular(stats: Pick<Stats, "isFile">, path: string): void {
  if (stats.isFile()) return;
  throw new Fault(
    "DISK_FAILED",
    `${path} is no regular file but a folder, a pipe or a device; correct the path, or move away what is there`,
    { facts: { path } },
  );
}
