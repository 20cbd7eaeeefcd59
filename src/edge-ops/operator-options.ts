/** What every operator is made from. */

import type { Catalog } from "../core/catalog.ts";
import type { DeviceTimes } from "./device-times.ts";
import type { PipelineCounts } from "./pipeline-counts.ts";
import type { KeyIndex } from "./series-keys.ts";

/** Room of the tables; more than a table's limit where ids say so. */
export type Capacity = {
  readonly seriesMax: number;
  readonly devicesMax: number;
  readonly keysMax: number;
};

export type OperatorOptions<Spec> = {
  readonly spec: Spec;
  /** Name of the pipeline in what it emits and in the names of its tables: `name`, `name@2`, ... */
  readonly pipeline: string;
  readonly catalog: Catalog;
  /** The operator's row of the ledger, shared with it. */
  readonly counts: PipelineCounts;
  readonly keys: KeyIndex;
  readonly devices: DeviceTimes;
  /** Largest `disorderMs` of the sources it takes. */
  readonly disorderMs: number;
  readonly capacity: Capacity;
  /** Event time between two completeness markers of a key. */
  readonly markerMs: number;
};
