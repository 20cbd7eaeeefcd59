/** Root looks after the data of a service: as the user of that service. */

import { chownSync, statSync } from "node:fs";
import { dataPaths } from "../start.ts";

/**
 * Where root works on a data directory of somebody else: from now on this process is that user. What root made
 * there (a state store that is written anew, tables) the agent could not open any more. The directory must be
 * there; says so on stderr. What was opened before stays open.
 */
export function actAsOwner(directory: string): void {
  const { uid, gid } = statSync(directory);
  const { getuid, setgroups, setgid, setuid } = process;
  if (getuid?.() !== 0 || uid === 0) return;
  // Earlier versions let root write it, and its owner could not even read it then.
  const { backups } = dataPaths(directory);
  if (statSync(backups, { throwIfNoEntry: false })?.uid === 0) chownSync(backups, uid, gid);
  setgroups?.([gid]);
  setgid?.(gid);
  setuid?.(uid);
  console.error(`weir: as the owner of ${directory}, user ${uid}`);
}
