/** What a table store is made of. */

import type { Clock, Disk, Kv } from "../../core/doors.ts";
import type { Position, SeriesId } from "../../core/units.ts";
import type { StateStore } from "../state/state-store.ts";
import type { CompactionPolicy } from "./compaction/compaction-plan.ts";
import type { RefusedRows } from "./memory/refused-rows.ts";

export type TableStoreOptions = {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly kv: Kv;
  readonly store: StateStore;
  /** Its own; made where it does not exist. */
  readonly directory: string;
  /** Series of one device share their stamps. */
  readonly deviceOf: (series: SeriesId) => number;
  /** Name of the class of a series; undefined: of none. Default: all are of none. */
  readonly classOf?: (series: SeriesId) => string | undefined;
  /** Where tables begin in a store that had none: the operators' checkpoint. */
  readonly from: Position;
  /** What the checkpoint knows of rows from `through` on. */
  readonly refused: RefusedRows;
  readonly policy: CompactionPolicy;
  /** Whether what can wait is to wait, since the device is written to too much. Default: never. */
  readonly isSparing?: () => boolean;
  /** What of its time a merge takes for itself, in (0, 1], unless it is behind. Default: all of it. */
  readonly mergeShare?: number;
  /** Event time that is surely reached by the clock; undefined while nobody can tell. */
  readonly clockNow: () => number | undefined;
  /** Default limits.memoryTableRowsMax. */
  readonly rowsMax?: number | undefined;
};
