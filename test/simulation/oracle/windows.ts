/**
 * Which readings are in which window, told from the sum: the values of one device's readings within
 * a window are different powers of two, so the sum's bits name them, and a reading that was counted
 * twice leaves a bit that nobody has.
 *
 *   P1  every acknowledged reading is in every window that holds its time
 *   P9  none is in it twice, and nothing is in it that was never sent
 *   P10 a late one corrects: the newest revision has it; only beyond the allowed lateness it may lack
 *   P8  nothing of a device from the future is in any window while the gateway's clock is right
 */

import type { Evidence, Reading, Violation, WindowPipeline } from "./evidence.ts";
import { newestWindows } from "./once.ts";
import { sketchFault } from "./sketches.ts";

type Found = Readonly<Record<string, unknown>>;

/** `isWhole`: the medium gave back everything, so nothing may be missing. */
export function checkWindows(
  evidence: Evidence,
  { isWhole }: { readonly isWhole: boolean },
): readonly Violation[] {
  return evidence.places.flatMap((place) =>
    evidence.windows
      .flatMap((pipeline) => checkPipeline(evidence, pipeline, place))
      .filter(({ promise }) => isWhole || (promise !== "P1" && promise !== "P10")),
  );
}

function checkPipeline(
  evidence: Evidence,
  pipeline: WindowPipeline,
  place: string,
): readonly Violation[] {
  const violations: Violation[] = [];
  const newest = newestRevisions(evidence, pipeline.name, place);
  const windows = readingsByWindow(evidence.readings, pipeline);
  for (const key of newest.keys()) {
    if (!windows.has(key)) {
      violations.push({ promise: "P9", what: `${pipeline.name} ${key}: no reading has that time` });
    }
  }
  for (const [key, readings] of windows) {
    const where = `${pipeline.name} ${key} in ${place}`;
    const record = newest.get(key);
    const { members, fault } = membersOf(record, readings);
    if (fault !== undefined) violations.push({ promise: "P9", what: `${where}: ${fault}` });
    const device = readings[0]!.device;
    const isFuture = evidence.futureDevices.includes(device);
    if (isFuture) {
      if (evidence.clockWasRight && members.size > 0) {
        violations.push({ promise: "P8", what: `${where}: a device from the future is believed` });
      }
      continue;
    }
    const end = Number(key.slice(key.indexOf("@") + 1)) + pipeline.sizeMs;
    for (const reading of readings) {
      if (reading.acknowledgedAt === undefined || members.has(reading)) continue;
      if (mayBeLate(evidence, reading, { end, sizeMs: pipeline.sizeMs })) continue;
      const promise = record === undefined || !wasCorrected(evidence, reading) ? "P1" : "P10";
      const what = `reading ${reading.number} of ${device} was acknowledged and is missing`;
      violations.push({ promise, what: `${where}: ${what}` });
    }
    if (record !== undefined && fault === undefined) {
      violations.push(...checkAggregates(record, [...members], where));
    }
  }
  return violations;
}

/** The newest revision of each window, by `device@start`. */
function newestRevisions(
  { upstream }: Evidence,
  pipeline: string,
  place: string,
): ReadonlyMap<string, Found> {
  return new Map(
    newestWindows(upstream, { place, pipeline }).map((record) => {
      const { device } = record["key"] as { readonly device: string };
      return [`${device}@${String(record["start"])}`, record];
    }),
  );
}

function readingsByWindow(
  readings: readonly Reading[],
  { sizeMs, slideMs }: WindowPipeline,
): ReadonlyMap<string, readonly Reading[]> {
  const windows = new Map<string, Reading[]>();
  for (const reading of readings) {
    const { time, transmissions } = reading;
    if (transmissions.length === 0 || time === undefined) continue;
    for (
      let start = Math.floor(time / slideMs) * slideMs;
      start > time - sizeMs;
      start -= slideMs
    ) {
      const key = `${reading.device}@${start}`;
      const window = windows.get(key);
      if (window === undefined) windows.set(key, [reading]);
      else window.push(reading);
    }
  }
  return windows;
}

function membersOf(
  record: Found | undefined,
  readings: readonly Reading[],
): { readonly members: ReadonlySet<Reading>; readonly fault: string | undefined } {
  const members = new Set<Reading>();
  if (record === undefined) return { members, fault: undefined };
  let rest = Number(record["sum"] ?? 0) + Number(record["sumError"] ?? 0);
  for (const reading of readings.toSorted((a, b) => b.value - a.value)) {
    if (rest < reading.value) continue;
    rest -= reading.value;
    members.add(reading);
  }
  const count = Number(record["count"]);
  if (rest === 0 && count === members.size) return { members, fault: undefined };
  const of = `${count} readings with a sum of ${String(record["sum"])}`;
  const named = [...members].map(({ number }) => number).toSorted((x, y) => x - y);
  const fault = `${of}, which readings ${named.join(", ")} do not make: one is counted twice, or was never sent`;
  return { members, fault };
}

/**
 * A window is final when its device is `latenessMs` past its end: a newer reading that had been sent
 * by then says so, and one after which nothing was heard for `idleMs` closes every window that holds
 * it. A reading was heard at some time from its first transmission to its acknowledgement; a clock
 * that is stepped counts as silence.
 */
function mayBeLate(
  evidence: Evidence,
  reading: Reading,
  { end, sizeMs }: { readonly end: number; readonly sizeMs: number },
): boolean {
  const { readings, latenessMs, idleMs, clockWasRight } = evidence;
  const by = reading.acknowledgedAt ?? Number.POSITIVE_INFINITY;
  const others = readings.filter(
    (other) => other.device === reading.device && other !== reading && sentAt(other) <= by,
  );
  const newestBy = (at: number): number =>
    Math.max(...others.filter((other) => sentAt(other) <= at).map(timeOf));
  if (newestBy(by) >= end + latenessMs) return true;
  if (newestBy(by) + sizeMs < end + latenessMs) return false;
  const isSilent = (from: number): boolean =>
    others.every((other) => sentAt(other) <= from || (other.acknowledgedAt ?? by) >= from + idleMs);
  return (
    !clockWasRight ||
    others
      .map(sentAt)
      .some(
        (from) =>
          from + idleMs <= by &&
          isSilent(from) &&
          newestBy(from + idleMs) + sizeMs >= end + latenessMs,
      )
  );
}

/** When it was first sent; Infinity if never. */
function sentAt({ transmissions }: Reading): number {
  return transmissions[0] ?? Number.POSITIVE_INFINITY;
}

/** Others of its device that are newer had been sent before it: a correction was due. */
function wasCorrected({ readings }: Evidence, reading: Reading): boolean {
  return readings.some(
    (other) =>
      other.device === reading.device &&
      timeOf(other) > timeOf(reading) &&
      sentAt(other) < sentAt(reading),
  );
}

/** Of readings that have one: only those are in these windows. */
function timeOf({ time }: Reading): number {
  return time ?? Number.NaN;
}

/** Every aggregate is that of its members. */
function checkAggregates(
  record: Found,
  members: readonly Reading[],
  where: string,
): readonly Violation[] {
  if (members.length === 0) return [];
  const byTime = members.toSorted((a, b) => timeOf(a) - timeOf(b));
  const values = members.map(({ value }) => value);
  const expected: Readonly<Record<string, number>> = {
    min: Math.min(...values),
    max: Math.max(...values),
    first: byTime[0]!.value,
    firstTime: timeOf(byTime[0]!),
    last: byTime.at(-1)!.value,
    lastTime: timeOf(byTime.at(-1)!),
    arrivalTimed: 0,
  };
  const wrong = Object.entries(expected).flatMap(([name, value]) =>
    record[name] === value ? [] : [`${name} is ${String(record[name])}, not ${value}`],
  );
  const fault = sketchFault(record, values);
  return (fault === undefined ? wrong : [...wrong, fault]).map((what) => {
    return { promise: "P5", what: `${where}: ${what}` };
  });
}
