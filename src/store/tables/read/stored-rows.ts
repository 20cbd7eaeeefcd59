/**
 * Which rows of a batch are stored already: the same series, time, value, kind and sequence. For
 * resends that are older than the ring of duplicates.
 *
 *   rows by series and time:   a a a a      a a    b b b b
 *   looked up as stretches:    |.....|      |..|   |.....|
 *
 * A device that sends its backlog again brings stretches, which are read once; rows far apart are
 * stretches of their own, so that no day is read for two readings.
 */

import { type Batch, KIND_SEQUENCE } from "../../../core/batch.ts";
import { limits } from "../../../core/limits.ts";
import { seriesId } from "../../../core/units.ts";
import { createReadReport } from "./block-source.ts";
import { readReadings } from "./table-query.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Rows } from "../rows.ts";

/**
 * Calls `found` with the number of each row of `rows` that is stored; how many were not looked up, since
 * limits.resendRowsMax or limits.resendBlocksMax was reached. Rejects as the disk does.
 */
export async function findStoredRows(
  snapshot: Snapshot,
  { batch, rows }: { readonly batch: Batch; readonly rows: Uint32Array },
  found: (row: number) => void,
): Promise<number> {
  const { series, time } = batch;
  const order = rows
    .slice(0, limits.resendRowsMax)
    .sort((a, b) => series[a]! - series[b]! || time[a]! - time[b]!);
  const report = createReadReport();
  let at = 0;
  while (at < order.length && report.blocks < limits.resendBlocksMax) {
    const first = order[at]!;
    let end = at + 1;
    while (end < order.length && follows(batch, order[end - 1]!, order[end]!)) end += 1;
    const stretch = order.subarray(at, end);
    const from = time[first]!;
    const to = after(time[order[end - 1]!]!);
    const wanted = { series: seriesId(series[first]!), range: { from, to } };
    for await (const block of readReadings(snapshot, wanted, report)) {
      for (const row of stretch) if (holds(block, batch, row)) found(row);
    }
    at = end;
  }
  return rows.length - at;
}

function follows({ series, time }: Batch, before: number, row: number): boolean {
  return series[row] === series[before] && time[row]! - time[before]! <= limits.resendGapMs;
}

/** A little later, so that a range up to there holds the time, however large. */
function after(time: number): number {
  return time + Math.max(1, Math.abs(time) * 4 * Number.EPSILON);
}

function holds(block: Rows, batch: Batch, row: number): boolean {
  const time = batch.time[row]!;
  const [values] = block.columns;
  for (let i = firstAt(block, time); i < block.rows && block.time[i] === time; i++) {
    if (block.kind[i] !== batch.kind[row]) continue;
    if ((block.kind[i]! & KIND_SEQUENCE) !== 0 && block.sequence[i] !== batch.sequence[row])
      continue;
    if (isSameValue(values![i]!, batch.value[row]!)) return true;
  }
  return false;
}

/** The first row with the time or a later one; times ascend. */
function firstAt({ time, rows }: Rows, wanted: number): number {
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (time[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** As the ring of duplicates has it: NaN is equal to itself. */
function isSameValue(a: number, b: number): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}
