/**
 * One agent per data directory, and one that writes to an uplink's directory. The lock is a socket in
 * the abstract namespace of Linux, named after the directory's device and inode: the kernel takes it
 * away with the process, so a crash leaves nothing to clean up. Elsewhere there is no such namespace,
 * and the lock does nothing.
 */

import { stat } from "node:fs/promises";
import { createServer } from "node:net";
import { Fault } from "../../core/faults.ts";

export type DirectoryToLock = {
  readonly directory: string;
  /** The sentence for a person when another process has it. */
  readonly inUse: string;
  /** A part of it that has a lock of its own, and need not be there. */
  readonly part?: string;
};

/** The result releases the lock. Rejects with Fault DIRECTORY_IN_USE. */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  return await lockDirectories([
    {
      directory,
      inUse: `another weir is running in ${directory}; stop it, or set another data directory`,
    },
  ]);
}

/**
 * Locks all or none; a directory that is there twice, under whatever path, is locked once. The result
 * releases them. Rejects with Fault DIRECTORY_IN_USE.
 */
export async function lockDirectories(
  wanted: readonly DirectoryToLock[],
): Promise<() => Promise<void>> {
  if (process.platform !== "linux") return async () => {};
  await using locked = new AsyncDisposableStack();
  const names = new Set<string>();
  for (const { directory, inUse, part } of wanted) {
    const { dev, ino } = await stat(directory);
    const name = `\0weir-${dev}-${ino}${part === undefined ? "" : `-${part}`}`;
    if (names.has(name)) continue;
    names.add(name);
    locked.defer(await lockName(name, { directory, inUse }));
  }
  const held = locked.move();
  return () => held.disposeAsync();
}

async function lockName(
  name: string,
  { directory, inUse }: DirectoryToLock,
): Promise<() => Promise<void>> {
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (cause) => {
    reject(new Fault("DIRECTORY_IN_USE", inUse, { cause, facts: { directory } }));
  });
  server.listen(name, resolve);
  await promise;
  server.unref();
  return () => new Promise((released) => server.close(() => released()));
}
