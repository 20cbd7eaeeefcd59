/**
 * One agent per data directory. The lock is a socket in the abstract namespace of Linux, named after
 * the directory's device and inode: the kernel takes it away with the process, so a crash leaves
 * nothing to clean up. Elsewhere there is no such namespace, and the lock does nothing.
 */

import { stat } from "node:fs/promises";
import { createServer } from "node:net";
import { Fault } from "../../core/faults.ts";

/** The result releases the lock. Rejects with Fault DIRECTORY_IN_USE. */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  if (process.platform !== "linux") return async () => {};
  const { dev, ino } = await stat(directory);
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (cause) => {
    reject(
      new Fault(
        "DIRECTORY_IN_USE",
        `another weir is running in ${directory}; stop it, or set another data directory`,
        { cause, facts: { directory } },
      ),
    );
  });
  server.listen(`\0weir-${dev}-${ino}`, resolve);
  await promise;
  server.unref();
  return () => new Promise((released) => server.close(() => released()));
}
