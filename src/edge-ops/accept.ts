/**
 * The accept stage: what every reading passes before any pipeline sees it, row by row, in order.
 *
 *   from the future?  -> quarantined   moves no watermark
 *   resent?           -> duplicate     in the ring, or found in the tables before it was logged
 *   else              -> accepted      device watermark = max(event time) - disorder
 *
 * A reading is from the future when its device stamped it more than futureMs past the clock of its
 * frame; while that clock is untrusted nothing is.
 */

import { assert } from "../core/assert.ts";
import { KIND_ARRIVAL_TIME, KIND_STORED } from "../core/batch.ts";
import type { Frame } from "../core/frame.ts";
import { type Position, position } from "../core/units.ts";
import { CONFLICT, DUPLICATE, type DuplicateRing } from "./duplicates.ts";
import {
  type Ledger,
  SOURCE_ACCEPTED,
  SOURCE_CELLS,
  SOURCE_CONFLICT,
  SOURCE_DUPLICATE,
  SOURCE_QUARANTINED,
  SOURCE_READINGS,
} from "./ledger.ts";
import type { Step } from "./operator.ts";
import type { Origins } from "./origins.ts";
import type { DeviceWatermarks } from "./watermarks.ts";

/** The step that is filled again for each frame. */
export type AcceptedRows = { -readonly [Name in keyof Step]: Step[Name] };

export function createAcceptedRows(batch: Frame["batch"], rowsMax: number): AcceptedRows {
  return {
    batch,
    at: position(0),
    accepted: new Uint32Array(rowsMax),
    acceptedCount: 0,
    device: new Uint32Array(rowsMax),
    watermark: new Float64Array(rowsMax),
  };
}

/** Sorts the rows of a frame into `rows`; `at` is the position of row 0. O(rows). */
export function acceptRows(
  rows: AcceptedRows,
  frame: Frame,
  at: Position,
  stage: {
    readonly origins: Origins;
    readonly ring: DuplicateRing;
    readonly watermarks: DeviceWatermarks;
    readonly ledger: Ledger;
    readonly steady: number;
  },
): void {
  const { origins, ring, watermarks, ledger, steady } = stage;
  const { batch } = frame;
  assert(batch.rows <= rows.accepted.length, "a batch has at most limits.batchRowsMax rows");
  const clock = frame.clockTrusted ? frame.clock : Number.POSITIVE_INFINITY;
  const { deviceOfSeries, sourceOfDevice, futureMs, seriesCount } = origins;
  const counts = ledger.sources;
  const { accepted, device: devices, watermark } = rows;
  let acceptedCount = 0;
  for (let row = 0; row < batch.rows; row++) {
    const series = batch.series[row]!;
    if (series >= seriesCount) assert(false, "a series is defined before its first reading");
    const device = deviceOfSeries[series]!;
    const source = sourceOfDevice[device]!;
    const cells = source * SOURCE_CELLS;
    const time = batch.time[row]!;
    counts[cells + SOURCE_READINGS]! += 1;
    if (time > clock + futureMs[source]! && (batch.kind[row]! & KIND_ARRIVAL_TIME) === 0) {
      counts[cells + SOURCE_QUARANTINED]! += 1;
      continue;
    }
    const isStored = (batch.kind[row]! & KIND_STORED) !== 0;
    const verdict = isStored ? DUPLICATE : ring.take(batch, row);
    if (verdict === DUPLICATE) {
      counts[cells + SOURCE_DUPLICATE]! += 1;
      continue;
    }
    if (verdict === CONFLICT) counts[cells + SOURCE_CONFLICT]! += 1;
    counts[cells + SOURCE_ACCEPTED]! += 1;
    devices[row] = device;
    watermark[row] = watermarks.advance(device, source, time, steady);
    accepted[acceptedCount++] = row;
  }
  rows.batch = batch;
  rows.at = at;
  rows.acceptedCount = acceptedCount;
  if (batch.rows > 0) ledger.touchSources();
}
