/**
 * Readings whose device sends no time are timed by their arrival, and each window says so (P8).
 * Which window one is in nobody outside can tell, but how many of a device there are: all that were
 * acknowledged (P1), and none twice where the message can be recognised by its sequence (P9). One
 * that cannot is at least once, as the status says.
 */

import type { Evidence, Violation } from "./evidence.ts";
import { newestWindows } from "./once.ts";

export function checkArrivals(evidence: Evidence): readonly Violation[] {
  const { readings, upstream, places, arrivals, ledger } = evidence;
  const timeless = readings.filter(({ time }) => time === undefined);
  // The ledger does not say of which device: an excuse for all of them together.
  const late = ledger?.pipelines.get(arrivals)?.["late"] ?? 0;
  return places.flatMap((place) => {
    const windows = newestWindows(upstream, { place, pipeline: arrivals });
    const found: Violation[] = windows
      .filter((record) => record["arrivalTimed"] !== record["count"])
      .map(({ id }) => ({ promise: "P8", what: `${String(id)} hides how it is timed` }));
    let missing = 0;
    for (const [device, made] of Map.groupBy(timeless, (reading) => reading.device)) {
      const count = windows
        .filter(({ key }) => (key as { readonly device: string }).device === device)
        .reduce((sum, record) => sum + Number(record["count"]), 0);
      const owed = made.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined).length;
      const atMost = made.reduce(
        (sum, { isRecognisable, transmissions }) =>
          sum + (isRecognisable ? Math.min(1, transmissions.length) : transmissions.length),
        0,
      );
      missing += Math.max(0, owed - count);
      if (count > atMost) {
        const what = `${count} arrivals of ${device} in ${place}, which sent ${atMost}`;
        found.push({ promise: "P9", what });
      }
    }
    if (missing > late) {
      const what = `${missing} acknowledged arrivals are missing in ${place}, ${late} were late`;
      found.push({ promise: "P1", what });
    }
    return found;
  });
}
