/**
 * Root looks after the data of a service: as the user of that service. What lies in its directory that user
 * decides, and he is on the network: root would follow any link he puts there, into any file of the machine.
 */

import { lstatSync, type Stats, statSync } from "node:fs";
import { dirname, relative } from "node:path";
import { Fault, isEnvironmental } from "../../core/faults.ts";

/**
 * Where root works on a data directory of somebody else: from now on this process is that user, who can open
 * what it makes there. Nothing in it is looked at before. Says so on stderr. What was opened before stays open.
 */
export function actAsOwner(directory: string): void {
  const owner = otherOwner(directory);
  if (owner === undefined) return;
  process.setgroups?.([owner.gid]);
  process.setgid?.(owner.gid);
  process.setuid?.(owner.uid);
  console.error(`weir: as the owner of ${directory}, user ${owner.uid}`);
}

/**
 * The same until it is disposed of, for a command that writes elsewhere as root. The whole process is that
 * user meanwhile: nothing else may be under way.
 */
export function asOwner(directory: string): Disposable {
  const owner = otherOwner(directory);
  if (owner === undefined) return { [Symbol.dispose]: () => undefined };
  const { getgroups, getegid } = process;
  const [groups, group] = [getgroups?.() ?? [], getegid?.() ?? 0];
  process.setgroups?.([owner.gid]);
  process.setegid?.(owner.gid);
  process.seteuid?.(owner.uid);
  return {
    [Symbol.dispose]: () => {
      process.seteuid?.(0);
      process.setegid?.(group);
      process.setgroups?.(groups);
    },
  };
}

/** Undefined where this is not root, where root owns it, and where it is not there. */
function otherOwner(directory: string): Stats | undefined {
  const found = statSync(directory, { throwIfNoEntry: false });
  return process.geteuid?.() === 0 && found?.uid !== 0 ? found : undefined;
}

/**
 * `use`, which works in the data directory. Faults: its own; DISK_FAILED where something there may not be
 * touched because it is not its owner's, as what root made there once.
 */
export async function inOwned<Value>(
  directory: string,
  use: () => Value | Promise<Value>,
): Promise<Value> {
  try {
    return await use();
  } catch (cause) {
    const remedy = ownerRemedy(directory, cause instanceof Fault ? cause.cause : cause);
    if (remedy === undefined) throw cause;
    throw new Fault("DISK_FAILED", remedy, { cause, facts: { directory } });
  }
}

/** `look`, as the owner and with the faults of `inOwned`: see `asOwner`. */
export async function lookAsOwner<Value>(
  directory: string,
  look: () => Promise<Value>,
): Promise<Value> {
  return await inOwned(directory, async () => {
    using _owner = asOwner(directory);
    return await look();
  });
}

/** What it is that is not the owner's, and what to do about that; undefined where it is something else. */
function ownerRemedy(directory: string, error: unknown): string | undefined {
  if (!isEnvironmental(error) || !["EACCES", "EPERM"].includes(error.code)) return undefined;
  const owner = statSync(directory, { throwIfNoEntry: false });
  if (owner === undefined || !("path" in error) || typeof error.path !== "string") return undefined;
  for (let at = error.path; isBelow(directory, at); at = dirname(at)) {
    const found = lookAt(at);
    if (found === undefined || found.uid === owner.uid) continue;
    const whose = `${at} belongs to user ${found.uid}, and ${directory} to user ${owner.uid}, who may not touch it`;
    if (found.isFile() && found.nlink > 1) {
      return `${whose}; it has ${found.nlink} names (hard links), and may be a file of elsewhere: give it to nobody, but see what it is (sudo find / -xdev -samefile ${at}), and move it away`;
    }
    // `-h`: what has become a link by then is not followed.
    return `${whose}: sudo chown -hR ${owner.uid}:${owner.gid} ${at}`;
  }
  return undefined;
}

function isBelow(directory: string, path: string): boolean {
  const name = relative(directory, path);
  return name !== "" && !name.startsWith("..");
}

/** Undefined where it is not there, or in a folder that may not be looked into. */
function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}
