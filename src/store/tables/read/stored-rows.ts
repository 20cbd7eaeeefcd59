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
import { isEnvironmental } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { seriesId } from "../../../core/units.ts";
import { createReadReport, type ReadReport } from "./block-source.ts";
import { readReadings } from "./table-query.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Rows } from "../rows.ts";

/**
 * Calls `found` with the number of each row of `rows` that is stored, perhaps more than once; how many
 * were not looked up to the end, since limits.resendRowsMax or limits.resendBlocksMax was reached, or
 * since the disk could not read what was needed.
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
  let skipped = rows.length - order.length;
  while (at < order.length && report.blocks < limits.resendBlocksMax) {
    const first = order[at]!;
    let end = at + 1;
    while (end < order.length && follows(batch, order[end - 1]!, order[end]!)) end += 1;
    const stretch = order.subarray(at, end);
    const from = time[first]!;
    const to = after(time[order[end - 1]!]!);
    const wanted = { series: seriesId(series[first]!), range: { from, to } };
    skipped += await lookUp(
      { batch, stretch, report },
      readReadings(snapshot, wanted, report),
      found,
    );
    at = end;
  }
  return skipped + order.length - at;
}

/** How many rows at the end of the stretch were left: blocks enough were read, or one cannot be. */
async function lookUp(
  {
    batch,
    stretch,
    report,
  }: { readonly batch: Batch; readonly stretch: Uint32Array; readonly report: ReadReport },
  blocks: AsyncIterable<Rows>,
  found: (row: number) => void,
): Promise<number> {
  try {
    for await (const block of blocks) {
      for (const row of stretch) if (holds(block, batch, row)) found(row);
      if (report.blocks < limits.resendBlocksMax) continue;
      const seen = block.time[block.rows - 1]!;
      return stretch.filter((row) => batch.time[row]! > seen).length;
    }
    return 0;
  } catch (error) {
    if (!isEnvironmental(error)) throw error;
    return stretch.length;
  }
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
