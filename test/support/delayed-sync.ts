/** A disk whose syncs take longer, as a memory card's do, or stall. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Disk } from "../../src/core/doors.ts";

/** `delayMs` is asked before each sync; the sync itself comes after the delay. */
export function delayedSync(disk: Disk, delayMs: () => number): Disk {
  return {
    ...disk,
    async open(path, options) {
      const file = await disk.open(path, options);
      return {
        read: (target, offset) => file.read(target, offset),
        write: (source, offset) => file.write(source, offset),
        async sync() {
          const leftMs = delayMs();
          if (leftMs > 0) await sleep(leftMs);
          await file.sync();
        },
        size: () => file.size(),
        truncate: (size) => file.truncate(size),
        close: () => file.close(),
      };
    },
  };
}
