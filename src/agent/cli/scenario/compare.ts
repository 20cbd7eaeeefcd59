/**
 * What the fleet saw acknowledged beside what is upstream, window by window: of each device and metric
 * every reading in exactly one window of the pipeline, and the sums of these readings in it.
 *
 *   truth  |  10  |  10  |  9+1? |  10  |       a reading that was not acknowledged may be there or not
 *   found  |  10  |        20          |        a coarser summary stands for all windows in it
 */

import { counted } from "../../../core/counted.ts";
import { truthKey, type Truth, type TruthWindow } from "./truth.ts";
import type { FoundWindow } from "./window-book.ts";

export type Difference = {
  readonly what: "missing" | "repeated" | "wrong";
  /** Names the window. */
  readonly text: string;
};

export type Compared = {
  readonly pipeline: string;
  /** Windows upstream that were compared, and the readings in them. */
  readonly windows: number;
  readonly readings: number;
  /** Windows of devices that nobody is held to: without a clock, with QoS 0. */
  readonly others: number;
  /** Acknowledged readings that no window upstream has. */
  readonly missing: number;
  readonly first: Difference | undefined;
};

export type CompareOptions = {
  readonly pipeline: string;
  readonly truth: Truth;
  readonly found: readonly FoundWindow[];
  /** Readings that the agent's ledger says are in open windows. */
  readonly open: number;
  /** Readings that it says are late or quarantined: believed of those only that may be so old. */
  readonly late: number;
  readonly allowedLatenessMs: number;
};

/** Sums are added in another order: so much of the sum of magnitudes may they differ. */
const sumTolerance = 1e-9;

export function compareWindows(options: CompareOptions): Compared {
  const { pipeline, truth, found, open, late, allowedLatenessMs } = options;
  const mayBeLate = ({ ageMs }: TruthWindow): boolean =>
    !truth.areClocksRight || ageMs > allowedLatenessMs;
  const covered = new Set<TruthWindow>();
  const differences: Difference[] = [];
  let windows = 0;
  let readings = 0;
  let others = 0;
  let missing = 0;
  /** Of these, that may have been late. */
  let excused = 0;
  let firstMissing: Difference | undefined;
  let firstTimely: Difference | undefined;
  const miss = (count: number, mayBe: boolean, text: string): void => {
    missing += count;
    excused += mayBe ? count : 0;
    const difference = { what: "missing", text } as const;
    firstMissing ??= difference;
    if (!mayBe) firstTimely ??= difference;
  };
  for (const { id, place, summary } of found) {
    const device = tagOf(summary.key, "device");
    if (!truth.devices.has(device)) {
      others += 1;
      continue;
    }
    windows += 1;
    readings += summary.count;
    const key = truthKey(device, tagOf(summary.key, "metric"));
    const own = within(truth.keys.get(key) ?? [], summary.start, summary.end);
    const again = own.find((window) => covered.has(window));
    for (const window of own) covered.add(window);
    if (again !== undefined) {
      const text = `${place}: ${id}: readings of this time are in another window, too`;
      differences.push({ what: "repeated", text });
    }
    const acked = own.reduce((sum, { count }) => sum + count, 0);
    const most = own.reduce((sum, { pending }) => sum + pending, acked);
    if (summary.count < acked) {
      const text = `${place}: ${id}: ${counted(summary.count, "reading")}, ${acked} were acknowledged`;
      miss(acked - summary.count, own.some(mayBeLate), text);
    } else if (summary.count > most) {
      const text = `${place}: ${id}: ${counted(summary.count, "reading")}, no more than ${most} were sent`;
      differences.push({ what: "repeated", text });
    } else if (most === acked) {
      const wrong = otherNumbers(summary, own);
      if (wrong !== undefined) {
        differences.push({ what: "wrong", text: `${place}: ${id}: ${wrong}` });
      }
    }
  }
  for (const [key, own] of truth.keys) {
    for (const window of own) {
      if (window.numbers === undefined || window.count === 0 || covered.has(window)) continue;
      const from = new Date(window.start).toISOString();
      const text = `pipeline ${pipeline}: ${key} from ${from}: ${window.count} acknowledged readings are in no window upstream`;
      miss(window.count, mayBeLate(window), text);
    }
  }
  if (missing - excused > open && firstTimely !== undefined) differences.unshift(firstTimely);
  else if (missing > open + late && firstMissing !== undefined) differences.unshift(firstMissing);
  return { pipeline, windows, readings, others, missing, first: differences[0] };
}

function tagOf(tags: FoundWindow["summary"]["key"], wanted: string): string {
  return tags.find(([name]) => name === wanted)?.[1] ?? "";
}

/** By start, in order of time. */
function within(
  windows: readonly TruthWindow[],
  start: number,
  end: number,
): readonly TruthWindow[] {
  let low = 0;
  let high = windows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (windows[middle]!.start < start) low = middle + 1;
    else high = middle;
  }
  let beyond = low;
  while (beyond < windows.length && windows[beyond]!.start < end) beyond += 1;
  return windows.slice(low, beyond);
}

function otherNumbers(
  { fields, count }: FoundWindow["summary"],
  own: readonly TruthWindow[],
): string | undefined {
  let sum = 0;
  let [min, max] = [Infinity, -Infinity];
  for (const { numbers } of own) {
    if (numbers === undefined) return undefined;
    sum += numbers.sum;
    min = Math.min(min, numbers.min);
    max = Math.max(max, numbers.max);
  }
  const tolerance = sumTolerance * count * Math.max(1, Math.abs(min), Math.abs(max));
  if (fields.sum !== undefined && !(Math.abs(fields.sum - sum) <= tolerance)) {
    return `sum ${fields.sum}, of what was sent it is ${sum}`;
  }
  if (fields.min !== undefined && fields.min !== min) return `min ${fields.min}, sent was ${min}`;
  if (fields.max !== undefined && fields.max !== max) return `max ${fields.max}, sent was ${max}`;
  return undefined;
}
