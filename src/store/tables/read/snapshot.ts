/** What a query looks at, while the store goes on. */

import type { Readable } from "./block-source.ts";
import type { MemoryTable } from "../memory/memory-table.ts";
import type { Pace } from "../pace.ts";
import type { ListedTable } from "../listing/table-list.ts";

/** It does not change while a query runs. Dispose of it afterwards. */
export type Snapshot = Disposable &
  Readable & {
    readonly tables: readonly ListedTable[];
    /** Oldest first. */
    readonly memories: readonly MemoryTable[];
    /** The query's own: it breathes between blocks, and ends with Stopped once this is stopped. */
    readonly pace: Pace;
  };

/** Files of the tables and rows of the memories stay until it is disposed of. */
export function takeSnapshot(of: Omit<Snapshot, typeof Symbol.dispose>): Snapshot {
  const unpin = of.files.pin(of.tables.map(({ id }) => id));
  const letGo = of.memories.map((memory) => memory.hold());
  const end = (): void => {
    unpin();
    for (const run of letGo) run();
  };
  return { ...of, [Symbol.dispose]: end };
}
