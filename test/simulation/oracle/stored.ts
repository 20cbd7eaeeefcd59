/**
 * The readings that an agent has stored, as queries answer them: every acknowledged one (P1), each
 * once, and none that was never sent (P9), none of a device from the future (P8), and as many as its
 * ledger accepted (P3). What expired by the configuration is counted, not named: so many may be
 * missing, and no more.
 *
 *   accepted by the ledger = in memory + in tables + expired + erased + lost
 *   answered               = in memory + in tables - of those, rolled up
 */

import type { Evidence, Reading, Stored, StoredCounts, Violation } from "./evidence.ts";

/** How often a value may be stored, at least and at most, and a reading that says so. */
type Due = { owed: number; atMost: number; readonly reading: Reading };

/** `isWhole`: the medium gave back everything, so nothing may be missing. */
export function checkStored(
  evidence: Evidence,
  { isWhole }: { readonly isWhole: boolean },
): readonly Violation[] {
  const due = dueReadings(evidence);
  return evidence.stored.flatMap((stored) =>
    checkOne(evidence, stored, due)
      .filter(({ promise }) => isWhole || (promise !== "P1" && promise !== "P3"))
      .map(({ promise, what }) => ({ promise, what: `stored ${stored.when}: ${what}` })),
  );
}

/** Whenever one looked, no reading was lost between memory and tables. */
export function checkStoredCounts({ samples }: Evidence): readonly Violation[] {
  return samples.flatMap(({ atMs, stored }) =>
    countFaults(stored).map((what) => ({ promise: "P3", what: `${what}, at ${atMs} ms` })),
  );
}

function countFaults(counts: StoredCounts): readonly string[] {
  const { accepted, inMemory, inTables, expired, erased, lost } = counts;
  const kept = inMemory + inTables + expired + erased + lost;
  return kept === accepted
    ? []
    : [`${accepted} readings accepted, ${kept} accounted for: ${JSON.stringify(counts)}`];
}

function checkOne(
  evidence: Evidence,
  { counts, readings, faults }: Stored,
  due: ReadonlyMap<string, Due>,
): readonly Violation[] {
  const { inMemory, inTables, rolledUp, expired, lost } = counts;
  const found: Violation[] = [
    ...countFaults(counts).map((what) => ({ promise: "P3", what })),
    ...faults.map((what) => ({ promise: "P1", what })),
  ];
  if (lost > 0) found.push({ promise: "P1", what: `${lost} readings are lost` });
  const kept = inMemory + inTables - rolledUp;
  if (readings.length !== kept) {
    found.push({ promise: "P3", what: `${readings.length} readings answered of ${kept} kept` });
  }
  const times = new Map<string, number>();
  for (const { device, metric, time, value } of readings) {
    for (const key of [keyOf(device, metric, time, value), keyOf(device, metric, "any", value)]) {
      times.set(key, (times.get(key) ?? 0) + 1);
    }
    const ofTime = due.get(keyOf(device, metric, time, value));
    const isFuture = ofTime !== undefined && evidence.futureDevices.includes(device);
    if (evidence.clockWasRight && isFuture) {
      found.push({ promise: "P8", what: `a device from the future is believed: ${device}` });
    }
    if (ofTime === undefined && !due.has(keyOf(device, metric, "any", value))) {
      const what = `${metric} of ${device} at ${time} is ${value}, which nobody sent`;
      found.push({ promise: "P9", what });
    }
  }
  let missing = expired + rolledUp;
  for (const [key, { owed, atMost, reading }] of due) {
    const count = times.get(key) ?? 0;
    const of = `reading ${reading.number} of ${reading.device}`;
    if (count > atMost) {
      found.push({ promise: "P9", what: `${key}, ${of}, is there ${count} times of ${atMost}` });
    }
    missing -= Math.max(0, owed - count);
    if (count < owed && missing < 0) {
      const what = `${key}: ${of} was acknowledged, and is there ${count} times of ${owed}`;
      found.push({ promise: "P1", what });
    }
  }
  return found;
}

/** By what a stored reading shows. Those without a time of their own are told by their value only. */
function dueReadings({ readings, futureDevices }: Evidence): ReadonlyMap<string, Due> {
  const due = new Map<string, Due>();
  for (const reading of readings) {
    const { device, time, value, wobble, transmissions, isRecognisable } = reading;
    const atMost = isRecognisable ? Math.min(1, transmissions.length) : transmissions.length;
    if (atMost === 0) continue;
    const isBelieved = time === undefined || !futureDevices.includes(device);
    const isOwed = reading.acknowledgedAt !== undefined && isBelieved;
    const metric = time === undefined ? "n" : "v";
    for (const key of [
      keyOf(device, metric, time ?? "any", value),
      keyOf(device, "t", time ?? "any", wobble),
    ]) {
      const before = due.get(key) ?? { owed: 0, atMost: 0, reading };
      before.owed += isOwed ? 1 : 0;
      before.atMost += atMost;
      due.set(key, before);
    }
  }
  return due;
}

function keyOf(device: string, metric: string, time: number | "any", value: number): string {
  return `${device} ${metric}@${time}=${value}`;
}
